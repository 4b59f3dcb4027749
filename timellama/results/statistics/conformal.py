"""Split-conformal intervals around a forecast, and the scores of intervals.

With n scores of windows that were not trained on, the q of the interval y' +- q s is the k-th smallest of |y - y'| / s,
k = ceil((n + 1) c). For a new window that is exchangeable with them, the interval contains y with a probability of at
least c, whatever the model and however s depends on the look-back (Vovk, Gammerman, Shafer 2005, Algorithmic Learning
in a Random World; Lei et al. 2018, JASA 113, theorem 2.2 and, for s, section 5.2). As in CF-RNN (Stankeviciute et al.
2021, NeurIPS 34) there is a q for each step of the horizon, here also for each variate. CF-RNN divides the miss rate by
H, so that all steps are covered together; here each step is covered on its own.

s is the standard deviation of the variate's look-back plus a part of that of the training rows: a volatile look-back
gets a wider interval. `docs/intervals.md` shows what constant s and signed residuals gave, on validation windows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor  # only for types: tables import this module without waiting for torch

REPORTED = (50, 80, 90)  # per cent: the intervals whose coverage is reported
# Per cent of each interval that is kept. Our choice: with the median, the ends are the quantiles 0.05, 0.10, ..., 0.95,
# from which GluonTS's MultivariateEvaluator computes the CRPS of Rasul et al. 2021 (arXiv 2101.12072) and others.
KEPT = tuple(range(10, 100, 10))
QUANTILES = 2 * len(KEPT) + 1
# How many standard deviations of the training rows are added to that of a look-back, which may be 0. Our choice among
# 0.001, 0.1, 0.3 and 1, by the CRPS on halves of validation parts (docs/intervals.md).
FLOOR = 0.3
BLOCK_BYTES = 2**26  # our choice: 64 MiB of residuals are sorted at a time


def rank(count: int, percent: int) -> int | None:
    """k = ceil((n + 1) c), counted from 1, for n = `count` residuals; None if it is above n, and q is infinite."""
    k = -(-(count + 1) * percent // 100)  # in integers: as a float, 30 * 0.1 is above 3
    return k if k <= count else None


def scale(context: "Tensor") -> "Tensor":
    """s [B, 1, N] of standardised look-backs [B, T, N]."""
    return context.std(dim=1, correction=0, keepdim=True) + FLOOR


def quantiles(distances: np.ndarray, percents: Sequence[int]) -> np.ndarray:
    """q [L, M] float32 of each of L levels in per cent, from |y - y'| / s [n, M]; infinite where n is too small.

    The columns are sorted a few at a time, so the residuals may be in a mapped file.
    """
    count, columns = distances.shape
    ranks = {place: rank(count, percent) for place, percent in enumerate(percents)}
    there = {place: k - 1 for place, k in ranks.items() if k is not None}
    found = np.full((len(percents), columns), np.inf, dtype=np.float32)
    step = max(1, BLOCK_BYTES // (count * distances.itemsize))
    for first in range(0, columns if there else 0, step):
        block = np.partition(distances[:, first : first + step], sorted(set(there.values())), axis=0)
        for place, k in there.items():
            found[place, first : first + step] = block[k]
    return found


def pinball(truth: "Tensor", quantile: "Tensor", level: float) -> "Tensor":
    """The loss of a quantile at `level`: level (y - q) where y is above q, and (1 - level) (q - y) where it is below.

    Koenker and Bassett 1978 (Econometrica 46).
    """
    below = truth - quantile
    return (level * below).maximum((level - 1) * below)


def pinball_of_ends(distance: "Tensor", half_width: "Tensor", percent: int) -> "Tensor":
    """The mean of `pinball` of the two ends of y' +- q, from |y - y'|: a q + max(|y - y'| - q, 0) / 2.

    a = (1 - c) / 2 is the level of the lower end, 1 - a that of the upper one. Times 4 / (2 a) it is the interval score
    of Gneiting and Raftery 2007 (JASA 102, equation 43).
    """
    return (1 - percent / 100) / 2 * half_width + (distance - half_width).clamp_min(0) / 2


def crps(of_median: float, of_ends: Sequence[float]) -> float:
    """The CRPS from mean pinball losses: twice the mean over the quantiles, where each of `of_ends` is a mean of two.

    For a point forecast, whose ends are all at the median, it is the MAE.
    """
    return 2 * (of_median + 2 * sum(of_ends)) / (1 + 2 * len(of_ends))
