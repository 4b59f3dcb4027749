"""A user-supplied CSV becomes an entry of the catalogue: read, checked, described, and appended to the file as text.

Everything that the workflow will check later is checked here first, by the same code: the entry is written into a copy
of the catalogue, the copy is loaded, and the file is normalised by it. Only then is the catalogue itself replaced, and
nothing that stood in it is touched.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from timellama.core.errors import InputError
from timellama.core.files import atomic
from timellama.data.canonicalise import SENTINEL, normalise
from timellama.data.catalogue import Dataset, load_catalogue
from timellama.data.catalogue_models import NAME
from timellama.data.csv_text import STAMP, Text, numbers, read_text, stamp
from timellama.data.download import sha256_of
from timellama.data.splits import Split, count_windows

DAY = 86400  # seconds
# Our choice: a season is a day of rows that are less than a day apart, else a week of days, a year of the rest.
SEASONS = {"D": 7, "B": 5, "W": 52, "7D": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4}
MONTHS = {1: "MS", 3: "QS", 12: "YS"}  # pandas' names of steps of that many months
MONTH_ENDS = {1: "ME", 3: "QE", 12: "YE"}
STEPS = {"min": "minute", "h": "hour", "D": "day", "7D": "week", "MS": "month", "QS": "quarter", "YS": "year"}
NAMED = 8  # our choice: columns named in a prompt that nobody has written


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a CSV holds, before anybody has said what it should hold."""

    time_column: str
    columns: tuple[str, ...]
    rows: int
    first: str
    last: str
    frequency: str
    season: int
    quirks: dict[str, int]  # counts that are not 0, by the catalogue's names


def inspect_csv(path: Path, *, time_column: str | None, frequency: str | None, season: int | None) -> Found:
    """Read a CSV strictly and say what it holds; what is None is found out.

    Raises InputError naming line and column for a cell that is no finite number or no time stamp, for stamps out of
    order, and where the time column or the frequency is not clear.
    """
    text = read_text(path)
    rows = list(text.rows)
    if len(rows) < 3:
        raise InputError(f"{path}: {len(rows)} row(s) do not determine a frequency; give a file with more")
    at = text.header.index(time_column) if time_column in text.header else _time_column(text, rows, time_column)
    columns = text.header[:at] + text.header[at + 1 :]
    stamps, sentinels = [], 0
    for line, cells in rows:
        when = stamp(text, line, cells[at], text.header[at])
        if stamps and when < stamps[-1]:
            raise InputError(f"{path}, line {line}: the stamp {when} comes after {stamps[-1]}; sort the rows by time")
        stamps.append(when)
        sentinels += numbers(text, line, cells[:at] + cells[at + 1 :], columns).count(SENTINEL)
    index = pd.DatetimeIndex(stamps)
    frequency = frequency or _frequency(path, index)
    try:
        offset = pd.tseries.frequencies.to_offset(frequency)
    except ValueError:
        raise InputError(f"--frequency is {frequency!r}; give pandas' alias of the step: h, 15min, D, 7D, MS") from None
    same = index[1:] == index[:-1]
    odd = (index[1:] != index[:-1] + offset) & ~same
    counts = {
        "repeated_stamps": int(same.sum()),
        "irregular_steps": int(odd.sum()),
        "sentinel_cells": sentinels,
        "replacement_characters": text.replacement_characters,
    }
    return Found(
        time_column=text.header[at],
        columns=columns,
        rows=len(rows),
        first=str(index[0]),
        last=str(index[-1]),
        frequency=frequency,
        season=season or _season(frequency),
        quirks={name: number for name, number in counts.items() if number},
    )


def _time_column(text: Text, rows: Sequence[tuple[int, list[str]]], wanted: str | None) -> int:
    if wanted is not None:
        raise InputError(f"{text.path}, line 1: no column {wanted!r}; the columns are {', '.join(text.header)}")
    fitting = [i for i in range(len(text.header)) if STAMP.fullmatch(rows[0][1][i])]
    if len(fitting) != 1:
        found = "several columns hold" if fitting else "no column holds"
        raise InputError(
            f"{text.path}: {found} time stamps written YYYY-MM-DD hh:mm:ss in the first row; write them so, and name "
            f"the column with --time-column ({', '.join(text.header)})"
        )
    return fitting[0]


def _frequency(path: Path, index: pd.DatetimeIndex) -> str:
    """The alias of the step that most rows take."""
    months = np.diff(index.year * 12 + index.month)
    for aliases, there in ((MONTHS, index.is_month_start), (MONTH_ENDS, index.is_month_end)):
        if there.all() and (index == index.normalize()).all() and months.min() > 0:
            [(step, often)] = Counter(months.tolist()).most_common(1)
            if step in aliases and often > len(months) / 2:
                return aliases[step]
    steps = np.diff(index.to_numpy()).astype("timedelta64[s]").astype(np.int64)
    [(step, often)] = Counter(steps.tolist()).most_common(1)
    if step == 0 or often <= len(steps) / 2:
        raise InputError(f"{path}: no step is that of most rows; name it with --frequency (h, 15min, D, 7D, MS)")
    if step % DAY == 0:
        return "D" if step == DAY else f"{step // DAY}D"
    return pd.tseries.frequencies.to_offset(pd.Timedelta(step, "s")).freqstr


def _season(frequency: str) -> int:
    offset = pd.tseries.frequencies.to_offset(frequency)
    try:
        seconds = pd.Timedelta(offset).total_seconds()
    except ValueError:
        return SEASONS.get(frequency.split("-")[0], 1)
    return max(1, round(DAY / seconds)) if seconds < DAY else SEASONS.get(frequency, 1)


def describe(
    found: Found,
    *,
    name: str,
    source: str,
    sha256: str | None,
    size: int,
    ratio: Sequence[float],
    licence: str,
    domain: str,
    prompt: str | None,
) -> dict[str, Any]:
    """The entry, as the catalogue has it."""
    shown = ", ".join(found.columns[:NAMED]) + (" and others" if len(found.columns) > NAMED else "")
    step = STEPS.get(found.frequency, found.frequency)
    written = (
        f"{name}: {found.rows} rows from {found.first} to {found.last}, one row every {step}, of "
        f"{len(found.columns)} variate(s): {shown}."
    )
    written = written.replace("{", "{{").replace("}", "}}")
    task = "Task: from the last {context} rows, forecast the next {horizon} rows of every variate."
    file: dict[str, Any] = {"path": f"own/{name}.csv", "source": source}
    if sha256:
        file |= {"sha256": sha256, "bytes": size}
    split = {"rule": "ratio"} | dict(zip(("train", "validation", "test"), ratio, strict=True))
    entry = {
        "reader": "table",
        "files": [file],
        "rows": found.rows,
        "variates": len(found.columns),
        "columns": list(found.columns),
        "frequency": found.frequency,
        "season": found.season,
        "split": split,
        "time_column": found.time_column,
        "licence": licence,
        "domain": domain,
        "prompt": prompt or f"{written} {task}",
    }
    return entry | ({"quirks": dict(found.quirks)} if found.quirks else {})


class _Dumper(yaml.SafeDumper):
    """Lists stand further in than their key, as elsewhere in the catalogue."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def as_text(name: str, entry: Mapping[str, Any]) -> str:
    """The entry as the lines that are appended to the catalogue."""
    dumped = yaml.dump({name: dict(entry)}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"  {line}\n" for line in dumped.splitlines())


def require_windows(found: Found, split: Split, *, context: int, horizon: int) -> dict[str, int]:
    """Windows of each part. Raises InputError where a part has none, naming what would have some."""
    counts = count_windows(split, rows=found.rows, context=context, horizon=horizon, train_percent=100)
    empty = [part for part, number in counts.items() if number < 1]
    if empty:
        raise InputError(
            f"{found.rows} rows split {split.train:g}/{split.validation:g}/{split.test:g} leave no "
            f"{' and no '.join(empty)} window at context {context} and horizon {horizon}: shorten them with --context "
            "and --horizon, change --split, or give more rows"
        )
    return counts


def add_entry(catalogue: Path, name: str, entry: Mapping[str, Any], csv: Path, *, write: bool) -> Dataset:
    """Append an entry to the catalogue, after the catalogue with it has been loaded and the file read by it.

    Raises InputError for a name that cannot be one or is taken, for a file that is in the catalogue already, and
    for everything that the catalogue's own checks and `normalise` refuse; the catalogue is then as it was.
    """
    if not re.fullmatch(NAME, name):
        raise InputError(f"{name!r}: a name is letters, digits, '_', '.' and '-' and starts with a letter or digit")
    before = load_catalogue(catalogue)
    if name.lower() in {known.lower() for known in before}:
        raise InputError(f"{catalogue} has a data set {name!r} already; choose another --name")
    digest = sha256_of(csv)
    for other in before.values():
        sources = [Path(file.source).expanduser().resolve() for file in other.files if file.is_local]
        if csv.resolve() in sources or digest in {file.sha256 for file in other.files}:
            raise InputError(f"{csv} is in {catalogue} already, as {other.name}; use that name")
    text = catalogue.read_text(encoding="utf-8")
    text += "" if text.endswith("\n") else "\n"
    text += "\n" + as_text(name, entry)
    with tempfile.TemporaryDirectory(prefix="timellama-add-") as folder:
        draft = Path(folder) / "datasets.yaml"
        draft.write_text(text, encoding="utf-8")
        after = load_catalogue(draft)
        if {known: after.get(known) for known in before} != before or set(after) != {*before, name}:
            raise InputError(f"{catalogue} does not end with its data sets; move what follows them to its beginning")
        normalise(after[name], [csv], Path(folder) / "series.npz", Path(folder) / "quirks.json")
    if write:
        with atomic(catalogue) as file:
            file.write(text.encode())
    return after[name]
