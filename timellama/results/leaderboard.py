"""The methods of one data set, look-back and horizon in order of test error, each compared with a naive forecast.

The skill of a method is 1 - MSE / MSE of the seasonal naive forecast (Murphy 1988, Monthly Weather Review 116). Its
interval is that of the log ratio. The chance is that of the test period and, from two seeds, that of the seeds
(`results/statistics/uncertainty.py`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from timellama.core.layout import WINDOWS
from timellama.results.read.run_files import read_windows
from timellama.results.read.runs import Finished, read_run
from timellama.results.statistics.uncertainty import Estimate, influence, of_period, of_seeds, together

BASELINE = "seasonal-naive"  # skill is measured against it
MODEL, CONTROL = "time-llama", "time-llama-none"  # the same with the language model, and with nothing instead of it
ERROR = "mse"  # methods are ranked and compared by it


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A method's runs, one per seed: test errors and validation loss, each a mean over seeds, and seconds of all seeds.

    `skill` is the log of its error over the baseline's, None if there is no baseline to compare with.
    """

    variant: str
    runs: tuple[Finished, ...]
    mse: float
    mae: float
    validation: float
    seconds: float
    skill: Estimate | None

    @property
    def best_run(self) -> Finished:
        """The run with the lowest validation loss among the seeds."""
        return min(self.runs, key=lambda run: run.metrics["validation_loss"])


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """`standings` are in order of test error; `chosen` is the one with the lowest validation loss.

    `worth` is the log of Time-LlaMA's error over that of the same model without a language model, None unless both were
    run.
    """

    dataset: str
    context: int
    horizon: int
    standings: tuple[Standing, ...]
    worth: Estimate | None

    @property
    def chosen(self) -> Standing:
        """The method to use: chosen on the validation part, so that its test error was not selected."""
        return min(self.standings, key=lambda standing: standing.validation)


def leaderboards(files: Iterable[Path]) -> list[Leaderboard]:
    """One leaderboard per data set, look-back and horizon of the runs whose `metrics.json` are given.

    Raises InputError for a file that is not a result of this version, or whose errors by window are missing.
    """
    groups: dict[tuple[str, int, int], dict[str, list[Finished]]] = {}
    for path in files:
        run = read_run(path.parent)
        if run.run.task == "short-term":  # one window per series: no test period, and no validation loss of the naive
            continue
        key = (run.run.dataset, run.run.context, run.run.horizon)
        groups.setdefault(key, {}).setdefault(run.run.variant, []).append(run)
    return [_leaderboard(*key, by_model(methods)) for key, methods in groups.items()]


def by_model(methods: dict[str, list[Finished]]) -> dict[str, list[Finished]]:
    """The runs of a method, split by language model if they have several; those of one differ only in the seed."""
    found: dict[str, list[Finished]] = {}
    for variant, runs in methods.items():
        several = len({run.run.backbone for run in runs}) > 1
        for run in runs:
            used = run.run.backbone
            name = f"{variant}, {used.name} x{used.blocks}, {used.weights}" if several and used else variant
            found.setdefault(name, []).append(run)
    return found


def _leaderboard(dataset: str, context: int, horizon: int, methods: dict[str, list[Finished]]) -> Leaderboard:
    standings = [_standing(variant, runs, methods.get(BASELINE), horizon) for variant, runs in methods.items()]
    both = MODEL in methods and CONTROL in methods
    return Leaderboard(
        dataset=dataset,
        context=context,
        horizon=horizon,
        standings=tuple(sorted(standings, key=lambda standing: standing.mse)),
        worth=log_ratio(methods[MODEL], methods[CONTROL], horizon=horizon) if both else None,
    )


def _standing(variant: str, runs: list[Finished], baseline: list[Finished] | None, horizon: int) -> Standing:
    mean = {key: fmean(run.metrics[key] for run in runs) for key in ("mse", "mae", "validation_loss")}
    return Standing(
        variant=variant,
        runs=tuple(sorted(runs, key=lambda run: run.run.seed)),
        mse=mean["mse"],
        mae=mean["mae"],
        validation=mean["validation_loss"],
        seconds=sum(run.metrics["seconds"]["total"] for run in runs),
        skill=log_ratio(runs, baseline, horizon=horizon) if baseline and variant != BASELINE else None,
    )


def log_ratio(ours: Sequence[Finished], theirs: Sequence[Finished], *, horizon: int) -> Estimate | None:
    """The log of our error over theirs, as a mean over seeds; below 0 ours is smaller. None if an error is 0.

    Both are of the same test windows. The chance is that of the test period, in blocks of a horizon, and that of the
    seeds if either has several. With a test period shorter than two horizons nothing is known about it.
    """
    means = [[run.metrics[ERROR] for run in runs] for runs in (ours, theirs)]
    if not all(value for of in means for value in of):
        return None
    logs = [[math.log(value) for value in of] for of in means]
    errors = [[read_windows(run.folder / WINDOWS)[ERROR] for run in runs] for runs in (ours, theirs)]
    period = of_period(influence(errors[0]) - influence(errors[1]), horizon)
    groups = [(of, weight) for of, weight in zip(logs, (1.0, -1.0), strict=True) if len(of) > 1]
    seeds = of_seeds([of for of, _ in groups], [weight for _, weight in groups]) if groups else None
    part = together([part for part in (period, seeds) if part]) if period else None
    return Estimate(value=fmean(logs[0]) - fmean(logs[1]), part=part)


def skill_of(estimate: Estimate) -> tuple[float, float, float]:
    """The skill 1 - exp(log ratio), and the ends of its 95 % interval, the lower first."""
    low, high = estimate.ends()
    return 1 - math.exp(estimate.value), 1 - math.exp(high), 1 - math.exp(low)
