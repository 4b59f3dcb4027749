"""Intervals by Student's t, and a test of the difference of two runs over the test part's windows.

References: Diebold and Mariano 1995 (Journal of Business & Economic Statistics 13); Lazarus, Lewis, Stock and Watson
2018 (the same journal, 36), whose estimate of the long-run variance keeps its level if errors are as dependent as those
of overlapping windows.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy  # loads its parts when they are first used: scipy.stats takes a second

from timellama.core.errors import InputError

CONFIDENCE = 0.95  # our choice: the usual level of an interval
# Our choice, by simulation (tests/test_inference.py): windows share targets with those within a horizon H. Of the
# cosines over W windows, only the 0.4 W / H that are slower than 0.2 periods per horizon see a flat spectrum.
COSINES = 0.4


def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """The t for which a Student variable is in +-t with this `confidence`. Raises InputError below one degree."""
    if degrees < 1:
        raise InputError(f"{degrees} degrees of freedom have no t interval: give at least two pairs.")
    return float(scipy.stats.t.ppf((1 + confidence) / 2, degrees))


@dataclass(frozen=True, kw_only=True)
class WindowTest:
    """A Diebold-Mariano test of first - second over `windows` windows: the mean, half the width of its 95 % interval,
    the two-sided p, and the degrees of freedom."""

    mean: float
    half_width: float
    p: float
    windows: int
    degrees: int


def diebold_mariano(first: np.ndarray, second: np.ndarray, *, horizon: int) -> WindowTest | None:
    """Whether two runs' errors [W] by window, in order of time, differ in the mean; None if it cannot be decided.

    The variance of the mean of d = first - second is (1 / B) sum_{j=1..B} c_j^2 / W, with c_j = sqrt(2 / W) sum_t d_t
    cos(pi j (t + 1/2) / W) and B = floor(0.4 W / H); the mean over its root is a Student variable with B degrees. It
    cannot be decided if B is 0, since less than three horizons of windows are too few, or if d never changes.

    Raises ValueError if the two differ in length.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} windows: give those of one test part")
    difference, windows = first - second, len(first)
    degrees = int(COSINES * windows / horizon)
    if degrees < 1 or not np.ptp(difference):
        return None
    weights = scipy.fft.dct(difference, norm="ortho")[1 : degrees + 1]
    error = math.sqrt(float((weights**2).mean()) / windows)
    mean = float(difference.mean())
    return WindowTest(
        mean=mean,
        half_width=t_quantile(degrees) * error,
        p=2 * float(scipy.stats.t.sf(abs(mean) / error, degrees)),
        windows=windows,
        degrees=degrees,
    )
