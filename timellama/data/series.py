"""The canonical series: what every data set looks like once it is checked, and its file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timellama.core.errors import InputError
from timellama.core.files import read_arrays, write_arrays

ARRAYS = ("values", "time", "columns", "raw_sha256")
STAMPS = (np.dtype("datetime64[s]"), np.dtype("datetime64[ms]"))


@dataclass(frozen=True, kw_only=True)
class Series:
    """A multivariate series.

    `values` float64 [rows, N], finite, in the units of the source; `time` datetime64[s] [rows], ascending, or
    datetime64[ms] where stamps have a fraction of a second; `columns` the N names; `raw_sha256` the SHA-256 of the raw
    file it was made from.
    """

    values: np.ndarray
    time: np.ndarray
    columns: tuple[str, ...]
    raw_sha256: str


def save_series(path: Path, series: Series) -> None:
    """Writes `series` as `.npz`, the same bytes for the same series, atomically."""
    columns, digest = np.array(series.columns, dtype=np.str_), np.array([series.raw_sha256], dtype=np.str_)
    write_arrays(path, {"values": series.values, "time": series.time, "columns": columns, "raw_sha256": digest})


def load_series(path: Path) -> Series:
    """Reads what `save_series` wrote; InputError when the file is absent, damaged or holds something else."""
    arrays = read_arrays(path, ARRAYS)
    values, time, columns = arrays["values"], arrays["time"], arrays["columns"]
    shaped = values.ndim == 2 and time.shape == values.shape[:1] and columns.shape == values.shape[1:]
    if not shaped or values.dtype != np.float64 or time.dtype not in STAMPS:
        raise InputError(
            f"{path}: values {values.shape} {values.dtype}, time {time.shape} {time.dtype} and columns "
            f"{columns.shape} do not belong together; delete the file and let it be made again"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds values that are not finite; delete the file and let it be made again")
    return Series(values=values, time=time, columns=tuple(columns.tolist()), raw_sha256=str(arrays["raw_sha256"][0]))
