"""Many methods over many units: ranks, win rates, skill scores, and which pairs of methods differ significantly.

Win rate and skill score are those of fev's leaderboard (Shchur et al. 2025, arXiv 2509.26468), which reads the same
results (`results/numbers.py`). Tests: Friedman 1937 (Journal of the American Statistical Association 32); Wilcoxon 1945
(Biometrics Bulletin 1), exact, over all pairs with Holm's correction, as Benavoli, Corani and Mangili 2016 (Journal of
Machine Learning Research 17) recommend instead of tests on mean ranks.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from timellama.results.statistics.inference import CONFIDENCE
from timellama.results.statistics.uncertainty import LEAST_DATASETS, Estimate, holm, over_datasets

CLIPPED = (0.01, 100.0)  # fev's: relative errors are clipped to this range


@dataclass(frozen=True, kw_only=True)
class Units:
    """What methods are ranked on: `errors` [U, M], geometric means over the horizons if a unit is a data set.

    `tested` says that the units are data sets, and enough of them. Otherwise they are the cells of an experiment, which
    are fixed, and every number describes only them. `rows` are the rows of the summary that the errors come from;
    `left_out` are the methods, and `without` the cells, that are not ranked.
    """

    methods: tuple[str, ...]
    names: tuple[str, ...]
    errors: np.ndarray
    tested: bool
    rows: pd.DataFrame
    left_out: tuple[str, ...]
    without: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A method's mean rank (1 is best), its win rate and, if there is a baseline, the mean log relative error."""

    method: str
    rank: Estimate
    win_rate: Estimate
    log_ratio: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two methods: the share of units on which the first is better, and the Holm-adjusted p of their difference."""

    first: str
    second: str
    win_rate: float
    p: float


def units_of(summary: pd.DataFrame, column: pd.Series, *, metric: str) -> Units:
    """The units from the rows of `aggregate.summarise`; `column` names their methods.

    A data set's look-back is the one that most rows have. A method that lacks a data set is left out, and so is a cell
    in which one of the other methods has no result.
    """
    rows = summary.assign(column=column)
    kept = []
    for _, of in rows.groupby("dataset", sort=False):
        kept.append(of[of["context"] == of["context"].mode().iloc[0]])
    rows = pd.concat(kept)
    everywhere = rows.groupby("column")["dataset"].nunique() == rows["dataset"].nunique()
    methods = [name for name in dict.fromkeys(column) if everywhere.get(name, False)]
    table = rows.pivot_table(index=["dataset", "horizon"], columns="column", values=f"{metric}_mean", sort=False)
    table = table.reindex(columns=methods)
    complete = table.dropna()
    without = [f"{dataset} {horizon}" for dataset, horizon in table.index.difference(complete.index, sort=False)]
    tested = complete.index.get_level_values("dataset").nunique() >= LEAST_DATASETS
    if tested:
        logs = np.log(complete).groupby(level="dataset", sort=False).mean()
        names, errors = tuple(logs.index), np.exp(logs.to_numpy())
    else:
        names, errors = tuple(f"{dataset} {horizon}" for dataset, horizon in complete.index), complete.to_numpy()
    places = pd.MultiIndex.from_frame(rows[["dataset", "horizon"]])
    return Units(
        methods=tuple(methods),
        names=names,
        errors=errors,
        tested=tested,
        rows=rows[rows["column"].isin(methods) & places.isin(complete.index)].drop(columns="column"),
        left_out=tuple(name for name in dict.fromkeys(column) if name not in methods),
        without=tuple(without),
    )


def ranks(errors: np.ndarray) -> np.ndarray:
    """The methods' ranks on each unit [U, M], from the lowest error; equal errors share their mean rank."""
    return scipy.stats.rankdata(errors, axis=1)


def wins(errors: np.ndarray) -> np.ndarray:
    """For each unit and method [U, M], the share of the other methods that it is better than; a tie is half a win."""
    others = errors.shape[1] - 1
    return (others + 1 - ranks(errors)) / others if others else np.full(errors.shape, np.nan)


def ranking(units: Units, *, baseline: str | None) -> list[Ranked]:
    """The methods in order of mean rank, best first; `baseline` is the method that skill is relative to.

    If nothing is tested, the estimates have no interval.
    """
    of_rank, of_wins = ranks(units.errors), wins(units.errors)
    relative = None
    if baseline is not None and len(units.errors):
        errors = units.errors / units.errors[:, [units.methods.index(baseline)]]
        relative = np.log(np.clip(errors, *CLIPPED))
    found = []
    for place, method in enumerate(units.methods if len(units.errors) else ()):
        columns = (of_rank, of_wins, relative)
        rank, win, log_ratio = (None if of is None else _mean(of[:, place], units.tested) for of in columns)
        found.append(Ranked(method=method, rank=rank, win_rate=win, log_ratio=log_ratio))
    return sorted(found, key=lambda one: one.rank.value)


def _mean(values: np.ndarray, tested: bool) -> Estimate:
    found = over_datasets(values.tolist())
    return found if tested else Estimate(value=found.value, part=None)


def skill(log_ratio: float) -> float:
    """The skill score, 1 - the geometric mean of relative errors, from the mean of their logarithms."""
    return -math.expm1(log_ratio)


def friedman(errors: np.ndarray) -> tuple[float, float]:
    """Friedman's statistic of [U, M], M > 2, corrected for ties, and its p by chi-square with M - 1 degrees."""
    if not np.ptp(errors, axis=1).any():  # all methods equal on every unit: no ranks to test
        return 0.0, 1.0
    found = scipy.stats.friedmanchisquare(*errors.T)
    return float(found.statistic), float(found.pvalue)


def wilcoxon(differences: Sequence[float]) -> float:
    """The exact two-sided p of the signed-rank test; equal units are left out, equal sizes share their mean rank."""
    values = np.array([value for value in differences if value])
    if not len(values):
        return 1.0
    exact = "exact"
    if len(np.unique(np.abs(values))) < len(values):  # SciPy tabulates ranks without ties, else tries all signs
        exact = scipy.stats.PermutationMethod(n_resamples=2 ** len(values))
    return float(scipy.stats.wilcoxon(values, method=exact).pvalue)


def pairs(units: Units, order: Sequence[str]) -> list[Pair]:
    """Every pair of methods, the first before the second in `order`, with p over the whole family."""
    logs = np.log(units.errors)
    found = []
    for names in itertools.combinations(order, 2):
        first, second = (logs[:, units.methods.index(name)] for name in names)
        rate = float((first < second).mean() + (first == second).mean() / 2)
        found.append((*names, rate, wilcoxon((first - second).tolist())))
    adjusted = holm([p for *_, p in found])
    return [
        Pair(first=first, second=second, win_rate=rate, p=p)
        for (first, second, rate, _), p in zip(found, adjusted, strict=True)
    ]


def cliques(order: Sequence[str], found: Sequence[Pair]) -> list[tuple[str, ...]]:
    """The longest stretches of `order` in which no two methods differ significantly."""
    apart = {frozenset((pair.first, pair.second)) for pair in found if pair.p <= 1 - CONFIDENCE}
    stretches: list[tuple[int, int]] = []
    for start in range(len(order)):
        end = start
        while end + 1 < len(order) and not any(
            frozenset((order[place], order[end + 1])) in apart for place in range(start, end + 1)
        ):
            end += 1
        if end > start and not (stretches and stretches[-1][1] >= end):
            stretches.append((start, end))
    return [tuple(order[start : end + 1]) for start, end in stretches]
