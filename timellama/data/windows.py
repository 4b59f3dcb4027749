"""Standardises a series and serves its windows as batches.

All windows are views of one float32 tensor [rows, N]; only a batch is copied. Every window of every part is served,
including the last: nothing is dropped to fill a batch. The scaler is that of Time-Series-Library and GPT4TS: mean and
standard deviation (divisor n) of all training rows.

A cell that was left missing is NaN in a target, so that whatever counts it by mistake gives no number. A network needs
a number instead: the variate's last observed value, never a later one, which a forecaster would not have known; before
the first one it is the mean of the training rows. That is our choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from timellama.core.errors import InputError
from timellama.data.series import Series
from timellama.data.splits import Split, count_windows, part_rows, train_rows

# Of standardised values; our choice: the sum of squares of a batch still fits into float32, and no measured value is
# this many standard deviations from its mean.
LIMIT = 1e12


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Standardisation by variate: (x - mean) / std, with mean and std float64 [N].

    A variate that is constant over the training rows has std 1: it becomes 0 there, and what it does later stays
    visible in its own units, where dividing by nearly 0 would let one cell dominate the metric.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> "Scaler":
        """The scaler of the rows `values` [rows, N], ignoring NaN."""
        constant = np.nanmax(values, axis=0) == np.nanmin(values, axis=0)
        # Two cases, since numpy does not promise the same bits from both if nothing is missing.
        mean, std = (np.nanmean, np.nanstd) if np.isnan(values).any() else (np.mean, np.std)
        return cls(mean=mean(values, axis=0), std=np.where(constant, 1.0, std(values, axis=0)))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Standardised `values` [..., N]."""
        return (values - self.mean) / self.std

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `transform`."""
        return values * self.std + self.mean


def carried_forward(values: np.ndarray, *, before: float | np.ndarray) -> np.ndarray:
    """`values` [rows, N] with each NaN replaced by the last number above it, or by `before` if there is none."""
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    return np.where(last < 0, before, np.take_along_axis(values, np.maximum(last, 0), axis=0))


class SplitWindows:
    """The windows of one part: window i has its context in rows i .. i + T - 1 and its targets in the H rows after.

    `rows` float32 [T + target rows, N + C] is shared, not copied. Its last C columns, `calendar`, are known features of
    the timestamps: they follow the variates in the context and are not targets. `len` is target rows - H + 1. `truth`
    [target rows, N] is given if targets are missing, and has NaN there; `masked` says whether it was given.
    """

    def __init__(
        self, *, rows: Tensor, context: int, horizon: int, calendar: int = 0, truth: Tensor | None = None
    ) -> None:
        """Raises InputError when the rows hold no window."""
        if len(rows) < context + horizon:
            raise InputError(
                f"{len(rows)} rows hold no window of context {context} and horizon {horizon}, which needs "
                f"{context + horizon} rows; shorten one of them"
            )
        self.rows, self.context, self.horizon, self.calendar = rows, context, horizon, calendar
        self.contexts = rows[: len(rows) - horizon].unfold(0, context, 1)  # [windows, N + C, T]
        self.variates = rows.shape[1] - calendar
        self.masked, self.truth = truth is not None, rows[context:, : self.variates] if truth is None else truth
        self.targets = self.truth.unfold(0, horizon, 1)  # [windows, N, H]

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.targets)

    def to(self, device: str) -> "SplitWindows":
        """The same windows of rows on a device, where batches are then gathered."""
        sizes = {"context": self.context, "horizon": self.horizon, "calendar": self.calendar}
        return SplitWindows(rows=self.rows.to(device), truth=self.truth.to(device) if self.masked else None, **sizes)

    def with_targets(self, *, alone: bool) -> Tensor:
        """The indices of the windows that have an observed target or, with `alone`, of the single series with one."""
        so_far = nn.functional.pad((~self.truth.isnan()).cumsum(dim=0), (0, 0, 1, 0))  # [target rows + 1, N]
        observed = so_far[self.horizon :] > so_far[: -self.horizon]  # [windows, N]
        return (observed.flatten() if alone else observed.any(dim=1)).nonzero().squeeze(1).cpu()

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts x [B, T, N + C] and targets y [B, H, N] of the windows `indices` int64 [B]."""
        indices = indices.to(self.rows.device)
        return self.contexts[indices].transpose(1, 2), self.targets[indices].transpose(1, 2)

    def series(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts x [B, T, 1 + C] and targets y [B, H, 1] of single variates; each window has N of them in a row."""
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
    """The windows of `series` under `split`, with the calendar's `marks` float32 [rows, C] after the variates.

    The scaler is fitted on all training rows, even if a few-shot run trains on fewer: so does GPT4TS, whose protocol
    the paper's table 3 follows, and all runs of a data set then share one scale, so that their errors can be
    compared. It sees no validation or test row, and no missing value. Raises InputError, with the numbers, when a part
    holds no window or no observed target, when a variate has no observed training value, and where a standardised value
    is beyond `LIMIT` or cannot be computed.
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
    missing = np.isnan(values)
    if missing.any():
        _check_observed(series, missing, parts, fitted=train_rows(split, rows=len(values)))
    with np.errstate(all="ignore"):
        scaler = Scaler.fit(values[: train_rows(split, rows=len(values))])
        standardised = scaler.transform(values)
    known = carried_forward(standardised, before=0.0) if missing.any() else standardised
    _check_range(series, known, scaler)
    variates, calendar = values.shape[1], 0 if marks is None else marks.shape[1]
    tensor = torch.empty(len(values), variates + calendar)
    tensor[:, :variates] = torch.from_numpy(known)
    if calendar:
        tensor[:, variates:] = torch.from_numpy(marks)
    truth = torch.from_numpy(standardised.astype(np.float32)) if missing.any() else tensor
    train, validation, test = (
        SplitWindows(
            rows=tensor[part.start - context : part.stop],
            context=context,
            horizon=horizon,
            calendar=calendar,
            truth=truth[part.start : part.stop] if missing[part.start : part.stop].any() else None,
        )
        for part in parts.values()
    )
    return Parts(train=train, validation=validation, test=test, scaler=scaler)


def missing_targets(series: Series, split: Split, *, context: int, horizon: int, train_percent: int) -> dict[str, int]:
    """How many cells of the target rows of each part are missing; empty where the whole series has none."""
    missing = np.isnan(series.values)
    if not missing.any():
        return {}
    asked = {"context": context, "horizon": horizon, "train_percent": train_percent}
    parts = part_rows(split, rows=len(missing), **asked)
    return {name: int(missing[part.start : part.stop].sum()) for name, part in parts.items()}


def _check_observed(series: Series, missing: np.ndarray, parts: Mapping[str, range], *, fitted: int) -> None:
    """Raises InputError for a variate that no scaler can be fitted to, and for a part without an observed value."""
    if (unseen := missing[:fitted].all(axis=0)).any():
        column = int(unseen.argmax())
        raise InputError(
            f"column {series.columns[column]!r} has no observed value in the {fitted} training rows, which set its "
            "scale; leave it out with --drop, or give more training rows with --split"
        )
    for name, part in parts.items():
        if missing[part.start : part.stop].all():
            raise InputError(
                f"the {name} part has target rows {part.start} to {part.stop - 1}, and none of their values is "
                "observed; move the parts with --split, or give other rows"
            )


def _check_range(series: Series, standardised: np.ndarray, scaler: Scaler) -> None:
    """Raises InputError, naming the worst value, if float32 could not hold what is computed from it."""
    # An infinite deviation would make every value of its column 0. NaN compares as false, so it does not fit.
    fits = (np.abs(standardised) <= LIMIT) & np.isfinite(scaler.std)
    if fits.all():
        return
    of_column = np.where(fits | np.isnan(series.values), -1.0, np.abs(series.values))
    row, column = np.unravel_index(of_column.argmax(), of_column.shape)
    raise InputError(
        f"column {series.columns[column]!r}, row {row} ({series.time[row]}): {series.values[row, column]:g} is more "
        f"than {LIMIT:g} standard deviations of the training rows from their mean, or their deviation cannot be "
        "computed; correct the data file, or leave that column out"
    )
