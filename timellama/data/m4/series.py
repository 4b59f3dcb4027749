"""The M4 competition's series of one frequency: what they look like once they are checked, and their file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timellama.core.errors import InputError
from timellama.core.files import read_arrays

ARRAYS = ("values", "offsets", "ids", "test", "season", "raw_sha256")


@dataclass(frozen=True, kw_only=True)
class M4Series:
    """All series of one frequency, in the published order.

    Series i has the training values `values[offsets[i] : offsets[i + 1]]` (float64) and the test values `test[i]`
    (float64 [series, H]); `season` is that of MASE.
    """

    values: np.ndarray
    offsets: np.ndarray
    ids: tuple[str, ...]
    test: np.ndarray
    season: int
    raw_sha256: str

    @property
    def horizon(self) -> int:
        """H of this frequency."""
        return self.test.shape[1]

    def __len__(self) -> int:
        """How many series there are."""
        return len(self.ids)

    def training(self, i: int) -> np.ndarray:
        """The training values of series i, float64 [length]."""
        return self.values[self.offsets[i] : self.offsets[i + 1]]


def load_m4(path: Path) -> M4Series:
    """Reads what `normalise` wrote; InputError when the file is absent, damaged or holds something else."""
    arrays = read_arrays(path, ARRAYS)
    values, offsets, test, ids = arrays["values"], arrays["offsets"], arrays["test"], arrays["ids"]
    fits = offsets.shape == (len(ids) + 1,) and test.shape[:1] == ids.shape and offsets[-1] == len(values)
    if not fits or not np.isfinite(values).all() or not np.isfinite(test).all():
        raise InputError(f"{path}: its arrays do not belong together; delete the file so that it is rebuilt")
    return M4Series(
        values=values,
        offsets=offsets,
        ids=tuple(ids.tolist()),
        test=test,
        season=int(arrays["season"][0]),
        raw_sha256=str(arrays["raw_sha256"][0]),
    )
