"""The reader `file`: one file of any ordinary shape, read and repaired as the entry's `reading` says.

A wide file has one column per variate. A long file has one row per value, with a column that names the series; it is
converted to the wide form. `data add` determines what is in `reading`; nothing is guessed here.
"""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.data.catalogue.datasets import Dataset
from timellama.data.catalogue.reading import STEP, Reading, Repairs, plural
from timellama.data.files.cells import Cells, read_cells
from timellama.data.files.measured import selected, values_of
from timellama.data.files.repair import Timed, filled, in_order, listed, shown, without_repeats
from timellama.data.files.stamps import Stamps, in_zone, numbered, read_stamps, rows_of
from timellama.data.reader import Rows


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """Rows in order of time, before anything is filled; the zone of the file or of `reading`; what was repaired.

    dated: whether timestamps with a zone are dates in it, not moments kept in UTC.
    """

    timed: Timed
    zone: str | None
    dated: bool
    repairs: Repairs


def read(dataset: Dataset, raw: Sequence[Path]) -> Rows:
    """The rows of the one file. Raises InputError naming file, row, column and remedy."""
    [path] = raw
    reading = dataset.reading
    cells = read_cells(path, separator=reading.separator, sheet=reading.sheet)
    ordered = ordered_rows(cells, reading, time_column=dataset.time_column, steps=dataset.frequency == STEP)
    return filled_rows(cells, ordered, reading, frequency=dataset.frequency, season=dataset.season)


def ordered_rows(cells: Cells, reading: Reading, *, time_column: str | None, steps: bool) -> Ordered:
    """The rows of a file in order of time. `steps`: they are numbered, by `time_column` or, without one, in file order.

    Raises InputError for a column that is absent, a cell that cannot be read, and whatever only a repair that was not
    chosen could fix.
    """
    for name in (time_column, reading.id_column, reading.value_column):
        _require(cells, name)
    if reading.id_column:
        return _from_long(cells, reading, time_column=time_column, steps=steps)
    columns = selected(cells, without=[time_column], keep=reading.keep, drop=reading.drop)
    stamps = _time(cells, reading, time_column=time_column, steps=steps, groups=None)
    timed = Timed(
        path=cells.path,
        values=values_of(cells, columns, decimal=reading.decimal),
        time=stamps.time,
        columns=tuple(columns),
        time_column=time_column or "row",
        where=cells.where,
    )
    timed, moved = in_order(timed, sort=reading.sort)
    timed, merged = without_repeats(timed, duplicates=reading.duplicates)
    return Ordered(
        timed=timed, zone=stamps.zone, dated=stamps.dated, repairs=Repairs(moved_rows=moved, merged_rows=merged)
    )


def filled_rows(cells: Cells, ordered: Ordered, reading: Reading, *, frequency: str, season: int) -> Rows:
    """The rows with what is missing filled, or NaN if it is masked, and all repairs among the facts."""
    mask = reading.missing == "mask"
    timed, added, by_column = filled(ordered.timed, fill=reading.fill, mask=mask, frequency=frequency, season=season)
    holes = sum(by_column.values())
    counts = {"masked_cells": holes} if mask else {"filled_cells": holes}
    repairs = dataclasses.replace(ordered.repairs, added_rows=len(added), **counts)
    whole = timed.time.astype("datetime64[s]")
    facts: dict[str, object] = {
        **cells.facts,
        "reading": reading.chosen,
        "repairs": repairs.facts,
        "added_rows": {"count": len(added), "first": listed(added)},
        "filled_cells": {} if mask else by_column,
        **({"masked_cells": by_column} if mask and holes else {}),
        "zone": ordered.zone,
        "stamps_in": ("dates of the zone" if ordered.dated else "UTC") if ordered.zone else None,
    }
    if ordered.zone and not ordered.dated:
        facts |= {f"{end}_in_zone": in_zone(timed.time[row], ordered.zone) for end, row in (("first", 0), ("last", -1))}
    time = whole if (whole.astype(timed.time.dtype) == timed.time).all() else timed.time
    return Rows(values=np.ascontiguousarray(timed.values), time=time, columns=timed.columns, facts=facts)


def _require(cells: Cells, name: str | None) -> None:
    names = list(cells.frame.columns)
    if name is not None and name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{cells.path}: no column {name!r}{hint or '.'} The columns are {', '.join(names)}; name one of them"
        )


def _time(cells: Cells, reading: Reading, *, time_column: str | None, steps: bool, groups: np.ndarray | None) -> Stamps:
    if time_column is None:
        return Stamps(time=np.arange(len(cells.frame)).astype("datetime64[s]").astype("datetime64[ms]"), zone=None)
    if steps:
        return Stamps(time=numbered(cells, time_column), zone=None)
    return read_stamps(cells, time_column, dates=reading.dates, zone=reading.zone, groups=groups)


def _from_long(cells: Cells, reading: Reading, *, time_column: str | None, steps: bool) -> Ordered:
    """The wide form of a long file: one row per timestamp, one column per series, in the order of their first rows."""
    if time_column is None or reading.value_column is None:
        raise InputError(f"{cells.path}: a long file needs a column of time and one of values; name both")
    ids = cells.frame[reading.id_column].astype("str").str.strip()
    unnamed = (ids.isna() | (ids == "")).to_numpy(bool)
    if unnamed.any():
        raise InputError(
            f"{cells.where(int(unnamed.argmax()), reading.id_column)}: the series has no name; give it one"
        )
    groups, names = pd.factorize(ids)
    stamps = _time(cells, reading, time_column=time_column, steps=steps, groups=groups)
    timed = Timed(
        path=cells.path,
        values=values_of(cells, [reading.value_column], decimal=reading.decimal),
        time=stamps.time,
        columns=(reading.value_column,),
        time_column=time_column,
        where=cells.where,
    )
    series, moved, merged = {}, 0, 0
    for name, rows in zip(names, rows_of(groups), strict=True):
        one, late = in_order(timed.taken(rows), sort=reading.sort)
        one, same = without_repeats(one, duplicates=reading.duplicates)
        repeated = one.time[1:] == one.time[:-1]
        if repeated.any():
            row = int(repeated.argmax()) + 1
            raise InputError(
                f"{one.where(row, time_column)}: the series {name!r} has two rows for {shown(one.time[row])} "
                f"({plural(repeated.sum(), 'such row')}); use --duplicates, or correct the file"
            )
        series[name], moved, merged = one, moved + late, merged + same
    kept, cut = _aligned(cells, series, align=reading.align)
    frame = pd.DataFrame(kept).sort_index()
    repairs = Repairs(moved_rows=moved, merged_rows=merged, cut_rows=cut)
    index = frame.index.to_numpy().astype("datetime64[ms]")
    wide = Timed(
        path=cells.path,
        values=frame.to_numpy(np.float64),
        time=index,
        columns=tuple(map(str, frame.columns)),
        time_column=time_column,
        where=lambda row, column: f"{cells.path}, series {column!r} at {shown(index[row])}",
    )
    return Ordered(timed=wide, zone=stamps.zone, dated=stamps.dated, repairs=repairs)


def _aligned(cells: Cells, series: Mapping[str, Timed], *, align: str | None) -> tuple[dict[str, pd.Series], int]:
    """Each series by its timestamps, within the time that all of them span, or whole; and how many rows are left out.

    Raises InputError if the series begin or end at different times and `align` is None, or share no time.
    """
    spans = {name: (one.time[0], one.time[-1]) for name, one in series.items()}
    begin, end = max(first for first, _ in spans.values()), min(last for _, last in spans.values())
    if align is None and len(set(spans.values())) > 1:
        [(usual, _)] = Counter(spans.values()).most_common(1)
        other = next(name for name, span in spans.items() if span != usual)
        alike = next(name for name, span in spans.items() if span == usual)
        shared = f"{shown(begin)} to {shown(end)}" if begin <= end else "no time at all"
        raise InputError(
            f"{cells.path}: the series differ in length: {other!r} has {len(series[other].time)} rows from "
            f"{shown(spans[other][0])} to {shown(spans[other][1])}, {alike!r} has {len(series[alike].time)} from "
            f"{shown(usual[0])} to {shown(usual[1])}. Use --align common to keep what all {len(series)} series span "
            f"({shared}), or --align all --missing mask to keep all rows, with what a series lacks masked; or give a "
            "file with series of one length. Series of different lengths are not kept apart"
        )
    if align == "all":
        return {name: pd.Series(one.values[:, 0], index=one.time) for name, one in series.items()}, 0
    if begin > end:
        raise InputError(
            f"{cells.path}: the {len(series)} series have no time in common: one begins at {shown(begin)}, another "
            f"ends at {shown(end)}; leave some of them out of the file"
        )
    kept, cut = {}, 0
    for name, one in series.items():
        inside = (one.time >= begin) & (one.time <= end)
        kept[name] = pd.Series(one.values[inside, 0], index=one.time[inside])
        cut += int((~inside).sum())
    return kept, cut
