"""How far a mean of log ratios could be off: by seeds, by the test period, and by the choice of data sets.

A `Part` is one source of chance: the variance that it adds to an estimate, and the degrees of freedom with which the
variance is known. Sources add up (`together`), and an `Estimate` has Student's t intervals and p.

References: Satterthwaite 1946 (Biometrics Bulletin 2) for the degrees of freedom of a sum; Kuensch 1989 (Annals of
Statistics 17) for blocks of dependent data; Holm 1979 (Scandinavian Journal of Statistics 6). `benchmarks/coverage.py`
measures how often the intervals are right.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from timellama.results.statistics.inference import CONFIDENCE, t_quantile

# Our choice, by simulation (benchmarks/coverage.py): the variance of the mean of W windows, estimated from blocks of
# length L, has 0.75 W / L degrees of freedom. Windows that share targets have autocovariances that fall linearly to 0
# over the horizon; blocks as long as the horizon see 1 - 1/3 of their sum.
DEGREES_PER_BLOCK = 0.75
SEEN_BY_BLOCKS = 2 / 3
LEAST_BLOCKS = LEAST_SEEDS = 2  # a single one has no spread
# Our choice: the data sets that represent others are as many as in the paper's table 1; with four the quantile of t is
# 3.2, and one data set decides.
LEAST_DATASETS = 5


@dataclass(frozen=True, kw_only=True)
class Part:
    """A source of chance: a variance, and the degrees of freedom with which it is known."""

    variance: float
    degrees: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number and its chance. Without a `part` it is unknown how far the number could be off."""

    value: float
    part: Part | None

    def ends(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The ends of the two-sided interval; NaN if nothing is known about the chance."""
        if self.part is None:
            return math.nan, math.nan
        half = t_quantile(whole(self.part.degrees), confidence) * math.sqrt(self.part.variance)
        return self.value - half, self.value + half

    def p_not_below(self) -> float:
        """One-sided p of the estimate against a truth of 0 or more; 1 if nothing is known about the chance."""
        if self.part is None:
            return 1.0
        if not self.part.variance:
            return float(self.value >= 0)
        t = self.value / math.sqrt(self.part.variance)
        return float(scipy.stats.t.cdf(t, whole(self.part.degrees)))

    def p(self) -> float:
        """Two-sided p against a truth of 0; 1 if nothing is known about the chance."""
        return min(1.0, 2 * min(self.p_not_below(), self.negative().p_not_below()))

    def negative(self) -> "Estimate":
        """The same with the opposite sign."""
        return Estimate(value=-self.value, part=self.part)


def whole(degrees: float) -> int:
    """Degrees of freedom rounded down, but at least one."""
    return max(1, math.floor(degrees + 1e-9))  # a sum of floats may fall short of the integer that it represents


def together(parts: Sequence[Part]) -> Part:
    """The sum of independent sources, with Satterthwaite's degrees of freedom."""
    variance = math.fsum(part.variance for part in parts)
    if not variance:
        return Part(variance=0.0, degrees=math.fsum(part.degrees for part in parts))
    shares = math.fsum((part.variance / variance) ** 2 / part.degrees for part in parts)
    return Part(variance=variance, degrees=1 / shares)


def seed_means(cells: Sequence[Mapping[int, float]]) -> list[float]:
    """For each seed that all cells have, the mean over the cells. A single NaN if they share none.

    Runs with one seed begin with the same draws, so the cells of a data set are not independent; seeds are.
    """
    common = set.intersection(*(set(cell) for cell in cells))
    if not common:
        return [math.nan]
    return [math.fsum(cell[seed] for cell in cells) / len(cells) for seed in sorted(common)]


def of_seeds(groups: Sequence[Sequence[float]], weights: Sequence[float]) -> Part | None:
    """The chance of sum_g w_g mean(group g) from the spread over the seeds of each group; None if one has one seed.

    The spreads of groups differ by a factor of several, so that of one says little about another.
    """
    if any(len(group) < LEAST_SEEDS for group in groups):
        return None
    parts = [
        Part(variance=float(np.var(group, ddof=1)) * weight**2 / len(group), degrees=len(group) - 1)
        for group, weight in zip(groups, weights, strict=True)
    ]
    return together([part for part in parts if part.variance] or parts)


def of_period(series: np.ndarray, length: int) -> Part | None:
    """The chance of the mean of a series [W] in order of time, from blocks of `length`; None below two blocks.

    It is the variance of a moving-block bootstrap with infinitely many resamples: the variance of the means of all
    blocks, over the number of blocks, corrected for the dependence that blocks cannot see.
    """
    windows = len(series)
    if windows < LEAST_BLOCKS * length:
        return None
    sums = np.concatenate([[0.0], np.cumsum(series)])
    means = (sums[length:] - sums[:-length]) / length
    variance = float(means.var()) * length / windows / (SEEN_BY_BLOCKS * (1 - length / windows))
    return Part(variance=variance, degrees=max(1.0, DEGREES_PER_BLOCK * windows / length))


def influence(errors: Sequence[np.ndarray]) -> np.ndarray:
    """How each window [W] changes the mean over runs of the log of their mean errors; its mean is 0."""
    return np.mean([of_run / of_run.mean() - 1 for of_run in errors], axis=0)


def over_datasets(values: Sequence[float]) -> Estimate:
    """The mean over data sets, with one number each."""
    count, value = len(values), math.fsum(values) / len(values)
    if count < 2:
        return Estimate(value=value, part=None)
    part = Part(variance=float(np.var(values, ddof=1)) / count, degrees=count - 1)
    return Estimate(value=value, part=part)


def highest(estimates: Sequence[Estimate]) -> tuple[float, float, float]:
    """The highest of several estimates, with an interval of the highest truth.

    The highest truth is below the highest upper end at least as often as it is below its own upper end. It is above all
    lower ends together if the level of each is divided by their number.
    """
    if any(one.part is None for one in estimates):
        return max(one.value for one in estimates), math.nan, math.nan
    level = 1 - (1 - CONFIDENCE) / len(estimates)
    low = max(one.ends(level)[0] for one in estimates)
    return max(one.value for one in estimates), low, max(one.ends()[1] for one in estimates)


def of_pairs(differences: Sequence[float]) -> Estimate:
    """The mean of paired differences, one number per seed."""
    return Estimate(value=math.fsum(differences) / len(differences), part=of_seeds([differences], [1.0]))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p: each can be compared with the level of the whole family."""
    adjusted, highest_yet = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        highest_yet = max(highest_yet, min(1.0, ps[place] * (len(ps) - rank)))
        adjusted[place] = highest_yet
    return adjusted
