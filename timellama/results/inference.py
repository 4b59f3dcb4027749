"""Student's t, and a test of the difference of two runs over the test part's windows.

References: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4; Diebold and Mariano 1995 (Journal of Business & Economic
Statistics 13); Lazarus, Lewis, Stock and Watson 2018 (the same journal, 36), whose estimate of the long-run variance
keeps its level where errors are as dependent as those of overlapping windows.
"""

import math
from dataclasses import dataclass

import numpy as np

from timellama.core.errors import InputError

CONFIDENCE = 0.95  # our choice: the usual level of an interval
# Our choice, by simulation (tests/test_inference.py): windows share targets with those within a horizon H, so of the
# cosines over W windows only those slower than 0.2 periods a horizon see a flat spectrum, and there are 0.4 W / H.
COSINES = 0.4


def t_within(t: float, degrees: int) -> float:
    """The probability that a Student variable of `degrees` (whole) degrees of freedom lies in +-t."""
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(2 + odd, degrees + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def t_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """t such that `t_within` is `confidence`, by bisection. Raises InputError below one degree of freedom."""
    if degrees < 1:
        raise InputError(f"{degrees} degrees of freedom have no t interval: give at least two pairs.")
    low, high = 0.0, 1e9
    for _ in range(200):  # far more halvings than a float has digits
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, degrees) < confidence else (low, middle)
    return high


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
    """Whether two runs' errors [W] by window, in the order of time, differ in the mean; None where it cannot be said.

    The variance of the mean of d = first - second is (1 / B) sum_{j=1..B} c_j^2 / W, with c_j = sqrt(2 / W) sum_t d_t
    cos(pi j (t + 1/2) / W) and B = floor(0.4 W / H); the mean over its root is a Student variable of B degrees. It
    cannot be said where B is 0, since less than three horizons of windows hold too little, nor where d never changes.

    Raises ValueError where the two differ in length.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} windows: give those of one test part")
    difference, windows = first - second, len(first)
    degrees = int(COSINES * windows / horizon)
    if degrees < 1 or not np.ptp(difference):
        return None
    waves = np.cos(np.pi / windows * np.outer(np.arange(1, degrees + 1), np.arange(windows) + 0.5))
    weights = math.sqrt(2 / windows) * waves @ difference
    error = math.sqrt(float((weights**2).mean()) / windows)
    mean = float(difference.mean())
    return WindowTest(
        mean=mean,
        half_width=t_quantile(degrees) * error,
        p=1 - t_within(abs(mean) / error, degrees),
        windows=windows,
        degrees=degrees,
    )
