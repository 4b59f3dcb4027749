"""How often intervals over results contain the truth, on simulated experiments whose truth is known.

`python -m benchmarks.coverage` prints the table of docs/claims.md. The sizes of an experiment are those of the paper's
tables or of the kept ones, and its chance is measured from the kept results of `config/cpu.yaml` (`MEASURED`).
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from timellama.reports.claims.errors import Cell, mean_of, of_datasets, share_of
from timellama.results.statistics.uncertainty import highest

HORIZONS = (96, 192, 336, 720)
ROWS = 2880  # of ETTh1's test part, the shortest of table 1
RIVALS = (2, 5)  # 5: as in table 1
REPETITIONS = 4000  # a coverage of 95 % then has a standard error of 0.35 points


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What differs by chance, as standard deviations of log ratios of errors.

    `datasets` is between data sets, `horizons` between the horizons of one. `seed` is between seeds: its median over
    cells; `spread` (of its logarithm) makes it larger in some cells than in others. `shared` is the correlation of two
    horizons under one seed. `window` is between windows, `common` the correlation of two horizons' windows.
    """

    datasets: float
    horizons: float
    seed: float
    spread: float
    shared: float
    window: float
    common: float


# docs/reference/cpu/metrics.csv, Time-LlaMA against PatchTST, DLinear, iTransformer and RLinear with all training
# rows: ETTh1, ETTm1 and Weather for the first two; ETTh1 and ILI, which had three seeds first, for the next three.
# The last two are of DLinear against RLinear on ETTh1 at horizons 96 and 336 (seed 0). Their windows' correlation
# falls to 0.1 or less within a horizon, and so it does here: errors are means over a horizon of independent steps.
MEASURED = Chance(datasets=0.035, horizons=0.029, seed=0.024, spread=0.96, shared=0.27, window=0.08, common=0.33)


@dataclass(frozen=True, kw_only=True)
class Design:
    """An experiment: the seeds of each data set, the horizons, the rivals, and whether errors by window are kept."""

    seeds: tuple[int, ...]
    horizons: tuple[int, ...] = HORIZONS
    rivals: int = 1
    windows: bool = True


DESIGNS = {
    "table 1, 3 seeds": Design(seeds=(3,) * 5),
    "table 1, 3 seeds, no windows": Design(seeds=(3,) * 5, windows=False),
    "5 data sets, 1 seed": Design(seeds=(1,) * 5),
    "10 data sets, 1 seed": Design(seeds=(1,) * 10),
    "kept of table 1": Design(seeds=(3, 3, 3), windows=False),
    "table 5, 3 seeds": Design(seeds=(3, 3), horizons=(96, 192)),
    "table 5, 3 seeds, no windows": Design(seeds=(3, 3), horizons=(96, 192), windows=False),
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """An experiment's result against one rival, and the truths: of its cells (log ratios) and over all data sets."""

    cells: list[Cell]
    truths: np.ndarray
    beyond: float


def experiment(draw: np.random.Generator, design: Design, chance: Chance, effect: float = 0.0) -> Made:
    """A simulated experiment whose truth over all data sets is `effect`."""
    cells, truths = [], []
    for place, seeds in enumerate(design.seeds):
        own = effect + chance.datasets * draw.normal()
        together = draw.normal(size=seeds)
        steps = draw.normal(size=ROWS)
        for horizon in design.horizons:
            truth = own + chance.horizons * draw.normal()
            deviation = chance.seed * math.exp(chance.spread * draw.normal())
            apart = draw.normal(size=seeds)
            noise = deviation * (math.sqrt(chance.shared) * together + math.sqrt(1 - chance.shared) * apart)
            windows, shift = None, 0.0
            if design.windows:
                series = _windows(draw, steps, horizon, chance)
                shift = float(series.mean())
                windows = series - shift
            ratios = {seed: float(truth + shift + value) for seed, value in enumerate(noise)}
            cells.append(Cell(dataset=str(place), horizon=horizon, ratios=ratios, windows=windows))
            truths.append(truth)
    return Made(cells=cells, truths=np.array(truths), beyond=effect)


def _windows(draw: np.random.Generator, steps: np.ndarray, horizon: int, chance: Chance) -> np.ndarray:
    """What each window adds to the log ratio: a mean over its horizon of `steps`, shared by horizons, and of others."""
    part = chance.common / math.sqrt(96 / 336)  # windows of 336 steps share 96 of them with those of 96
    mixed = math.sqrt(part) * steps + math.sqrt(1 - part) * draw.normal(size=len(steps))
    sums = np.concatenate([[0.0], np.cumsum(mixed)])
    return chance.window * (sums[horizon:] - sums[:-horizon]) / math.sqrt(horizon)


def pooled_cells(draw: np.random.Generator, cells: Sequence[Cell], resamples: int = 500) -> tuple[float, float]:
    """The earlier rule: percentiles of a bootstrap of cells as if independent, and of the seeds within each cell."""
    values = np.full((len(cells), max(len(cell.ratios) for cell in cells)), np.nan)
    for place, cell in enumerate(cells):
        values[place, : len(cell.ratios)] = list(cell.ratios.values())
    seeds = np.array([len(cell.ratios) for cell in cells])
    chosen = draw.integers(len(cells), size=(resamples, len(cells)))
    drawn = (draw.random((resamples, len(cells), values.shape[1])) * seeds[chosen][..., None]).astype(int)
    weight = np.arange(values.shape[1]) < seeds[chosen][..., None]
    means = (np.where(weight, values[chosen[..., None], drawn], 0).sum(axis=2) / seeds[chosen]).mean(axis=1)
    return tuple(np.percentile(means, (2.5, 97.5)))


Rule = Callable[[np.random.Generator, Made], tuple[float, float]]
RULES: Mapping[str, tuple[str, Rule]] = {  # the truth that the interval is compared with, and the interval
    "earlier, any data set": ("beyond", lambda draw, made: pooled_cells(draw, made.cells)),
    "any data set": ("beyond", lambda draw, made: of_datasets(made.cells).ends()),
    "earlier, these cells": ("cells", lambda draw, made: pooled_cells(draw, made.cells)),
    "these cells": ("cells", lambda draw, made: mean_of(made.cells).ends()),
}


def coverage(
    design: Design, *, chance: Chance = MEASURED, repetitions: int = REPETITIONS, seed: int = 0
) -> dict[str, float]:
    """By rule, the share of experiments whose interval contains the truth; NaN where the rule gives no interval.

    Under `wrong` and the rule's name: the share whose whole interval is on the other side of 0 than the truth, or on
    one side of a truth of 0.
    """
    draw, held = np.random.default_rng(seed), dict.fromkeys([*RULES, *(f"wrong {name}" for name in RULES)], 0.0)
    for _ in range(repetitions):
        made = experiment(draw, design, chance)
        for name, (about, rule) in RULES.items():
            low, high = rule(draw, made)
            truth = made.beyond if about == "beyond" else float(made.truths.mean())
            held[name] += math.nan if math.isnan(low) else low <= truth <= high
            held[f"wrong {name}"] += (high < 0 <= truth) or (low > 0 >= truth)
    return {name: count / repetitions for name, count in held.items()}


def of_rivals(
    design: Design, rivals: int, *, chance: Chance = MEASURED, repetitions: int = REPETITIONS, seed: int = 0
) -> dict[str, float]:
    """The same for the margin to the strongest rival and for the share of cells, against several rivals."""
    draw, held = np.random.default_rng(seed), {"margin": 0, "share": 0}
    for _ in range(repetitions):
        made = [experiment(draw, design, chance) for _ in range(rivals)]
        _, low, high = highest([mean_of(one.cells) for one in made])
        held["margin"] += low <= max(float(one.truths.mean()) for one in made) <= high
        truth = float((np.stack([one.truths for one in made]) < 0).all(axis=0).mean()) * 100
        _, low, high = share_of({str(place): one.cells for place, one in enumerate(made)})
        held["share"] += low - 1e-9 <= truth <= high + 1e-9
    return {name: count / repetitions for name, count in held.items()}


def rows(found: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    """One row per experiment: each rule's coverage in per cent and, in brackets, how often the rule is wrong."""

    def shown(of: Mapping[str, float], rule: str) -> str:
        return "none" if math.isnan(of[rule]) else f"{of[rule] * 100:.1f} ({of[f'wrong {rule}'] * 100:.1f})"

    return [(name, *(shown(of, rule) for rule in RULES)) for name, of in found.items()]


def main(repetitions: int = REPETITIONS) -> None:
    print(f"| experiment | {' | '.join(RULES)} |\n|---|{'---:|' * len(RULES)}")
    for name, design in DESIGNS.items():
        (row,) = rows({name: coverage(design, repetitions=repetitions)})
        print(f"| {' | '.join(row)} |", flush=True)
    for rivals in RIVALS:
        found = of_rivals(DESIGNS["table 1, 3 seeds"], rivals, repetitions=repetitions // 4)
        print(f"{rivals} rivals: margin {found['margin'] * 100:.1f}, share {found['share'] * 100:.1f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
