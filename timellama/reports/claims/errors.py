"""The effect of a statement on errors: log ratios of paired runs, and how far chance could move their mean.

`docs/claims.md` states the rules in prose, and `results/statistics/uncertainty.py` has the statistics.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from timellama.core.layout import WINDOWS
from timellama.reports.claims import rules as claims
from timellama.reports.claims.rules import OURS, Statement
from timellama.results.aggregate import PAIR
from timellama.results.read.run_files import read_windows
from timellama.results.statistics.inference import CONFIDENCE
from timellama.results.statistics.uncertainty import (
    Estimate,
    Part,
    highest,
    holm,
    influence,
    of_period,
    of_seeds,
    over_datasets,
    seed_means,
    together,
)

CELL = ["backbone", "paired"]  # with `seed`, a pair of runs
LEVEL = (1 - CONFIDENCE) / 2  # one-sided


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A data set and horizon: the log ratio of a pair of runs by seed, and how each test window moves their mean [W].

    `windows` is None where a run kept no errors by window.
    """

    dataset: str
    horizon: int
    ratios: Mapping[int, float]
    windows: np.ndarray | None

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return math.fsum(self.ratios.values()) / len(self.ratios)


def log_ratios(frame: pd.DataFrame, others: Sequence[str], metric: str) -> dict[str, pd.DataFrame]:
    """For each of `others` that has runs, one row per pair with `ratio`, the log of ours / theirs, and both files.

    All have the same pairs. Runs are compared on the same language model where the other method has one.
    """
    found = {}
    for other in others:
        theirs, parts = frame[frame["variant"] == other], {}
        for backbone, ours in frame[frame["variant"] == OURS].groupby("backbone"):
            same = theirs[theirs["backbone"] == backbone]
            same = same if len(same) else theirs[theirs["backbone"] == ""]
            sides = [each.set_index(PAIR)[[metric, "path"]].dropna() for each in (ours, same)]
            named = [side.add_suffix(f" {name}") for side, name in zip(sides, ("ours", "theirs"), strict=True)]
            parts[backbone] = named[0].join(named[1], how="inner")
        if any(len(part) for part in parts.values()):
            found[other] = pd.concat(parts, names=["backbone"])
    common = None
    for table in found.values():
        common = table.index if common is None else common.intersection(table.index)
    return {
        other: table.assign(ratio=np.log(table[f"{metric} ours"] / table[f"{metric} theirs"])).loc[common]
        for other, table in found.items()
    }


def cells_of(table: pd.DataFrame, metric: str) -> list[Cell]:
    """The cells of one method's table of `log_ratios`, in the order of their settings."""
    cells = []
    for _, pairs in table.reset_index().groupby(CELL):
        sides = [_kept(pairs[f"path {side}"], metric) for side in ("ours", "theirs")]
        windows = None
        if all(side is not None and len(side) == len(sides[0]) for side in sides):
            windows = influence(sides[0]) - influence(sides[1])
        cells.append(
            Cell(
                dataset=pairs["dataset"].iloc[0],
                horizon=int(pairs["horizon"].iloc[0]),
                ratios=dict(zip(pairs["seed"], pairs["ratio"], strict=True)),
                windows=windows,
            )
        )
    return cells


def _kept(paths: pd.Series, metric: str) -> list[np.ndarray] | None:
    """Each run's errors by window; None where a run kept none, or for a task whose windows have no order in time."""
    files = [Path(path).with_name(WINDOWS) for path in paths]
    if metric not in ("mse", "mae") or not all(file.is_file() for file in files):
        return None
    errors = [read_windows(file).get(metric) for file in files]
    return None if any(each is None for each in errors) else errors


def mean_of(cells: Sequence[Cell]) -> Estimate:
    """The mean of the cells' log ratios, with variation over seeds and, where all cells keep it, the test period."""
    value, groups = math.fsum(cell.mean for cell in cells) / len(cells), by_dataset(cells)
    means = [seed_means([cell.ratios for cell in of]) for of in groups]
    seeds = of_seeds(means, [len(of) / len(cells) for of in groups])
    if seeds is None:
        return Estimate(value=value, part=None)
    return Estimate(value=value, part=together([seeds, *(period_of(cells) or [])]))


def period_of(cells: Sequence[Cell]) -> list[Part] | None:
    """Each data set's variation over the test period; None where a cell lacks its windows, or has too few of them."""
    if any(cell.windows is None for cell in cells):
        return None
    parts = []
    for of in by_dataset(cells):
        count, length = max(len(cell.windows) for cell in of), max(cell.horizon for cell in of)
        series = np.zeros(count)
        for cell in of:  # window i of each horizon begins at the same row
            series[: len(cell.windows)] += cell.windows * (count / len(cell.windows) / len(cells))
        parts.append(of_period(series, length))
    return None if None in parts else parts


def of_datasets(cells: Sequence[Cell]) -> Estimate:
    """The mean over data sets of the mean of their cells."""
    return over_datasets([math.fsum(cell.mean for cell in of) / len(of) for of in by_dataset(cells)])


def by_dataset(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells of each data set, in their order."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.dataset, []).append(cell)
    return list(found.values())


def share_of(methods: Mapping[str, Sequence[Cell]]) -> tuple[float, float, float]:
    """Per cent of cells in which ours is lower than every method, with bounds from the significant cells by Holm."""
    better, worse, lower = [], [], 0
    for of_cell in zip(*methods.values(), strict=True):
        against = [mean_of([cell]) for cell in of_cell]
        lower += all(one.value < 0 for one in against)
        better.append(max(one.p_not_below() for one in against))
        worse.append(min(1.0, len(against) * min(one.negative().p_not_below() for one in against)))
    count = len(better)
    for_it, against_it = (sum(p <= LEVEL for p in holm(ps)) for ps in (better, worse))
    return lower / count * 100, for_it / count * 100, (1 - against_it / count) * 100


def effect_of(statement: Statement, methods: Mapping[str, Sequence[Cell]]) -> tuple[float, float, float]:
    """Effect and interval; the ends are NaN where the uncertainty is unknown."""
    if statement.measure == claims.SHARE:
        return share_of(methods)
    if statement.measure == claims.MARGIN:
        return tuple(per_cent(end) for end in highest([mean_of(cells) for cells in methods.values()]))
    (cells,) = methods.values()
    beyond = statement.about == claims.BEYOND and len({cell.dataset for cell in cells}) >= statement.least
    found = of_datasets(cells) if beyond else mean_of(cells)
    return per_cent(found.value), *(per_cent(end) for end in found.ends())


def per_cent(ratio: float) -> float:
    """A log ratio as a change in per cent."""
    return math.expm1(ratio) * 100


def chance_of(methods: Mapping[str, Sequence[Cell]]) -> str:
    """Which variation an interval about these cells covers."""
    both = all(period_of(cells) is not None for cells in methods.values())
    return "interval over seeds and test period" if both else "interval over seeds only"
