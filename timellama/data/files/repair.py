"""Repairs that the user chose: order, duplicate timestamps, missing cells and rows. Each is counted, none is silent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.data.catalogue.reading import plural
from timellama.data.files.frequency import offset_of

LISTED = 20  # our choice, as in canonicalise: repairs are counted in full, but at most this many are listed


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Values float64 [rows, N] with NaN for a missing cell, timestamps datetime64[ms] [rows], and the N names.

    time_column: what messages call the timestamps. where: the place of a row and a column in the file, for messages.
    """

    path: Path
    values: np.ndarray
    time: np.ndarray
    columns: tuple[str, ...]
    time_column: str
    where: Callable[[int, str], str]

    def taken(self, rows: np.ndarray) -> "Timed":
        """These rows, by number, in this order."""
        kept = rows.tolist()
        return replace(
            self,
            values=self.values[rows],
            time=self.time[rows],
            where=lambda row, column: self.where(kept[row], column),
        )


def in_order(timed: Timed, *, sort: bool) -> tuple[Timed, int]:
    """The rows in order of time, and how many came after a later one. Raises InputError if this needs `sort`."""
    late = timed.time < np.maximum.accumulate(timed.time)
    if not late.any():
        return timed, 0
    if not sort:
        row = int(late.argmax())
        raise InputError(
            f"{timed.where(row, timed.time_column)}: the timestamp {shown(timed.time[row])} comes after "
            f"{shown(timed.time[:row].max())} ({plural(late.sum(), 'such row')}); sort the rows by time, or use --sort"
        )
    return timed.taken(np.argsort(timed.time, kind="stable")), int(late.sum())


def without_repeats(timed: Timed, *, duplicates: str | None) -> tuple[Timed, int]:
    """One row per timestamp, and how many rows were dropped; with `duplicates` None all stay. The rows are in order.

    The mean of a column is that of its cells that are not missing.
    """
    same = timed.time[1:] == timed.time[:-1]
    if duplicates is None or not same.any():
        return timed, 0
    if duplicates == "last":
        kept = np.flatnonzero(np.concatenate([~same, [True]]))
    else:
        kept = np.flatnonzero(np.concatenate([[True], ~same]))
    found = timed.taken(kept)
    if duplicates == "mean":
        number = np.cumsum(np.concatenate([[True], ~same])) - 1
        values = pd.DataFrame(timed.values).groupby(number).mean().to_numpy()
        found = replace(found, values=values)
    return found, int(same.sum())


def filled(
    timed: Timed, *, fill: str | None, mask: bool, frequency: str, season: int
) -> tuple[Timed, list[np.datetime64], dict[str, int]]:
    """The rows with none missing, the timestamps of the added rows, and by column how many cells were missing.

    `linear` is a line between the neighbours in rows, `previous` the last value, `seasonal` the value one season before
    or, where there is none, one season after. With `mask` missing cells stay NaN. With neither, nothing may be missing.
    Raises InputError for a missing cell that nothing fills, for a column without any value, and for timestamps off
    the grid of `frequency`.
    """
    missing = np.isnan(timed.values)
    if fill is None and not mask:
        if missing.any():
            raise InputError(_missing(timed, missing))
        return timed, [], {}
    grid = _grid(timed, frequency)
    values = np.full((len(grid), timed.values.shape[1]), np.nan)
    places = np.searchsorted(grid, timed.time)
    values[places] = timed.values
    added = np.setdiff1d(grid, timed.time)
    holes = np.isnan(values)
    whole = values if mask else _FILLS[fill](values, season)
    left = np.isnan(whole)
    if mask:
        if left.all(axis=0).any():
            name = timed.columns[int(left.all(axis=0).argmax())]
            raise InputError(f"{timed.path}, column {name!r}: has no value at all; leave it out with --drop")
    elif left.any():
        row, column = (int(n) for n in np.argwhere(left)[0])
        name = timed.columns[column]
        raise InputError(
            f"{timed.path}, column {name!r}: {plural(left[:, column].sum(), 'missing cell')}, the first at "
            f"{shown(grid[row])}: --fill {fill} has nothing to take there; try another --fill or --missing mask, leave "
            "the column out with --drop, or cut the rows off"
        )
    rows = dict(zip(places.tolist(), range(len(places)), strict=True))

    def where(row: int, column: str) -> str:
        return timed.where(rows[row], column) if row in rows else f"an added row, column {column!r}"

    counts = {name: int(n) for name, n in zip(timed.columns, holes.sum(axis=0), strict=True) if n}
    return replace(timed, values=whole, time=grid, where=where), list(added), counts


def _missing(timed: Timed, missing: np.ndarray) -> str:
    row, column = (int(n) for n in np.argwhere(missing)[0])
    of = int(missing.any(axis=0).sum())
    return (
        f"{timed.where(row, timed.columns[column])}: the cell is empty or marked as missing "
        f"({plural(missing.sum(), 'such cell')} in {plural(of, 'column')}); give finite numbers, or choose --fill "
        "linear, previous or seasonal, or --missing mask"
    )


def _grid(timed: Timed, frequency: str) -> np.ndarray:
    """Every timestamp from the first to the last, datetime64[ms]. Raises InputError for a row that is none of them."""
    time = timed.time
    repeated = time[1:] == time[:-1]
    if repeated.any():
        row = int(repeated.argmax()) + 1
        raise InputError(
            f"{timed.where(row, timed.time_column)}: duplicate timestamp {shown(time[row])} "
            f"({plural(repeated.sum(), 'such row')}), so missing rows cannot be found; add --duplicates"
        )
    grid = pd.date_range(time[0], time[-1], freq=offset_of(frequency), unit="ms").to_numpy()
    beside = ~np.isin(time, grid)
    if beside.any():
        row = int(beside.argmax())
        raise InputError(
            f"{timed.where(row, timed.time_column)}: the timestamp {shown(time[row])} is not on the grid of "
            f"{frequency} that begins at {shown(time[0])} ({plural(beside.sum(), 'such row')}), so missing rows cannot "
            "be found; set the step with --frequency, or correct the timestamps"
        )
    return grid


def _linear(values: np.ndarray, season: int) -> np.ndarray:
    return pd.DataFrame(values).interpolate(method="linear", limit_area="inside").to_numpy()


def _previous(values: np.ndarray, season: int) -> np.ndarray:
    return pd.DataFrame(values).ffill().to_numpy()


def _seasonal(values: np.ndarray, season: int) -> np.ndarray:
    whole = values.copy()
    for row in range(season, len(whole)):
        whole[row] = np.where(np.isnan(whole[row]), whole[row - season], whole[row])
    for row in range(len(whole) - season - 1, -1, -1):
        whole[row] = np.where(np.isnan(whole[row]), whole[row + season], whole[row])
    return whole


_FILLS = {"linear": _linear, "previous": _previous, "seasonal": _seasonal}


def shown(time: np.datetime64) -> str:
    """A timestamp as messages show it, without a zero fraction."""
    return str(pd.Timestamp(time))


def listed(times: Sequence[np.datetime64]) -> list[str]:
    """The first timestamps, as `quirks.json` lists them."""
    return [shown(time) for time in times[:LISTED]]
