"""Standardises a series and serves its windows as batches.

All windows are views of one float32 tensor [rows, N]; only a batch is copied. Every window of every part is served,
the last one too: nothing is dropped to fill a batch. The scaler is that of Time-Series-Library and GPT4TS: mean and
standard deviation (divisor n) of all training rows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from timellama.core.errors import InputError
from timellama.data.series import Series
from timellama.data.splits import Split, count_windows, part_rows, train_rows

# Of standardised values; our choice: the sum of squares of a batch is still a float32 number, and no measured value is
# as many standard deviations from its mean.
LIMIT = 1e12


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Standardisation by variate: (x - mean) / std, with mean and std float64 [N].

    A variate that is constant over the training rows has std 1: it becomes 0 there, and what it does later stays
    visible in its own units, where dividing by nearly 0 would let one cell rule the metric.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> "Scaler":
        """The scaler of the rows `values` [rows, N]."""
        constant = values.max(axis=0) == values.min(axis=0)
        return cls(mean=values.mean(axis=0), std=np.where(constant, 1.0, values.std(axis=0)))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Standardised `values` [..., N]."""
        return (values - self.mean) / self.std

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `transform`."""
        return values * self.std + self.mean


class SplitWindows:
    """The windows of one part: window i has its context in rows i .. i + T - 1 and its targets in the H rows after.

    `rows` float32 [T + target rows, N + C] is shared, not copied. Its last C columns, `calendar`, are known features of
    the stamps: they stand in the context, behind the variates, and are no target. `len` is target rows - H + 1.
    """

    def __init__(self, *, rows: Tensor, context: int, horizon: int, calendar: int = 0) -> None:
        """Raises InputError when the rows hold no window."""
        if len(rows) < context + horizon:
            raise InputError(
                f"{len(rows)} rows hold no window of context {context} and horizon {horizon}, which takes "
                f"{context + horizon} rows; shorten one of them"
            )
        self.rows, self.context, self.horizon, self.calendar = rows, context, horizon, calendar
        self.contexts = rows[: len(rows) - horizon].unfold(0, context, 1)  # [windows, N + C, T]
        self.variates = rows.shape[1] - calendar
        self.targets = rows[context:, : self.variates].unfold(0, horizon, 1)  # [windows, N, H]

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.targets)

    def to(self, device: str) -> "SplitWindows":
        """The same windows of rows on a device, where batches are then gathered."""
        rows = self.rows.to(device)
        return SplitWindows(rows=rows, context=self.context, horizon=self.horizon, calendar=self.calendar)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts x [B, T, N + C] and targets y [B, H, N] of the windows `indices` int64 [B]."""
        indices = indices.to(self.rows.device)
        return self.contexts[indices].transpose(1, 2), self.targets[indices].transpose(1, 2)

    def series(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts x [B, T, 1 + C] and targets y [B, H, 1] of single variates, of which each window has N in a row."""
        indices = indices.to(self.rows.device)
        window, variate = indices // self.variates, indices % self.variates
        x, y = self.contexts[window, variate].unsqueeze(-1), self.targets[window, variate].unsqueeze(-1)
        if self.calendar:
            x = torch.cat([x, self.contexts[window, self.variates :].transpose(1, 2)], dim=2)
        return x, y


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The windows of each part, standardised, and the scaler that did it."""

    train: SplitWindows
    validation: SplitWindows
    test: SplitWindows
    scaler: Scaler


def prepare(
    series: Series,
    split: Split,
    *,
    context: int,
    horizon: int,
    train_percent: int,
    marks: np.ndarray | None = None,
) -> Parts:
    """The windows of `series` under `split`, with the calendar's `marks` float32 [rows, C] behind the variates.

    The scaler is fitted on all training rows, also where a few-shot run trains on fewer: GPT4TS does so, whose
    protocol the paper's table 3 follows, and so all runs of a data set share one scale and their errors can be
    compared. It sees no validation or test row. Raises InputError, with the numbers, when a part holds no window, and
    where a standardised value is beyond `LIMIT` or cannot be computed.
    """
    values = series.values
    asked = {"rows": len(values), "context": context, "horizon": horizon, "train_percent": train_percent}
    parts, counts = part_rows(split, **asked), count_windows(split, **asked)
    for name, count in counts.items():
        if count < 1:
            raise InputError(
                f"the {name} part has target rows {parts[name].start} to {parts[name].stop - 1} of {len(values)}, "
                f"which hold no window of context {context} and horizon {horizon} (train_percent {train_percent}); "
                "shorten context or horizon, or take more rows"
            )
    with np.errstate(all="ignore"):
        scaler = Scaler.fit(values[: train_rows(split, rows=len(values))])
        standardised = scaler.transform(values)
    _check_range(series, standardised, scaler)
    variates, calendar = values.shape[1], 0 if marks is None else marks.shape[1]
    tensor = torch.empty(len(values), variates + calendar)
    tensor[:, :variates] = torch.from_numpy(standardised)
    if calendar:
        tensor[:, variates:] = torch.from_numpy(marks)
    sizes = {"context": context, "horizon": horizon, "calendar": calendar}
    train, validation, test = (
        SplitWindows(rows=tensor[part.start - context : part.stop], **sizes) for part in parts.values()
    )
    return Parts(train=train, validation=validation, test=test, scaler=scaler)


def _check_range(series: Series, standardised: np.ndarray, scaler: Scaler) -> None:
    """InputError naming the worst value, where float32 could not hold what is computed from it."""
    # An infinite deviation would make every value of its column 0. NaN does not compare, so it does not fit.
    fits = (np.abs(standardised) <= LIMIT) & np.isfinite(scaler.std)
    if fits.all():
        return
    of_column = np.where(fits, -1.0, np.abs(series.values))
    row, column = np.unravel_index(of_column.argmax(), of_column.shape)
    raise InputError(
        f"column {series.columns[column]!r}, row {row} ({series.time[row]}): {series.values[row, column]:g} is more "
        f"than {LIMIT:g} standard deviations of the training rows from their mean, or their deviation cannot be "
        "computed; correct the data file, or leave that column out"
    )
