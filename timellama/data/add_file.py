"""Turns a user-supplied file into a catalogue entry: read, checked, described, and appended to the catalogue as text.

Everything that the workflow checks later is checked here first, by the same code: the entry is written into a copy of
the catalogue, the copy is loaded, and the file is normalised with it. Only then is the entry added to
`config/local/datasets.yaml`, which git ignores; the existing content of that file is not changed.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from timellama.core.errors import InputError
from timellama.core.files import atomic, sha256_of
from timellama.data.canonicalise import SENTINEL, normalise
from timellama.data.catalogue.datasets import Dataset, load_catalogue
from timellama.data.catalogue.entries import FILE, NAME
from timellama.data.catalogue.reading import STEP, Reading, Repairs, plural
from timellama.data.files.detect import Asked, shape_of
from timellama.data.files.file_reader import filled_rows, ordered_rows
from timellama.data.files.frequency import NEEDED, frequency_of, offset_of, season_of, steps_beside
from timellama.data.files.repair import shown
from timellama.data.files.stamps import in_zone
from timellama.data.splits import Split, count_windows, train_rows

STEPS = {"min": "minute", "h": "hour", "D": "day", "7D": "week", "MS": "month", "QS": "quarter", "YS": "year"}
STEPS |= {"B": "business day", "ME": "month", "QE": "quarter", "YE": "year", STEP: "step"}
NAMED = 8  # our choice: columns named in a generated prompt
SUFFIXES = (".csv", ".csv.gz", ".parquet", ".xlsx")  # that a copy of the file keeps; any other becomes .csv
BEGINNING = """# yaml-language-server: $schema=../schema/datasets.json
# Your own data sets, as `timellama data add` writes them. They stand beside those of config/datasets.yaml.

datasets:
"""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a file holds, before anybody has said what it should hold.

    time_column: None where rows are numbered in file order. first, last: timestamps, in the zone if there is
    one. dated: whether timestamps with a zone are dates in it, not moments. quirks: counts that are not 0, by the
    catalogue's names. places: the timestamp of the first of each. constant: the columns in which nothing changes.
    late: the row of the first value of each column in which the rows before it are missing.
    """

    time_column: str | None
    columns: tuple[str, ...]
    rows: int
    first: str
    last: str
    zone: str | None
    dated: bool
    frequency: str
    season: int
    quirks: dict[str, int]
    places: dict[str, str]
    reading: Reading
    repairs: Repairs
    constant: tuple[str, ...]
    late: Mapping[str, int]

    @property
    def oddities(self) -> str:
        """The quirks, each with its count and the place of the first."""
        parts = []
        for name, count in self.quirks.items():
            place = f" (the first at {self.places[name]})" if name in self.places else ""
            parts.append(plural(count, name.replace("_", " ")[:-1]) + place)
        return ", ".join(parts)

    @property
    def told(self) -> list[str]:
        """What the user should know about how the file was read, one sentence each."""
        kept = "timestamps are dates" if self.dated else "timestamps are kept in UTC"
        zone = f"{kept}; the zone of the file is {self.zone}" if self.zone else ""
        repaired = self.repairs.sentence(self.reading)
        parts = [
            "rows are numbered, not dated" if self.frequency == STEP else "",
            zone,
            f"dates are {self.reading.dates}" if self.reading.dates != "year-first" else "",
            f"a long file: {self.reading.id_column!r} names the series" if self.reading.id_column else "",
            f"left out: {', '.join(self.reading.drop)}" if self.reading.drop else "",
            f"repaired: {repaired}" if repaired else "",
            f"constant and kept: {', '.join(self.constant)}" if self.constant else "",
        ]
        return [part for part in parts if part]


def inspect_file(
    path: Path, *, asked: Asked | None = None, frequency: str | None = None, season: int | None = None
) -> Found:
    """Read a file strictly and report what it holds; whatever is None is detected.

    Raises InputError, naming line or row and column, for a cell that is not a finite number or timestamp, for what only
    a repair that was not requested could fix, and where the shape or the frequency is not clear.
    """
    shape = shape_of(path, asked=asked or Asked())
    ordered = ordered_rows(shape.cells, shape.reading, time_column=shape.time_column, steps=shape.steps)
    if len(ordered.timed.time) < NEEDED:
        raise InputError(f"{path}: {len(ordered.timed.time)} row(s) do not determine a frequency; give more rows")
    if frequency is None:
        frequency = STEP if shape.steps else frequency_of(path, pd.DatetimeIndex(ordered.timed.time))
    elif (frequency == STEP) != shape.steps:
        raise InputError(f"{path}: --frequency {STEP} is for numbered rows only")
    try:
        offset_of(frequency)
    except InputError as error:
        raise InputError(f"--frequency: {error}") from error
    season = season or season_of(frequency)
    rows = filled_rows(shape.cells, ordered, shape.reading, frequency=frequency, season=season)
    index = pd.DatetimeIndex(rows.time)
    same, odd = steps_beside(rows.time, frequency)
    sentinels = (rows.values == SENTINEL).any(axis=1)
    counts = {
        "repeated_stamps": int(same.sum()),
        "irregular_steps": int(odd.sum()),
        "sentinel_cells": int((rows.values == SENTINEL).sum()),
        "replacement_characters": int(rows.facts["replacement_characters"]),
    }
    at = {"repeated_stamps": (same, 1), "irregular_steps": (odd, 1), "sentinel_cells": (sentinels, 0)}
    places = {
        name: shown(rows.time[int(where.argmax()) + behind]) for name, (where, behind) in at.items() if where.any()
    }
    constant = np.nanmax(rows.values, axis=0) == np.nanmin(rows.values, axis=0)
    first_values = (~np.isnan(rows.values)).argmax(axis=0)
    zone = ordered.zone
    first, last = (in_zone(rows.time[i], zone) if zone and not ordered.dated else str(index[i]) for i in (0, -1))
    return Found(
        time_column=shape.time_column,
        columns=tuple(rows.columns),
        rows=len(rows.values),
        first="step 0" if shape.steps else first,
        last=f"step {len(rows.values) - 1}" if shape.steps else last,
        zone=zone,
        dated=ordered.dated,
        frequency=frequency,
        season=season,
        quirks={name: number for name, number in counts.items() if number},
        places=places,
        reading=shape.reading,
        repairs=Repairs(**rows.facts["repairs"]),
        constant=tuple(name for name, still in zip(rows.columns, constant, strict=True) if still),
        late={name: int(row) for name, row in zip(rows.columns, first_values, strict=True) if row},
    )


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
    """The entry in the form of the catalogue."""
    shown = ", ".join(found.columns[:NAMED]) + (" and others" if len(found.columns) > NAMED else "")
    step = STEPS.get(found.frequency, found.frequency)
    written = (
        f"{name}: {found.rows} rows from {found.first} to {found.last}, one row every {step}, of "
        f"{len(found.columns)} variate(s): {shown}."
    )
    written = written.replace("{", "{{").replace("}", "}}")
    task = "Task: from the last {context} rows, forecast the next {horizon} rows of every variate."
    file: dict[str, Any] = {"path": f"own/{name}{_suffix(source)}", "source": source}
    if sha256:
        file |= {"sha256": sha256, "bytes": size}
    split = {"rule": "ratio"} | dict(zip(("train", "validation", "test"), ratio, strict=True))
    entry = {
        "reader": FILE,
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
    kept = {"quirks": dict(found.quirks), "reading": found.reading.chosen, "repairs": found.repairs.counted}
    return {key: value for key, value in (entry | kept).items() if value or key not in kept}


def _suffix(source: str) -> str:
    return next((suffix for suffix in reversed(SUFFIXES) if source.lower().endswith(suffix)), ".csv")


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as elsewhere in the catalogue."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def as_text(name: str, entry: Mapping[str, Any]) -> str:
    """The entry as the lines that are appended to the catalogue."""
    dumped = yaml.dump({name: dict(entry)}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"  {line}\n" for line in dumped.splitlines())


def require_plain(found: Found, file: Path) -> None:
    """Raises InputError for a file in which something is odd, naming it and every way to continue."""
    if found.quirks:
        raise InputError(
            f"{file}: {found.oddities}; correct the file, repair it (--fill linear, previous or seasonal adds missing "
            "rows, --missing mask keeps them missing, --duplicates first, last or mean merges duplicate timestamps, "
            "--zone reads local time), or declare them with --accept-quirks if they are real"
        )


def require_windows(found: Found, split: Split, *, context: int, horizon: int) -> dict[str, int]:
    """Windows of each part.

    Raises InputError if a part has none, naming what would give some, and for a column that begins after training.
    """
    fitted = train_rows(split, rows=found.rows)
    for name, row in found.late.items():
        if row >= fitted:
            raise InputError(
                f"the column {name!r} has no value in the {fitted} training rows, which set its scale; leave it out "
                "with --drop, or change --split"
            )
    counts = count_windows(split, rows=found.rows, context=context, horizon=horizon, train_percent=100)
    empty = [part for part, number in counts.items() if number < 1]
    if empty:
        raise InputError(
            f"{found.rows} rows split {split.train:g}/{split.validation:g}/{split.test:g} leave no "
            f"{' and no '.join(empty)} window at context {context} and horizon {horizon}: shorten them with --context "
            "and --horizon, change --split, or give more rows"
        )
    return counts


def add_entry(
    catalogue: Path,
    name: str,
    entry: Mapping[str, Any],
    file: Path,
    *,
    own: Path,
    write: bool,
    published: bool = False,
) -> Dataset:
    """Append an entry to the user's `own` catalogue, after both have been loaded and the file read.

    published: whether a file of a published data set may be added as another data set.
    Raises InputError for a name that is invalid or taken, for a file that is already in a catalogue, and for everything
    that the catalogue's own checks and `normalise` refuse; the user's catalogue is then unchanged.
    """
    if not re.fullmatch(NAME, name):
        raise InputError(f"{name!r}: a name has letters, digits, '_', '.' and '-' and starts with a letter or digit")
    before = load_catalogue(catalogue, own=own)
    if known := next((known for known in before.values() if known.name.lower() == name.lower()), None):
        place = own if known.local else catalogue
        raise InputError(f"{place} already has a data set {known.name!r}; choose another --name than {name!r}")
    digest = sha256_of(file)
    for other in (each for each in before.values() if each.local or not published):
        sources = [Path(each.source).expanduser().resolve() for each in other.files if each.is_local]
        alike = other.reading == Reading(**_tuples(entry.get("reading", {})))
        if alike and (file.resolve() in sources or digest in {each.sha256 for each in other.files}):
            place = own if other.local else catalogue
            raise InputError(f"{file} is already in {place} as {other.name}, read in the same way; use that name")
    text = own.read_text(encoding="utf-8") if own.is_file() else BEGINNING
    text += "" if text.endswith("\n") else "\n"
    text += ("\n" if own.is_file() else "") + as_text(name, entry)
    with tempfile.TemporaryDirectory(prefix="timellama-add-") as folder:
        draft = Path(folder) / own.name
        draft.write_text(text, encoding="utf-8")
        after = load_catalogue(catalogue, own=draft)
        if {known: after.get(known) for known in before} != before or set(after) != {*before, name}:
            raise InputError(f"{own} does not end with its data sets; move what follows them to its beginning")
        normalise(after[name], [file], Path(folder) / "series.npz", Path(folder) / "quirks.json")
    if write:
        with atomic(own) as written:
            written.write(text.encode())
    return after[name]


def _tuples(reading: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in reading.items()}
