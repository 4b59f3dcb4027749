"""DLinear (Zeng et al. 2023)."""

from dataclasses import dataclass

from timellama.core.values import Count, Flag
from timellama.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class DLinearOptions:
    """DLinear (Zeng et al. 2023, arXiv 2205.13504)."""

    kernel: Count = 25  # cure-lab/LTSF-Linear, models/DLinear.py
    individual: Flag = False  # the published scripts' setting


METHODS = (
    Method(
        name="dlinear",
        options=DLinearOptions,
        network="timellama.methods.dlinear.network:DLinear",
        alone=lambda options: not options.individual,
    ),
)
