"""Reads the arrays and rows that a run writes beside its numbers, for figures and exports."""

import io
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.data.series import OBSERVED

ARRAYS = ("context", "truth", "forecast", "columns", "start")


def read_forecasts(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one `forecasts.npz`: context [W, T, C], truth and forecast [W, H, C], columns [C], start [W].

    Raises:
        InputError: the file cannot be read, lacks an array, or its shapes do not match.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path} is not a file of forecasts ({error}). Delete it and run again.") from error
    windows, variates = len(arrays["start"]), len(arrays["columns"])
    cubes = [arrays[name].shape for name in ("context", "truth", "forecast")]
    fits = all(len(cube) == 3 and cube[::2] == (windows, variates) for cube in cubes) and cubes[1] == cubes[2]
    if not fits:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"{path}: the shapes do not match ({shapes}). Delete it and run again.")
    return arrays


def read_windows(path: Path) -> dict[str, np.ndarray]:
    """The errors of each test window, one float64 array [W] per metric, from a run's `windows.npz`.

    If targets are missing, windows are weighted by their observed targets: an error is multiplied by the window's share
    of all observed targets times W. So the mean over windows is the run's error as everywhere, a window without targets
    has 0, and a window changes the ratio of two runs' means as it changes a ratio of sums.

    Raises:
        InputError: the file cannot be read, is empty, or its arrays differ in length.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float64) for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{path} is not a file of errors by window ({error}). Delete it and run again.") from error
    if len({array.shape for array in arrays.values()}) != 1 or next(iter(arrays.values())).ndim != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"{path}: the arrays must have one length ({shapes or 'none'}). Delete it and run again.")
    if (targets := arrays.pop(OBSERVED, None)) is not None:
        share = targets / targets.mean()
        arrays = {name: np.where(targets > 0, error, 0.0) * share for name, error in arrays.items()}
    return arrays


def read_rows(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A run's CSV file; an untrained method's has no rows.

    Raises:
        InputError: the file cannot be read, ends within a line, or lacks one of `columns`.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = pd.read_csv(io.StringIO(text))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}). Delete it and run again.") from error
    if not text.endswith("\n"):
        raise InputError(f"{path} ends within a line: it was cut short. Delete it and run again.")
    lacking = [column for column in columns if column not in rows]
    if lacking:
        raise InputError(f"{path} has no column {', '.join(lacking)}. Delete it and run again.")
    return rows
