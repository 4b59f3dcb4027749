"""The canonical series: what every data set looks like once it is checked, and its file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timellama.core.errors import InputError
from timellama.core.files import read_arrays, write_arrays

ARRAYS = ("values", "time", "columns", "raw_sha256")
OBSERVED = "observed"  # the array that says which cells are not missing; only there if some are missing
STAMPS = (np.dtype("datetime64[s]"), np.dtype("datetime64[ms]"))


@dataclass(frozen=True, kw_only=True)
class Series:
    """A multivariate series.

    `values` float64 [rows, N] in the units of the source, NaN where a cell was left missing, else finite;
    `time` datetime64[s] [rows], ascending, or datetime64[ms] if timestamps have a fraction of a second; `columns` the N
    names; `raw_sha256` the SHA-256 of the raw file that it was made from.
    """

    values: np.ndarray
    time: np.ndarray
    columns: tuple[str, ...]
    raw_sha256: str


def save_series(path: Path, series: Series) -> None:
    """Writes `series` as `.npz`, the same bytes for the same series, atomically."""
    columns, digest = np.array(series.columns, dtype=np.str_), np.array([series.raw_sha256], dtype=np.str_)
    arrays = {"values": series.values, "time": series.time, "columns": columns, "raw_sha256": digest}
    observed = ~np.isnan(series.values)
    write_arrays(path, arrays if observed.all() else arrays | {OBSERVED: observed})


def load_series(path: Path) -> Series:
    """Reads what `save_series` wrote; InputError when the file is absent, damaged or holds something else.

    A value is NaN where the file itself says that it was not observed, and nowhere else.
    """
    arrays = read_arrays(path, ARRAYS, perhaps=(OBSERVED,))
    values, time, columns = arrays["values"], arrays["time"], arrays["columns"]
    shaped = values.ndim == 2 and time.shape == values.shape[:1] and columns.shape == values.shape[1:]
    if not shaped or values.dtype != np.float64 or time.dtype not in STAMPS:
        raise InputError(
            f"{path}: values {values.shape} {values.dtype}, time {time.shape} {time.dtype} and columns "
            f"{columns.shape} do not belong together; delete the file so that it is rebuilt"
        )
    observed = arrays.get(OBSERVED, np.True_)
    if OBSERVED in arrays and (observed.shape != values.shape or observed.dtype != np.bool_):
        raise InputError(
            f"{path}: {OBSERVED} {observed.shape} {observed.dtype} does not belong to values {values.shape}; delete "
            "the file so that it is rebuilt"
        )
    if not (np.isfinite(values) == observed).all() or np.isinf(values).any():
        raise InputError(f"{path}: holds values that are not finite; delete the file so that it is rebuilt")
    return Series(values=values, time=time, columns=tuple(columns.tolist()), raw_sha256=str(arrays["raw_sha256"][0]))
