"""The M4 competition's series: from the published CSVs to one canonical file for each frequency.

Each row of a file is a series: its id, then its values; rows are of unequal length and padded with empty cells. The
training and the test file list the same series in the same order.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from timellama.core.errors import InputError
from timellama.core.files import sha256_of, write_arrays, write_json
from timellama.data.catalogue.datasets import Dataset
from timellama.data.files.csv_text import numbers, read_text
from timellama.data.m4.frequencies import FREQUENCIES, Frequency
from timellama.data.m4.series import load_m4


def normalise(dataset: Dataset, raw: Sequence[Path], out: Path, quirks: Path) -> None:
    """Checks the training and the test file, writes the canonical file `out` (.npz) and what was found to `quirks`.

    Raises InputError for a cell that is not a number, a gap within a series, a test row whose length is not the
    horizon, a training series too short to hold out a target, other ids, another order, or another number of series.
    """
    if dataset.frequency not in FREQUENCIES:
        raise InputError(
            f"{dataset.name}: M4 has no frequency {dataset.frequency!r}; use one of {', '.join(FREQUENCIES)}"
        )
    frequency = FREQUENCIES[dataset.frequency]
    if dataset.season != frequency.season:
        raise InputError(
            f"{dataset.name}: season is {dataset.season}, but M4's is {frequency.season}; correct the entry"
        )
    train_path, test_path = raw
    train, test = _read(train_path), _read(test_path)
    _check(dataset, train_path, test_path, train, test, frequency)
    lengths = np.array([len(values) for values in train.values()])
    arrays = {
        "values": np.concatenate(list(train.values())),
        "offsets": np.concatenate([[0], lengths.cumsum()]).astype(np.int64),
        "ids": np.array(list(train), dtype=np.str_),
        "test": np.stack(list(test.values())),
        "season": np.array([frequency.season], dtype=np.int64),
        "raw_sha256": np.array(["+".join(sha256_of(path) for path in raw)], dtype=np.str_),
    }
    write_arrays(out, arrays)
    load_m4(out)
    files = zip(dataset.files, raw, strict=True)
    facts = {
        "dataset": dataset.name,
        "raw": [{"path": f.path, "sha256": sha256_of(p), "bytes": p.stat().st_size} for f, p in files],
        "series": len(train),
        "horizon": frequency.horizon,
        "season": frequency.season,
        "frequency": dataset.frequency,
        "training_lengths": {
            "shortest": int(lengths.min()),
            "median": float(np.median(lengths)),
            "longest": int(lengths.max()),
        },
        "training_values": int(lengths.sum()),
        "constant_series": [name for name, values in train.items() if values.min() == values.max()],
        "values_not_positive": int((arrays["values"] <= 0).sum() + (arrays["test"] <= 0).sum()),
        "notes": list(dataset.quirks.notes),
    }
    write_json(quirks, facts)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The series of a file by id, in the file's order."""
    text = read_text(path, ragged=True)
    series = {}
    for line, cells in text.rows:
        name, rest = cells[0], cells[1:]
        length = next((i for i in range(len(rest), 0, -1) if rest[i - 1].strip()), 0)
        if not name or name in series:
            raise InputError(f"{path}, line {line}: the id {name!r} is empty or a duplicate; fetch the file again")
        if not length:
            raise InputError(f"{path}, line {line}: the series {name} has no values; fetch the file again")
        series[name] = np.array(numbers(text, line, rest[:length], text.header[1 : length + 1]))
    if not series:
        raise InputError(f"{path}: has a header but no series; fetch the file again")
    return series


def _check(
    dataset: Dataset,
    train_path: Path,
    test_path: Path,
    train: dict[str, np.ndarray],
    test: dict[str, np.ndarray],
    frequency: Frequency,
) -> None:
    for path, series in ((train_path, train), (test_path, test)):
        if len(series) != dataset.rows:
            raise InputError(
                f"{path}: holds {len(series)} series, but the catalogue's entry of {dataset.name} says "
                f"{dataset.rows} rows; restore the file, or correct the entry"
            )
    for position, (a, b) in enumerate(zip(train, test, strict=True)):
        if a != b:
            raise InputError(
                f"{test_path}: series {position + 1} is {b}, but {a} in {train_path}; both files must list the same "
                "series in the same order; fetch them again"
            )
    for name, values in test.items():
        if len(values) != frequency.horizon:
            raise InputError(f"{test_path}: {name} has {len(values)} test values, expected {frequency.horizon}")
    for name, values in train.items():
        if len(values) <= frequency.horizon:
            raise InputError(
                f"{train_path}: {name} has {len(values)} training values; more than {frequency.horizon} are needed "
                "to hold out a target and keep a context"
            )
