"""RLinear (Li et al. 2023)."""

from dataclasses import dataclass

from timellama.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class RLinearOptions:
    """RLinear (Li et al. 2023, arXiv 2305.10721): instance norm and one linear layer; nothing to choose."""


METHODS = (
    Method(name="rlinear", options=RLinearOptions, network="timellama.methods.rlinear.network:RLinear", alone=True),
)
