"""What shape a file has: detected once, by `data add`, and written into the entry, so that reading guesses nothing.

What the user names is taken as given; anything ambiguous is an InputError that names the option that decides it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from timellama.core.errors import InputError
from timellama.data.catalogue.reading import FILLED_OR_MASKED, Reading
from timellama.data.files.cells import UNNAMED, Cells, is_text, read_cells, separator_of
from timellama.data.files.csv_text import unpacked
from timellama.data.files.measured import decimal_of, is_numeric, selected
from timellama.data.files.stamps import (
    FORMS,
    GLANCED,
    NUMBERS,
    READABLE,
    TWO_FIRST,
    WHOLE,
    YEAR_FIRST,
    date_order,
    form_of,
)

# Our choice, from the long formats of Nixtla's libraries, GluonTS, Prophet and Darts, and from what files call them.
IDS = ("unique_id", "series_id", "item_id", "ts_id", "series", "id", "ticker", "symbol", "sensor", "station", "store")
TIMES = ("ds", "date", "time", "timestamp", "datetime", "date_time", "day", "month", "quarter", "week", "year")
TIMES += ("period", "when")
TARGETS = ("y", "value", "target", "values")
INDEXES = (UNNAMED, "step", "t", "n", "idx", "row", "time_idx", "ds", "time", "timestamp")
PATTERNS = tuple(re.compile(pattern, re.ASCII) for pattern in FORMS.values())
REPEATED = 0.5  # our choice: the share of repeated timestamps from which a file looks long: two series or more


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user named for reading a file; None and empty values are detected."""

    time_column: str | None = None
    separator: str | None = None
    decimal: str | None = None
    day_first: bool | None = None
    zone: str | None = None
    sheet: str | None = None
    id_column: str | None = None
    value_column: str | None = None
    align: str | None = None
    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    sort: bool = False
    duplicates: str | None = None
    fill: str | None = None
    missing: str | None = None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A file's cells, how they are to be read, the column of time (None: rows are numbered in file order), and whether
    rows are numbered instead of dated."""

    cells: Cells
    reading: Reading
    time_column: str | None
    steps: bool


def shape_of(path: Path, *, asked: Asked) -> Shape:
    """The shape of the file at `path`. Raises InputError naming what is not clear and the option that decides it."""
    raw = unpacked(path)
    separator = asked.separator or (separator_of(raw) if is_text(raw) else ",")
    cells = read_cells(path, separator=separator, sheet=asked.sheet, raw=raw)
    _require_header(cells)
    time_column, steps = _time_column(cells, asked)
    id_column = asked.id_column or _id_column(cells, asked, time_column)
    value_column = _value_column(cells, asked, (time_column, id_column)) if id_column else None
    rest = [value_column] if value_column else _values(cells, asked, [time_column])
    decimal = asked.decimal or decimal_of(cells, rest)
    reading = Reading(
        separator=separator,
        decimal=decimal,
        dates=_dates(cells, time_column, steps, asked.day_first),
        zone=asked.zone,
        sheet=asked.sheet,
        id_column=id_column,
        value_column=value_column,
        align=asked.align,
        keep=() if id_column else asked.columns,
        drop=() if id_column else asked.drop,
        sort=asked.sort,
        duplicates=asked.duplicates,
        fill=asked.fill,
        missing=asked.missing,
    )
    if asked.fill and asked.missing:
        raise InputError(f"{path}: {FILLED_OR_MASKED}; leave one of --fill and --missing out")
    if asked.align and not id_column:
        raise InputError(f"{path}: --align is for long files, but no column names series; name it with --id-column")
    if asked.zone and (steps or time_column is None):
        raise InputError(f"{path}: --zone is for timestamps, but the rows are numbered; leave it out")
    return Shape(cells=cells, reading=reading, time_column=time_column, steps=steps)


def _values(cells: Cells, asked: Asked, without: Sequence[str | None]) -> list[str]:
    return selected(cells, without=without, keep=asked.columns, drop=asked.drop)


def _require_header(cells: Cells) -> None:
    """A first row of a timestamp and numbers is data, which would otherwise be taken for names."""
    names = pd.Series(list(cells.frame.columns), dtype="str")
    form = form_of(names.iloc[:1])
    if form and form not in NUMBERS:
        raise InputError(
            f"{cells.path}, {cells.word} 1: the first column is named {names.iloc[0]!r}, which is a timestamp: the "
            "file has no header; put a line of names before it"
        )


def _time_column(cells: Cells, asked: Asked) -> tuple[str | None, bool]:
    """The column of time and whether it numbers rows instead of dating them."""
    names = list(cells.frame.columns)
    if asked.time_column is not None:
        if asked.time_column not in names:
            raise InputError(f"{cells.path}: no column {asked.time_column!r}; the columns are {', '.join(names)}")
        return asked.time_column, not _dated(cells, asked.time_column, named=True) and _whole(cells, asked.time_column)
    open_ = [name for name in names if name not in (*asked.drop, asked.id_column, asked.value_column)]
    dated = [name for name in open_ if _dated(cells, name, named=name.lower() in TIMES)]
    if len(dated) > 1:
        known = [name for name in dated if name.lower() in TIMES]
        if len(known) != 1:
            raise InputError(
                f"{cells.path}: several columns hold timestamps, {', '.join(dated)}; name the one that counts with "
                "--time-column, and leave the others out with --drop"
            )
        dated = known
    if dated:
        return dated[0], False
    numbering = [name for name in open_ if name.lower() in INDEXES and _whole(cells, name)]
    if numbering:
        return numbering[0], True
    unread = [name for name in open_ if name.lower() in TIMES and not is_numeric(cells, name, decimal=".")]
    if unread:
        return unread[0], False  # reading it reports which cell is not a timestamp, and what it should look like
    if texts := _texts(cells, open_, asked):
        raise InputError(
            f"{cells.path}: no column holds timestamps ({READABLE}), and {', '.join(map(repr, texts))} hold(s) text; "
            "name the column of time with --time-column, or leave text out with --drop to have the rows numbered"
        )
    return None, True


def _texts(cells: Cells, names: Sequence[str], asked: Asked) -> list[str]:
    """The columns that are read and hold no numbers, with either decimal mark."""
    read = [name for name in names if not asked.columns or name in asked.columns]
    return [name for name in read if not any(is_numeric(cells, name, decimal=mark) for mark in ".,")]


def _dated(cells: Cells, name: str, *, named: bool) -> bool:
    """Whether a column holds timestamps; a form that numbers have too counts only in a column named for time."""
    column = cells.frame[name]
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column) and not named:
        return False
    # `form_of` checks these cells first too, but with pandas, which takes too long for each of thousands of columns. It
    # stays as it is, since readers use it: a change to it would retrain every run.
    first = [str(cell).strip() for cell in column.head(GLANCED)]
    if not any(pattern.fullmatch(cell) for pattern in PATTERNS for cell in first):
        return False
    form = form_of(column)
    return form is not None and (form not in NUMBERS or (named and name.lower() not in ("t", "n")))


def _whole(cells: Cells, name: str) -> bool:
    text = cells.frame[name].astype("str").str.strip()
    return bool(text.str.fullmatch(WHOLE).all())


def _dates(cells: Cells, time_column: str | None, steps: bool, day_first: bool | None) -> str:
    if time_column is None or steps:
        return YEAR_FIRST
    if day_first is None:
        return date_order(cells, time_column)
    column = cells.frame[time_column]
    if pd.api.types.is_datetime64_any_dtype(column) or form_of(column) != TWO_FIRST:
        raise InputError(
            f"{cells.where(0, time_column)}: --day-first and --month-first are for dates such as 31/01/2024, but "
            f"{column.iloc[0]} is none; leave the option out"
        )
    return "day-first" if day_first else "month-first"


def _id_column(cells: Cells, asked: Asked, time_column: str | None) -> str | None:
    """The column that names series: one of the usual names, in a file whose timestamps repeat; else None.

    Raises InputError if a column of another name may be it.
    """
    if time_column is None or not cells.frame[time_column].duplicated().any():
        return None
    names = [name for name in cells.frame.columns if name != time_column and name not in asked.drop]
    if found := [name for name in names if name.lower() in IDS]:
        return min(found, key=lambda name: IDS.index(name.lower()))
    texts = _texts(cells, names, asked)
    if texts and cells.frame[time_column].duplicated().mean() >= REPEATED:
        raise InputError(
            f"{cells.path}: most timestamps occur more than once, as in a long file, and {', '.join(map(repr, texts))} "
            f"hold(s) text; name the column of the series, for example --id-column {texts[0]!r}, or leave text out "
            "with --drop"
        )
    return None


def _value_column(cells: Cells, asked: Asked, without: tuple[str | None, str]) -> str:
    if asked.value_column:
        return asked.value_column
    rest = _values(cells, asked, without)
    known = [name for name in rest if name.lower() in TARGETS]
    if len(rest) == 1 or len(known) == 1:
        return rest[0] if len(rest) == 1 else known[0]
    raise InputError(
        f"{cells.path}: {without[1]!r} names series, so one column holds their values, but there are "
        f"{', '.join(rest)}; name it with --value-column"
    )
