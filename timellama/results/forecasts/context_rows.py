"""The last look-back of a user-supplied CSV file, read strictly, and the timestamps that come after it.

A forecast reads the last T rows; of the rows before them, only the timestamps are checked. Nothing is sorted or
repaired: a file that needs it is refused with line and column. Missing values are refused too, except for a run that
was trained with missing values: there they stay missing, and `before` has the last values that were observed earlier.
"""

import difflib
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from timellama.core.errors import InputError
from timellama.data.catalogue.reading import STEP
from timellama.data.files.csv_text import Text, numbers, read_text, stamp
from timellama.data.files.frequency import offset_of
from timellama.results.forecasts.carried import Carried

DATE = len("2024-06-01")
SHORTEST_MONTH = np.timedelta64(28, "D")  # from here on, two timestamps do not distinguish days from a calendar step
NAMED = 8  # our choice: columns named in a message


@dataclass(frozen=True, kw_only=True)
class ContextRows:
    """The last T rows of a file.

    `values` float64 [T, N] and `columns` are in the file's order. `time` has the T timestamps, in UTC if there is a
    `zone`, in which they are then shown. `step` leads from one row to the next. `dates` says whether the file writes
    its timestamps without a time of day, `numbered` that rows are counted instead of dated, row i at second i of 1970.
    If values may be missing, they are NaN, `before` [N] has the last number of each column above the T rows, or NaN,
    and `added` rows are not in the file.
    """

    path: Path
    time_column: str
    columns: tuple[str, ...]
    values: np.ndarray
    time: pd.DatetimeIndex
    step: pd.offsets.BaseOffset
    dates: bool
    zone: str | None = None
    numbered: bool = False
    before: np.ndarray | None = None
    added: int = 0

    def following(self, rows: int) -> pd.DatetimeIndex:
        """The next `rows` timestamps."""
        return pd.date_range(self.time[-1], periods=rows + 1, freq=self.step)[1:]

    def in_order(self, columns: Sequence[str], values: np.ndarray | None = None) -> np.ndarray:
        """The values [T, N], or others [rows, N], with the columns in the given order."""
        values = self.values if values is None else values
        return values[:, [self.columns.index(name) for name in columns]]

    def written(self, time: pd.DatetimeIndex) -> list[str]:
        """Timestamps as text, in the file's own format: without a time of day if the file has none."""
        if self.numbered:
            return [str(step) for step in time.astype("datetime64[s]").astype("int64")]
        if self.zone:
            return [stamp.isoformat() for stamp in time.tz_localize("UTC").tz_convert(self.zone)]
        midnights = self.dates and bool((time == time.normalize()).all())
        return list(time.strftime("%Y-%m-%d" if midnights else "%Y-%m-%d %H:%M:%S"))


def read_context_rows(
    path: Path, *, columns: Sequence[str] | None, context: int, time_column: str | None, grid: str | None = None
) -> ContextRows:
    """The last `context` rows of the CSV at `path`.

    grid: the frequency of a run that was trained with missing values. Values may then be missing here too, and the rows
    are those of the last `context` steps.

    columns: the required value columns, in any order; None takes one column of any name. time_column: the name of the
    time column, or None for the one column that is left (the first one if `columns` is None).
    Raises InputError, naming file, line or column and the remedy, for wrong columns, too few rows, a cell that is not a
    number, and timestamps that are out of order or not evenly spaced.
    """
    text = read_text(path)
    time_column = _time_column(text, columns, time_column)
    at = text.header.index(time_column)
    names = text.header[:at] + text.header[at + 1 :]
    kept: deque[tuple[int, list[str]]] = deque(maxlen=context)
    stamps, dates, carried = [], True, Carried(text, names) if grid else None
    for line, cells in text.rows:
        cell = cells.pop(at)
        when = stamp(text, line, cell, time_column)
        if stamps and when < stamps[-1]:
            raise InputError(f"{path}, line {line}: timestamp {when} comes after {stamps[-1]}; sort the rows by time")
        stamps.append(when)
        dates = dates and len(cell) == DATE
        if carried and len(kept) == context:
            carried.pass_by(*kept[0])
        kept.append((line, cells))
    if carried and kept:
        time, (lines, rows) = pd.DatetimeIndex(np.array(stamps, dtype="datetime64[s]")), zip(*kept, strict=True)
        step = _step(path, time, context, lines) if grid == STEP else offset_of(grid)
        values, whole, added = carried.on_grid(time[-len(kept) :], lines, rows, context=context, step=step)
        facts = {"columns": names, "values": values, "before": carried.values, "added": added, "dates": dates}
        return ContextRows(path=path, time_column=time_column, time=whole, step=step, **facts)
    if len(kept) < context:
        raise InputError(
            f"{path}: has {len(kept)} rows, but the look-back of this run is {context}; give a longer file, or "
            "take a run with a shorter look-back"
        )
    values = np.array([_finite(text, line, cells, names, context) for line, cells in kept])
    time = pd.DatetimeIndex(np.array(stamps, dtype="datetime64[s]"))
    return ContextRows(
        path=path,
        time_column=time_column,
        columns=names,
        values=values,
        time=time[-context:],
        step=_step(path, time, context, [line for line, _ in kept]),
        dates=dates,
    )


def _time_column(text: Text, columns: Sequence[str] | None, given: str | None) -> str:
    """The name of the time column, after checking that all columns are as required."""
    if given is not None and given not in text.header:
        raise InputError(
            f"{text.path}, line 1: no column {given!r}{_near(given, text.header)} The columns are "
            f"{_listed(text.header)}"
        )
    if columns is None:
        if len(text.header) != 2:
            raise InputError(
                f"{text.path}, line 1: has {len(text.header)} columns; a run on single series reads a file with two, "
                "time and value"
            )
        return given or text.header[0]
    others = [name for name in text.header if name not in columns and name != given]
    lacking = [name for name in columns if name not in text.header]
    if lacking:
        raise InputError(
            f"{text.path}, line 1: lacks {len(lacking)} of the {len(columns)} columns that this run was trained on: "
            f"{_listed(lacking)}{_near(lacking[0], others)} Name the columns as the training data do: "
            f"{_listed(columns)}"
        )
    if given is None:
        if len(others) == 1:
            return others[0]
        if not others:
            raise InputError(f"{text.path}, line 1: has no column of timestamps; add one")
    if others:
        hint = "; remove them" if given else ": remove all but the time column, or name it with --time-column"
        raise InputError(f"{text.path}, line 1: columns that this run does not know: {_listed(others)}{hint}")
    return given


def _near(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)." if near else "."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(repr, names[:NAMED])) + more


def _finite(text: Text, line: int, cells: list[str], names: Sequence[str], context: int) -> list[float]:
    try:
        return numbers(text, line, cells, names)
    except InputError:
        for cell, name in zip(cells, names, strict=True):
            try:
                numbers(text, line, [cell], [name])
            except InputError:
                what = f"{cell!r} is not a finite plain number" if cell.strip() else "the cell is empty"
                raise InputError(
                    f"{text.path}, line {line}, column {name!r}: {what}; a forecast reads every cell of the last "
                    f"{context} rows, and none is filled in: correct the cell"
                ) from None
        raise


def _step(path: Path, time: pd.DatetimeIndex, context: int, lines: Sequence[int]) -> pd.offsets.BaseOffset:
    """The step of all rows or, if they have none in common, as after an old gap, that of the last `context` rows."""
    tail = time[-context:]
    if repeated := np.flatnonzero(tail[1:] == tail[:-1]).tolist():
        raise InputError(
            f"{path}, line {lines[repeated[0] + 1]}: {tail[repeated[0]]} is a duplicate timestamp; the last {context} "
            "rows must be evenly spaced, so leave one of each"
        )
    for stamps in (time, tail):
        step = even_step(stamps)
        if step is not None and pd.date_range(tail[0], periods=len(tail), freq=step).equals(tail):
            return step
    if len(tail) < 3:
        raise InputError(f"{path}: {len(time)} rows do not determine the step between rows; give a longer file")
    steps = np.diff(tail.to_numpy())
    kinds, counts = np.unique(steps, return_counts=True)
    usual = kinds[counts.argmax()]
    [odd, *_] = np.flatnonzero(steps != usual)
    raise InputError(
        f"{path}, line {lines[odd + 1]}: {tail[odd + 1]} follows {tail[odd]} after {pd.Timedelta(steps[odd])}, where "
        f"{pd.Timedelta(usual)} is usual; the last {context} rows must be evenly spaced, since the forecast's "
        "timestamps continue from them"
    )


def even_step(time: pd.DatetimeIndex) -> pd.offsets.BaseOffset | None:
    """The step from each timestamp to the next: a fixed time or a calendar step; None if there is none."""
    if len(time) > 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas 4 gives the step itself instead of its name; both are read here
            found = pd.infer_freq(time)
        return None if found is None else to_offset(found)
    if len(time) < 2 or time[1] - time[0] >= SHORTEST_MONTH:
        return None
    return to_offset(time[1] - time[0])
