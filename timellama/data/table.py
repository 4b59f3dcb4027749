"""Reads a CSV of one column of timestamps and one column per variate: the form of most published data sets."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from timellama.core.errors import InputError
from timellama.data.catalogue.datasets import Dataset
from timellama.data.files.csv_text import numbers, read_text, stamp, written
from timellama.data.reader import Rows


def read(dataset: Dataset, raw: Sequence[Path]) -> Rows:
    """The rows of the one file. Raises InputError naming file, line, column and remedy."""
    [path] = raw
    text = read_text(path)
    if dataset.time_column not in text.header:
        near = difflib.get_close_matches(dataset.time_column or "", text.header, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{text.path}, line 1: no column {dataset.time_column!r}{hint or '.'} "
            f"The columns are {', '.join(text.header)}; set time_column of {dataset.name} in the catalogue"
        )
    at = text.header.index(dataset.time_column)
    columns = text.header[:at] + text.header[at + 1 :]
    stamps, values, previous = [], [], None
    for line, cells in text.rows:
        when = stamp(text, line, cells.pop(at), dataset.time_column)
        if previous is not None and when < previous:
            raise InputError(
                f"{text.path}, line {line}: the timestamp {when} comes after {previous}; sort the rows by time"
            )
        values.append(np.array(numbers(text, line, cells, columns)))
        stamps.append(when)
        previous = when
    if not values:
        raise InputError(f"{text.path}: has a header but no rows; fetch the file again, or give one with rows")
    time = np.array(stamps, dtype="datetime64[s]")
    return Rows(values=np.stack(values), time=time, columns=columns, facts=written(text))
