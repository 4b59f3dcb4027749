"""Turns the raw files of a data set into one canonical file, and writes down what is odd about them.

What is odd is recorded and never repaired. It has to be what the catalogue's entry says under `quirks`: a file with
other counts, or with anything that cannot be read without guessing, is refused.
"""

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.core.files import write_json
from timellama.data import nycflights13
from timellama.data.catalogue import Dataset
from timellama.data.csv_text import Text, numbers, read_text, stamp
from timellama.data.download import sha256_of
from timellama.data.m4 import archive as m4
from timellama.data.series import Series, load_series, save_series

SENTINEL = -9999.0  # data loggers' usual mark for "missing"
FAR = 10.0  # our choice: standard deviations from the mean beyond which a column's farthest cell is worth a look
LISTED = 20  # our choice: what is odd is counted in full and listed up to here


def normalise(dataset: Dataset, raw: Sequence[Path], out: Path, quirks: Path) -> None:
    """Checks the files `raw` of `dataset`; writes the canonical file `out` (.npz) and what was found, `quirks` (JSON).

    The same raw bytes give the same bytes. Raises InputError naming file, line or column, and remedy; also where a file
    is not the one that the catalogue pins.
    """
    for artifact, path in zip(dataset.files, raw, strict=True):
        if artifact.sha256 and sha256_of(path) != artifact.sha256:
            raise InputError(
                f"{path}: its SHA-256 is {sha256_of(path)}, but the catalogue's entry of {dataset.name} says "
                f"{artifact.sha256}; delete the file and let it be fetched again, or correct the entry"
            )
    if dataset.reader == "m4":
        m4.normalise(dataset, raw, out, quirks)
        return
    [path] = raw
    text = read_text(path)
    if dataset.reader == "nycflights13":
        values, time, more = nycflights13.read(text)
        columns = nycflights13.COLUMNS
    else:
        values, time, columns = _read_table(text, dataset)
        more = {"interpolated_cells": {}}
    _check_shape(dataset, path, values, columns)
    facts = _facts(dataset, text, values, time, columns) | more
    _check_quirks(dataset, path, facts)
    save_series(out, Series(values=values, time=time, columns=columns, raw_sha256=sha256_of(path)))
    load_series(out)
    write_json(quirks, facts)


def _read_table(text: Text, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Values [rows, N], stamps [rows] and the N names of a CSV with one time column."""
    if dataset.time_column not in text.header:
        near = difflib.get_close_matches(dataset.time_column or "", text.header, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{text.path}, line 1: no column {dataset.time_column!r}{hint} The columns are {', '.join(text.header)}; "
            f"set time_column of {dataset.name} in the catalogue"
        )
    at = text.header.index(dataset.time_column)
    columns = text.header[:at] + text.header[at + 1 :]
    stamps, values, previous = [], [], None
    for line, cells in text.rows:
        when = stamp(text, line, cells.pop(at), dataset.time_column)
        if previous is not None and when < previous:
            raise InputError(
                f"{text.path}, line {line}: the stamp {when} comes after {previous}; sort the rows by time"
            )
        values.append(np.array(numbers(text, line, cells, columns)))
        stamps.append(when)
        previous = when
    if not values:
        raise InputError(f"{text.path}: has a header but no rows; fetch the file again, or give one with rows")
    return np.stack(values), np.array(stamps, dtype="datetime64[s]"), columns


def _check_shape(dataset: Dataset, path: Path, values: np.ndarray, columns: Sequence[str]) -> None:
    rows, variates = values.shape
    if dataset.columns is not None and tuple(columns) != dataset.columns:
        raise InputError(
            f"{path}: the columns are {list(columns)}, but the catalogue's entry of {dataset.name} says "
            f"{list(dataset.columns)}; correct the entry, or restore the file"
        )
    for what, found, expected in (("rows", rows, dataset.rows), ("variates", variates, dataset.variates)):
        if found != expected:
            raise InputError(
                f"{path}: has {found} {what}, but the catalogue's entry of {dataset.name} says {expected}; set "
                f"{what}: {found} if that is the file you mean, or restore the file"
            )


def _facts(
    dataset: Dataset, text: Text, values: np.ndarray, time: np.ndarray, columns: Sequence[str]
) -> dict[str, object]:
    """What a person should know of the data before trusting a number made from them."""
    repeated, irregular = _steps(dataset, text.path, time)
    sentinels = (values == SENTINEL).sum(axis=0)
    constant = values.max(axis=0) == values.min(axis=0)
    return {
        "dataset": dataset.name,
        "raw": [{"path": dataset.files[0].path, "sha256": sha256_of(text.path), "bytes": text.path.stat().st_size}],
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
                {"from": str(time[i - 1]), "to": str(time[i]), "seconds": int((time[i] - time[i - 1]).astype(int))}
                for i in irregular[:LISTED]
            ],
        },
        "sentinel_cells": {name: int(n) for name, n in zip(columns, sentinels, strict=True) if n},
        "replacement_characters": text.replacement_characters,
        "constant_columns": [name for name, same in zip(columns, constant, strict=True) if same],
        "far_cells": _far_cells(values, time, columns),
        "byte_order_mark": text.byte_order_mark,
        "line_ends": text.line_ends,
        "notes": list(dataset.quirks.notes),
    }


def _steps(dataset: Dataset, path: Path, time: np.ndarray) -> tuple[list[int], list[int]]:
    """The rows whose stamp repeats the one before, and those that otherwise do not follow by one step."""
    index = pd.DatetimeIndex(time)
    try:
        offset = pd.tseries.frequencies.to_offset(dataset.frequency)
        expected = index[:-1] + offset
    except (ValueError, TypeError) as error:
        raise InputError(
            f"the frequency {dataset.frequency!r} of {dataset.name} is no pandas alias ({error}); write for example h, "
            f"15min, D, 7D or MS in the catalogue"
        ) from error
    same = index[1:] == index[:-1]
    odd = (index[1:] != expected) & ~same
    return (np.flatnonzero(same) + 1).tolist(), (np.flatnonzero(odd) + 1).tolist()


def _far_cells(values: np.ndarray, time: np.ndarray, columns: Sequence[str]) -> dict[str, dict]:
    """For each column with values beyond FAR standard deviations: how many, and the farthest."""
    distance = np.abs(values - values.mean(axis=0))
    far = distance > FAR * values.std(axis=0)
    found = {}
    for i in np.flatnonzero(far.any(axis=0)):
        row = int(distance[:, i].argmax())
        farthest = {"time": str(time[row]), "value": float(values[row, i])}
        found[columns[i]] = {"count": int(far[:, i].sum()), "farthest": farthest}
    return found


def _check_quirks(dataset: Dataset, path: Path, facts: dict) -> None:
    """InputError unless every count is the one that the catalogue says."""
    counts = {
        "repeated_stamps": facts["repeated_stamps"]["count"],
        "irregular_steps": facts["irregular_steps"]["count"],
        "sentinel_cells": sum(facts["sentinel_cells"].values()),
        "interpolated_cells": sum(facts["interpolated_cells"].values()),
        "replacement_characters": facts["replacement_characters"],
    }
    known = asdict(dataset.quirks)
    problems = [
        f"{name}: {found} found ({facts[name]}), the catalogue's entry says {known[name]}"
        for name, found in counts.items()
        if found != known[name]
    ]
    if problems:
        raise InputError(
            "\n  - ".join([f"{path}: other oddities than the entry of {dataset.name} declares", *problems])
            + f"\nCorrect the file; or, if it is meant to be so, declare the counts under quirks of {dataset.name}."
        )
