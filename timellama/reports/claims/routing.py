"""The effect of a statement on the router's selections, and how far the seeds could move it.

A cell's number is a mean over pairs of seeds. Pairs share seeds, so the variance of the mean comes from the jackknife:
a seed's pseudo-value is n times the mean of all minus n - 1 times the mean without it (Efron and Stein 1981, Annals of
Statistics 9).
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from timellama.reports.claims import rules as claims
from timellama.reports.claims.errors import CELL
from timellama.results.statistics.uncertainty import Estimate, highest, of_seeds

LEAST_SEEDS = 3  # two seeds give one pair, and without either of them none is left
Entry = tuple[frozenset[int], float]  # the seeds of a pair of runs, and its number


@dataclass(frozen=True, kw_only=True)
class Router:
    """Selection rates [L, E] of a run's E modules in its L routed blocks; `active` modules are on at a time."""

    active: int
    rates: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Routed:
    """An effect with its interval, the number of runs or pairs of runs behind it, and the runs by identity."""

    value: float
    low: float
    high: float
    pairs: int
    used: frozenset[str]


def effect_of(measure: str, runs: pd.DataFrame, routers: Mapping[str, Router]) -> Routed | None:
    """The effect over the runs of Time-LlaMA that have a router; None without a cell."""
    cells, used = ROUTING[measure](runs[runs["identity"].isin(list(routers))], routers)
    if not cells:
        return None
    if measure == claims.HIGHEST:
        seeds = [[value for _, value in cell] for cell in cells]
        value, low, high = highest([_mean([of]) for of in seeds])
    else:
        found = _mean([pseudo_values(cell) for cell in cells])
        value, (low, high) = found.value, found.ends()
    return Routed(value=value, low=low, high=high, pairs=sum(map(len, cells)), used=frozenset(used))


def _mean(cells: Sequence[Sequence[float]]) -> Estimate:
    value = math.fsum(float(np.mean(cell)) for cell in cells) / len(cells)
    return Estimate(value=value, part=of_seeds(cells, [1 / len(cells)] * len(cells)))


def pseudo_values(entries: Sequence[Entry]) -> list[float]:
    """One number per seed: their mean is the mean of all entries, and their spread over seeds is the jackknife's."""
    seeds = sorted(frozenset.union(*(of for of, _ in entries)))
    whole = float(np.mean([value for _, value in entries]))
    without = [float(np.mean([value for of, value in entries if seed not in of])) for seed in seeds]
    centre = math.fsum(without) / len(without)
    return [whole + (len(seeds) - 1) * (centre - part) for part in without]


Cells = tuple[list[list[Entry]], set[str]]  # the entries by cell, and the runs that they come from


def _highest(runs: pd.DataFrame, routers: Mapping[str, Router]) -> Cells:
    """Each run's largest share of one module in all selections."""
    cells = [
        [
            (frozenset([seed]), float(_shares(routers[identity].rates).max()))
            for seed, identity in zip(cell["seed"], cell["identity"], strict=True)
        ]
        for _, cell in runs.groupby(CELL)
    ]
    return cells, set(runs["identity"])


def _between_blocks(runs: pd.DataFrame, routers: Mapping[str, Router]) -> Cells:
    """How much farther apart different blocks are than the same block, for each two seeds of a cell."""
    cells, used = [], set()
    for _, cell in runs.groupby(CELL):
        if cell["seed"].nunique() < LEAST_SEEDS:
            continue
        found = []
        rows = list(cell.sort_values("seed")[["seed", "identity"]].itertuples(index=False, name=None))
        for pair in itertools.combinations(rows, 2):
            first, second = ([_shares(block[None]) for block in routers[identity].rates] for _, identity in pair)
            distance = np.array([[_variation(one, other) for other in second] for one in first])
            alike = np.eye(len(distance), dtype=bool)
            if len(distance) > 1:
                apart = float(distance[~alike].mean() - distance[alike].mean())
                found.append((frozenset(seed for seed, _ in pair), apart))
                used |= {identity for _, identity in pair}
        cells += [found] if found else []
    return cells, used


def _between_datasets(runs: pd.DataFrame, routers: Mapping[str, Router]) -> Cells:
    """How much farther apart two data sets are than each is from itself, for each two seeds of both."""
    cells, used = [], set()
    for _, group in runs.groupby(["train_percent", "backbone", "horizon", "context"]):
        by_dataset = {name: rows.set_index("seed")["identity"] for name, rows in group.groupby("dataset")}
        for first, second in itertools.combinations(by_dataset.values(), 2):
            seeds = sorted(set(first.index) & set(second.index))
            if len(seeds) < LEAST_SEEDS:
                continue
            found = []
            for a, b in itertools.permutations(seeds, 2):
                within = np.mean([_apart(of[a], of[b], routers) for of in (first, second)])
                found.append((frozenset((a, b)), float(_apart(first[a], second[b], routers) - within)))
            used |= {of[seed] for of in (first, second) for seed in seeds}
            cells.append(found)
    return cells, used


Measure = Callable[[pd.DataFrame, Mapping[str, Router]], Cells]
ROUTING: Mapping[str, Measure] = {
    claims.HIGHEST: _highest,
    claims.BLOCKS: _between_blocks,
    claims.DATASETS: _between_datasets,
}


def _shares(rates: np.ndarray) -> np.ndarray:
    """Each module's share of all selections in these blocks, in per cent."""
    return rates.sum(axis=0) / rates.sum() * 100


def _variation(one: np.ndarray, other: np.ndarray) -> float:
    """Total variation between two distributions, in their own units."""
    return float(np.abs(one - other).sum() / 2)


def _apart(one: str, other: str, routers: Mapping[str, Router]) -> float:
    return _variation(_shares(routers[one].rates), _shares(routers[other].rates))
