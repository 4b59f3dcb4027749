"""The cells of a file as written: CSV (packed with gzip or not), Parquet or Excel, recognised by the first bytes.

Text stays text here; what a cell means is decided in `stamps` and `measured`.
"""

import csv
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from timellama.core.errors import InputError, did_you_mean
from timellama.data.files.csv_text import BOM, read_text, unpacked, written

PARQUET = b"PAR1"  # the first bytes of a Parquet file (its format's specification, "File format")
ZIP = b"PK\x03\x04"  # the first bytes of a zip archive, which an .xlsx file is
OLD_EXCEL = b"\xd0\xcf\x11\xe0"  # the first bytes of an .xls file (MS-CFB, section 2.2)
SEPARATORS = (",", ";", "\t", "|")
SNIFFED = 20  # our choice: lines from which the separator is detected
UNNAMED = "index"  # our choice: the name of a first column without one, as pandas' to_csv writes an index


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A file's cells: a frame of text (CSV) or of values (Parquet, Excel), and where each row is in the file.

    lines: the line or row number of each row, int [rows]. facts: how the file is written, as `quirks.json` keeps it.
    """

    path: Path
    frame: pd.DataFrame
    lines: np.ndarray
    word: str
    facts: Mapping[str, Any]

    def where(self, row: int, column: str) -> str:
        """The place of a cell, with which messages begin."""
        return f"{self.path}, {self.word} {self.lines[row]}, column {column!r}"


def is_text(raw: bytes) -> bool:
    """Whether the bytes of a file are neither those of Parquet nor of Excel."""
    return not raw.startswith((PARQUET, ZIP, OLD_EXCEL))


def separator_of(raw: bytes) -> str:
    """The separator that splits the header into most cells and each of the next lines into as many; else a comma."""
    lines = io.StringIO(raw.removeprefix(BOM).decode("utf-8", errors="replace"), newline="")
    first = [line for line in (lines.readline() for _ in range(SNIFFED)) if line.strip()]
    best, most = ",", 1
    for separator in SEPARATORS:
        try:
            counts = [len(cells) for cells in csv.reader(first, delimiter=separator)]
        except csv.Error:
            continue
        if counts and len(set(counts)) == 1 and counts[0] > most:
            best, most = separator, counts[0]
    if most > 1 or not first:
        return best
    # No separator fits every line. With the most frequent one in the header, the message names the line that differs.
    return max(SEPARATORS, key=first[0].count)


def read_cells(path: Path, *, separator: str, sheet: str | None, raw: bytes | None = None) -> Cells:
    """The cells of the file at `path`; `raw` holds its unpacked bytes, if already read.

    Raises InputError naming file, place and remedy if it cannot be read.
    """
    raw = unpacked(path) if raw is None else raw
    if raw.startswith(PARQUET):
        cells = _parquet(path, raw)
    elif raw.startswith(OLD_EXCEL):
        raise InputError(f"{path}: is an .xls file, an old form of Excel; save it as .xlsx or as CSV")
    elif raw.startswith(ZIP):
        cells = _excel(path, raw, sheet)
    else:
        cells = _text(path, raw, separator)
    if not len(cells.frame):
        raise InputError(f"{path}: has a header but no rows; give a file with rows")
    return cells


def _text(path: Path, raw: bytes, separator: str) -> Cells:
    text = read_text(path, raw=raw, separator=separator, lone=True)
    lines, rows = [], []
    for line, cells in text.rows:
        lines.append(line)
        rows.append(cells)
    frame = pd.DataFrame(rows, columns=_named(path, text.header), dtype="str")
    return Cells(path=path, frame=frame, lines=np.array(lines), word="line", facts=written(text))


def _named(path: Path, header: tuple[str, ...]) -> list[str]:
    """The header with a name for a first column that has none."""
    if header[0].strip():
        return list(header)
    if UNNAMED in header:
        raise InputError(f"{path}, line 1: column 1 has no name, and another is named {UNNAMED!r}; name every column")
    return [UNNAMED, *header[1:]]


def _parquet(path: Path, raw: bytes) -> Cells:
    try:
        frame = pd.read_parquet(io.BytesIO(raw), engine="pyarrow")
    except Exception as error:  # for a damaged file, pyarrow and pandas raise whatever their parts do
        raise InputError(f"{path}: is Parquet, but cannot be read ({error}); write the file again") from error
    if not isinstance(frame.index, pd.RangeIndex):
        names = [name or UNNAMED for name in frame.index.names]
        if set(names) & set(frame.columns):
            raise InputError(f"{path}: the index and a column are both named {names}; name them differently")
        frame = frame.rename_axis(index=names).reset_index()
    return _typed(path, frame, first=1)


def _excel(path: Path, raw: bytes, sheet: str | None) -> Cells:
    try:
        import openpyxl  # noqa: F401 -- an extra
    except ImportError as error:
        raise InputError(
            f"{path}: is an Excel file, which needs openpyxl; install it (pip install 'timellama[excel]'), or save the "
            "file as CSV"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about styles and print settings, not about values
            sheets = pd.read_excel(io.BytesIO(raw), sheet_name=None, dtype=object, engine="openpyxl")
    except Exception as error:  # for a damaged file, openpyxl and zipfile raise whatever their parts do
        raise InputError(
            f"{path}: is a zip archive, but not a readable Excel file ({error}); unpack it, or save the file again"
        ) from error
    filled = {name: frame for name, frame in sheets.items() if len(frame.columns)}
    if sheet is None and len(filled) == 1:
        [sheet] = filled
    if sheet not in filled:
        hint = did_you_mean(sheet, filled) if sheet else ""
        asked = f"has no sheet {sheet!r} with cells" if sheet else f"has {len(filled)} sheets with cells"
        raise InputError(f"{path}: {asked}; name one with --sheet ({', '.join(filled)}){hint}")
    frame = filled[sheet]
    unnamed = [name for name in frame.columns if str(name).startswith("Unnamed: ")]
    if unnamed and unnamed[0] == frame.columns[0] and UNNAMED not in frame.columns:
        frame = frame.rename(columns={unnamed.pop(0): UNNAMED})
    if unnamed:
        number = list(frame.columns).index(unnamed[0]) + 1
        raise InputError(f"{path}, row 1: column {number} has no name; name every column")
    return _typed(path, frame.infer_objects(), first=2)


def _typed(path: Path, frame: pd.DataFrame, *, first: int) -> Cells:
    """A frame of values; `first` is the number of its first row in the file."""
    names = [str(name) for name in frame.columns]
    for i, name in enumerate(names):
        if not name.strip() or name in names[:i]:
            raise InputError(
                f"{path}: column {i + 1} is named {name!r}, like another or not at all; give it its own name"
            )
    frame = frame.set_axis(names, axis="columns").reset_index(drop=True)
    lines = np.arange(first, first + len(frame))
    lost = sum(name.count("\ufffd") for name in names)
    return Cells(path=path, frame=frame, lines=lines, word="row", facts={"replacement_characters": lost})
