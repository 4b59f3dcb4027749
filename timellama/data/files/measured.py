"""What the columns of values mean: numbers with a decimal point or comma, missing cells, and columns of text."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from timellama.core.errors import InputError, did_you_mean
from timellama.data.files.cells import Cells

# What programs write for a missing value: nothing, R's and pandas' marks, databases' and spreadsheets'.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "<NA>", "null", "NULL", "None", "#N/A")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+", re.ASCII)


def selected(cells: Cells, *, without: Sequence[str | None], keep: Sequence[str], drop: Sequence[str]) -> list[str]:
    """The columns of values in the file's order: all but `without` and `drop`, or only those of `keep`.

    Raises InputError for a column that the file does not have, and if none is left.
    """
    names = list(cells.frame.columns)
    for option, wanted in (("--columns", keep), ("--drop", drop)):
        for name in wanted:
            if name not in names:
                hint = did_you_mean(name, names)
                raise InputError(
                    f"{cells.path}: no column {name!r}, which {option} names; it has {', '.join(names)}{hint}"
                )
            if name in without:
                raise InputError(f"{cells.path}: {option} names {name!r}, which is not a value column; leave it out")
    found = [name for name in names if name not in without and name not in drop and (not keep or name in keep)]
    if not found:
        raise InputError(f"{cells.path}: no column of values is left of {', '.join(names)}; give one, or drop fewer")
    return found


def decimal_of(cells: Cells, columns: Sequence[str]) -> str:
    """The decimal mark of a text file's numbers: a comma where cells have one and read as numbers only with it.

    Raises InputError if every comma may instead separate thousands.
    """
    unclear = None
    for name in columns:
        column = cells.frame[name]
        if not _is_text(column) or "," not in "".join(map(str, column.to_numpy(object))):
            continue
        text = column.astype("str").str.strip()
        with_comma = text[text.str.fullmatch(COMMA).fillna(False)]
        if with_comma.empty:
            continue
        if not with_comma.str.fullmatch(THOUSANDS).all():
            return ","
        unclear = unclear or (int(with_comma.index[0]), name)
    if unclear:
        row, name = unclear
        raise InputError(
            f"{cells.where(row, name)}: the comma of {cells.frame[name].iloc[row]!r} may be a decimal mark or "
            "separate thousands, and no cell decides it; use --decimal ',' if it is a decimal mark, else write the "
            "numbers without it"
        )
    return "."


def is_numeric(cells: Cells, name: str, *, decimal: str) -> bool:
    """Whether at least half of the nonmissing cells of a column are numbers."""
    column = cells.frame[name]
    if not _is_text(column):
        return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if decimal == "." and _at_once(column) is not None:
        return True
    text, missing = _plain(column, decimal)
    fits = text.str.fullmatch(NUMBER).fillna(False).to_numpy(bool)
    return bool(fits.sum() >= (~missing).sum() / 2)


def values_of(cells: Cells, columns: Sequence[str], *, decimal: str) -> np.ndarray:
    """The numbers of `columns`, float64 [rows, columns]; NaN stands for a missing cell.

    Raises InputError for a column of text and, naming row and column, for a cell that is not a finite number.
    """
    texts = [name for name in columns if not is_numeric(cells, name, decimal=decimal)]
    if texts:
        row = int(cells.frame[texts[0]].notna().to_numpy().argmax())
        raise InputError(
            f"{cells.where(row, texts[0])}: {cells.frame[texts[0]].iloc[row]!r} is not a number, nor are most cells of "
            f"{', '.join(map(repr, texts))}; leave such columns out with "
            f"{' '.join(f'--drop {_quoted(name)}' for name in texts)}"
        )
    values = np.empty((len(cells.frame), len(columns)))
    for i, name in enumerate(columns):
        values[:, i] = _column(cells, name, decimal)
    return values


def _column(cells: Cells, name: str, decimal: str) -> np.ndarray:
    column = cells.frame[name]
    if decimal == "." and _is_text(column) and (values := _at_once(column)) is not None:
        return values
    if _is_text(column):
        text, missing = _plain(column, decimal)
        wrong = ~(text.str.fullmatch(NUMBER).fillna(False).to_numpy(bool) | missing)
        if not wrong.any():
            # Python's float reads every digit exactly, which pandas' to_numeric does not promise.
            numbers = text.to_numpy(object)
            numbers[missing] = "nan"
            values = numbers.astype(np.float64)
            wrong = ~(np.isfinite(values) | missing)
    else:
        values = column.to_numpy(np.float64, na_value=np.nan)
        wrong = np.isinf(values)
    if wrong.any():
        row = int(wrong.argmax())
        cell = column.iloc[row]
        comma = f"; its decimal mark is taken to be {decimal!r}" if "," in str(cell) or "." in str(cell) else ""
        raise InputError(
            f"{cells.where(row, name)}: {cell!r} is not a finite plain number{comma}; correct the cell, leave it empty "
            f"and use --fill, or leave the column out with --drop {_quoted(name)}"
        )
    return values


def _at_once(column: pd.Series) -> np.ndarray | None:
    """The numbers of a column in which every cell is one, as in nearly all; None if a cell needs a closer look."""
    cells = column.to_numpy(object)
    try:
        values = cells.astype(np.float64)
        joined = "".join(cells)
    except (ValueError, TypeError):
        return None
    # float() reads 1_000, the digits of other scripts, nan and inf too; none of them is a measured value
    return values if "_" not in joined and joined.isascii() and np.isfinite(values).all() else None


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column)


def _plain(column: pd.Series, decimal: str) -> tuple[pd.Series, np.ndarray]:
    """The cells with a decimal point, and which of them are missing, bool [rows]."""
    text = column.astype("str").str.strip()
    missing = (text.isna() | text.isin(MISSING)).to_numpy(bool)
    if decimal == ",":
        # A point beside a decimal comma would separate thousands, which is not guessed: the cell is left as no number.
        text = text.str.replace(".", "?", regex=False).str.replace(",", ".", regex=False)
    return text, missing


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else f"'{name}'"
