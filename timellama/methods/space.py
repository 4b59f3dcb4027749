"""The settings that a search tries: what each parameter may be, and the value at a point between 0 and 1.

`SHARED` applies to every trained method, so that none is tuned over more than another; a method's own `space` adds its
options. Only the standard library is imported, as for all that planning reads.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DIGITS = 2  # our choice: significant digits of a tried number, so that tables show what ran


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Numbers from `low` to `high`, evenly spread over their logarithms if `logarithmic`."""

    low: float
    high: float
    logarithmic: bool = False

    def at(self, point: float) -> float:
        """The value at `point`, 0 to 1, with `DIGITS` significant digits."""
        if self.logarithmic:
            value = math.exp(math.log(self.low) + point * math.log(self.high / self.low))
        else:
            value = self.low + point * (self.high - self.low)
        return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Some values, all equally likely."""

    values: tuple

    def at(self, point: float) -> object:
        """The value at `point`, 0 to 1."""
        return self.values[min(int(point * len(self.values)), len(self.values) - 1)]


Space = Mapping[str, Interval | Choices]

SHARED: Space = MappingProxyType(
    {
        # the published rates of config/methods.yaml, except the 0.05 of one method on one data set
        "learning_rate": Interval(low=1e-4, high=1e-2, logarithmic=True),
        # around the 16 of arXiv 2502.13725, table 7
        "batch_size": Choices(values=(8, 16, 32)),
        # none, as published; torch's default for AdamW, 0.01, and a tenth of it
        "weight_decay": Choices(values=(0.0, 0.001, 0.01)),
        # a schedule that ends at 0, and none; schedules by epoch do not suit a budget of about one
        "schedule": Choices(values=("cosine", "constant")),
    }
)
# From none to well above those of the published scripts: PatchTST's 0.2 and 0.3, iTransformer's 0.1.
DROPOUT = Interval(low=0.0, high=0.5)
