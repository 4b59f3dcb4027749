"""DLinear (Zeng et al. 2023)."""

from collections.abc import Iterator
from dataclasses import dataclass

from timellama.core.values import Count, Flag
from timellama.methods.method import Method
from timellama.methods.obstacles import Obstacle, Setting


@dataclass(frozen=True, kw_only=True)
class DLinearOptions:
    """DLinear (Zeng et al. 2023, arXiv 2205.13504)."""

    kernel: Count = 25  # cure-lab/LTSF-Linear, models/DLinear.py
    individual: Flag = False  # the published scripts' setting


def obstacles(options: DLinearOptions, setting: Setting) -> Iterator[Obstacle]:
    """A kernel without a middle."""
    if options.kernel % 2 == 0:
        yield Obstacle(
            reason=f"a moving average over {options.kernel} steps has no middle",
            remedy="set its option kernel to an odd number, for example 25",
        )


METHODS = (
    Method(
        name="dlinear",
        options=DLinearOptions,
        network="timellama.methods.dlinear.network:DLinear",
        alone=lambda options: not options.individual,
        obstacles=obstacles,
    ),
)
