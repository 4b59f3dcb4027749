"""Rows of a CSV in which cells and rows may be missing, for a run that was trained with missing values.

Missing values stay missing. The last number of each column is kept from the rows that pass by, since in training too
the value before a gap may come from above the look-back.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.data.files.csv_text import Text, numbers
from timellama.data.files.measured import MISSING


def last_numbers(values: np.ndarray) -> np.ndarray:
    """The last number of each column of rows float64 [rows, N], possibly no rows; NaN where a column has no number."""
    return pd.DataFrame(values).ffill().reindex([len(values) - 1]).to_numpy()[0]


class Carried:
    """The last number of each column, `values` float64 [N], of the rows that passed by; NaN before the first."""

    def __init__(self, text: Text, names: Sequence[str]) -> None:
        self.text, self.names = text, names
        self.values = np.full(len(names), np.nan)

    def pass_by(self, line: int, cells: Sequence[str]) -> None:
        """Keep the observed values of a row. Raises InputError for a cell that is neither a number nor missing."""
        row = self._row(line, cells)
        self.values = np.where(np.isnan(row), self.values, row)

    def on_grid(
        self,
        time: pd.DatetimeIndex,
        lines: Sequence[int],
        rows: Sequence[Sequence[str]],
        *,
        context: int,
        step: pd.offsets.BaseOffset,
    ) -> tuple[np.ndarray, pd.DatetimeIndex, int]:
        """The last `context` steps up to the last of the given rows: values [T, N] with NaN for what is missing, the T
        timestamps, and how many rows were missing. Rows of earlier steps pass by.

        Raises InputError for too few steps, for a timestamp between the steps, and for two rows with one timestamp.
        """
        path = self.text.path
        whole = pd.date_range(end=time[-1], periods=context, freq=step, unit="s")
        places = whole.get_indexer(time)
        twice = np.concatenate([[False], time[1:] == time[:-1]])
        if (odd := ((places < 0) & (time >= whole[0])) | twice).any():
            row = int(odd.argmax())
            what = "a duplicate timestamp" if twice[row] else f"between the steps of {step.freqstr}"
            raise InputError(
                f"{path}, line {lines[row]}: {time[row]} is {what}; give one row per step, or none where it is missing"
            )
        if time[0] > whole[0]:
            raise InputError(
                f"{path}: has rows from {time[0]} to {time[-1]}, but this run looks back on {context} steps of "
                f"{step.freqstr}, from {whole[0]}; give a longer file, or take a run with a shorter look-back"
            )
        values = np.full((context, len(self.names)), np.nan)
        for line, cells, place in zip(lines, rows, places, strict=True):
            if place < 0:
                self.pass_by(line, cells)
            else:
                values[place] = self._row(line, cells)
        return values, whole, context - int((places >= 0).sum())

    def _row(self, line: int, cells: Sequence[str]) -> np.ndarray:
        """The numbers of a row [N], NaN where a cell is missing."""
        missing = [cell.strip() in MISSING for cell in cells]
        given = ["0" if gone else cell for cell, gone in zip(cells, missing, strict=True)]
        return np.where(missing, np.nan, numbers(self.text, line, given, self.names))
