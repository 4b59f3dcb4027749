"""Turns the raw files of a data set into one canonical file, and records what is odd about them.

What is odd is repaired only where the entry's `reading` says so. The counts of both must match the entry's `quirks` and
`repairs`: a file with other counts, or with anything that cannot be read without guessing, is refused.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from timellama.core.errors import InputError
from timellama.core.files import sha256_of, write_json
from timellama.core.outside import loaded
from timellama.data.catalogue.datasets import Dataset
from timellama.data.catalogue.entries import FILE
from timellama.data.catalogue.reading import Repairs
from timellama.data.files.frequency import steps_beside
from timellama.data.reader import Rows, reader_of
from timellama.data.series import Series, load_series, save_series

SENTINEL = -9999.0  # data loggers' usual mark for "missing"
FAR = 10.0  # our choice: standard deviations from the mean beyond which a column's farthest cell is worth a look
LISTED = 20  # our choice: what is odd is counted in full, but at most this many are listed


def normalise(dataset: Dataset, raw: Sequence[Path], out: Path, quirks: Path) -> None:
    """Checks the files `raw` of `dataset`; writes the canonical file `out` (.npz) and what was found, `quirks` (JSON).

    The same raw bytes give the same output bytes. Raises InputError naming file, line or column, and remedy; also if a
    file is not the one that the catalogue pins.
    """
    for artifact, path in zip(dataset.files, raw, strict=True):
        if artifact.sha256 and sha256_of(path) != artifact.sha256:
            raise InputError(
                f"{path}: its SHA-256 is {sha256_of(path)}, but the catalogue's entry of {dataset.name} says "
                f"{artifact.sha256}; delete the file so that it is fetched again, or correct the entry"
            )
    reader = reader_of(dataset.reader)
    read = loaded(reader.read, of="reader")
    if reader.separate:
        read(dataset, raw, out, quirks)
        return
    rows = read(dataset, raw)
    where = ", ".join(map(str, raw))
    _check_rows(dataset, where, rows, masked=dataset.reading.missing is not None)
    _check_shape(dataset, where, rows)
    facts = _facts(dataset, raw, rows)
    _check_quirks(dataset, where, facts)
    digest = "+".join(sha256_of(path) for path in raw)
    save_series(out, Series(values=rows.values, time=rows.time, columns=rows.columns, raw_sha256=digest))
    load_series(out)
    write_json(quirks, facts)


def _check_rows(dataset: Dataset, where: str, rows: Rows, *, masked: bool) -> None:
    """Checks, for a reader from outside, what those of this package guarantee: shapes, numbers, timestamps in order.

    masked: whether NaN may mark a missing cell.
    """
    remedy = f"correct the reader {dataset.reader!r}"
    if not isinstance(rows, Rows):
        raise InputError(f"{where}: the reader returned a {type(rows).__name__}, not a data.reader.Rows; {remedy}")
    count = len(rows.time)
    if rows.values.shape != (count, len(rows.columns)) or rows.values.dtype != np.float64:
        raise InputError(
            f"{where}: the reader returned values {rows.values.dtype} {list(rows.values.shape)}, but {count} "
            f"timestamps and {len(rows.columns)} columns; values must be float64 of that shape; {remedy}"
        )
    odd = np.isinf(rows.values) if masked else ~np.isfinite(rows.values)
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise InputError(
            f"{where}: {rows.columns[column]!r} at {rows.time[row]} is {rows.values[row, column]}, not a finite "
            f"number; {remedy}, which may fill and count it under interpolated_cells"
        )
    if (np.diff(rows.time) < np.timedelta64(0)).any():
        raise InputError(f"{where}: the reader returned timestamps out of order; {remedy}")


def _check_shape(dataset: Dataset, where: str, read: Rows) -> None:
    rows, variates = read.values.shape
    if dataset.columns is not None and tuple(read.columns) != dataset.columns:
        raise InputError(
            f"{where}: the columns are {list(read.columns)}, but the catalogue's entry of {dataset.name} says "
            f"{list(dataset.columns)}; correct the entry, or restore the file"
        )
    for what, found, expected in (("rows", rows, dataset.rows), ("variates", variates, dataset.variates)):
        if found != expected:
            raise InputError(
                f"{where}: has {found} {what}, but the catalogue's entry of {dataset.name} says {expected}; set "
                f"{what}: {found} if that is the file you mean, or restore the file"
            )


def _facts(dataset: Dataset, raw: Sequence[Path], rows: Rows) -> dict[str, Any]:
    """What the user should know about the data before trusting a number computed from them."""
    values, time, columns = rows.values, rows.time, rows.columns
    beside = steps_beside(time, dataset.frequency, of=f" of {dataset.name}")
    repeated, irregular = ((np.flatnonzero(which) + 1).tolist() for which in beside)
    repaired = Repairs(**rows.facts.get("repairs", {})).sentence(dataset.reading)
    sentinels = (values == SENTINEL).sum(axis=0)
    constant = np.nanmax(values, axis=0) == np.nanmin(values, axis=0)
    return {
        "dataset": dataset.name,
        "raw": [
            {"path": file.path, "sha256": sha256_of(path), "bytes": path.stat().st_size}
            for file, path in zip(dataset.files, raw, strict=True)
        ],
        "rows": len(values),
        "variates": len(columns),
        "columns": list(columns),
        "first": str(time[0]),
        "last": str(time[-1]),
        "frequency": dataset.frequency,
        "repeated_stamps": {"count": len(repeated), "first": [str(time[i]) for i in repeated[:LISTED]]},
        "irregular_steps": {
            "count": len(irregular),
            "first": [
                {"from": str(time[i - 1]), "to": str(time[i]), "seconds": _seconds(time[i] - time[i - 1])}
                for i in irregular[:LISTED]
            ],
        },
        "sentinel_cells": {name: int(n) for name, n in zip(columns, sentinels, strict=True) if n},
        "constant_columns": [name for name, same in zip(columns, constant, strict=True) if same],
        "far_cells": _far_cells(values, time, columns),
        "notes": [*dataset.quirks.notes, *([f"Repaired: {repaired}."] if repaired else [])],
        "interpolated_cells": {},
        "replacement_characters": 0,
        **rows.facts,
    }


def _seconds(step: np.timedelta64) -> int | float:
    """An int where the step is a whole number."""
    seconds = float(step / np.timedelta64(1, "s"))
    return int(seconds) if seconds.is_integer() else seconds


def _far_cells(values: np.ndarray, time: np.ndarray, columns: Sequence[str]) -> dict[str, dict]:
    """For each column with values beyond FAR standard deviations: how many, and the farthest."""
    distance = np.abs(values - np.nanmean(values, axis=0))
    far = distance > FAR * np.nanstd(values, axis=0)
    found = {}
    for i in np.flatnonzero(far.any(axis=0)):
        row = int(np.nanargmax(distance[:, i]))
        farthest = {"time": str(time[row]), "value": float(values[row, i])}
        found[columns[i]] = {"count": int(far[:, i].sum()), "farthest": farthest}
    return found


def _check_quirks(dataset: Dataset, where: str, facts: dict[str, Any]) -> None:
    """Raises InputError unless every count is the one in the catalogue."""
    counts = {
        "repeated_stamps": facts["repeated_stamps"]["count"],
        "irregular_steps": facts["irregular_steps"]["count"],
        "sentinel_cells": sum(facts["sentinel_cells"].values()),
        "interpolated_cells": sum(facts["interpolated_cells"].values()),
        "replacement_characters": facts["replacement_characters"],
    }
    known = asdict(dataset.quirks)
    if dataset.reader == FILE:
        repairs = asdict(Repairs(**facts["repairs"]))
        counts |= repairs
        known |= asdict(dataset.repairs)
        facts = facts | repairs
    problems = [
        f"{name}: {found} found ({facts[name]}), the catalogue's entry says {known[name]}"
        for name, found in counts.items()
        if found != known[name]
    ]
    if problems:
        raise InputError(
            "\n  - ".join([f"{where}: other oddities than the entry of {dataset.name} declares", *problems])
            + f"\nCorrect the file; or, if it is meant to be so, declare the counts under quirks of {dataset.name}"
            + (", or under repairs what `reading` repairs." if dataset.reader == FILE else ".")
        )
