"""How much work a run is, known before it starts: windows, steps of training, batches of forecasts.

Everything follows from the run's settings and the size of its series. Training may run out of patience and stop early,
so these are upper bounds. Standard library only: Snakemake reads this while it plans.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from timellama.data.m4.frequencies import RECENT_HORIZONS
from timellama.data.splits import count_windows
from timellama.experiments.run import Run


@dataclass(frozen=True, kw_only=True)
class Work:
    """The most that a run does: steps of training, validations, and batches of forecasts in these and in the test."""

    steps: int
    validations: int
    validation_batches: int
    test_batches: int


def windows_of(run: Run, *, rows: int, frequency: str) -> dict[str, int]:
    """Windows of each part of a data set with this number of `rows` (in M4, series) and this pandas `frequency`.

    For M4, whose series differ in length, the training windows are the most there can be.
    """
    if run.split.rule == "published":
        cuts = int(RECENT_HORIZONS[frequency] * run.horizon) - run.horizon + 1
        return {"train": rows * max(cuts, 1), "validation": rows, "test": rows}
    return count_windows(
        run.split, rows=rows, context=run.context, horizon=run.horizon, train_percent=run.train_percent
    )


def work_of(run: Run, windows: Mapping[str, int]) -> Work:
    """The most that a run has to do, as `timellama.training.train` counts it."""
    batch = run.evaluation_batch_size
    test = math.ceil(windows["test"] / batch)
    if run.training is None:
        return Work(steps=0, validations=0, validation_batches=0, test_batches=test)
    training = run.training
    steps = training.steps(windows=windows["train"], variates=run.variates)
    # The untrained model is validated too.
    validations = 1 + math.ceil(steps.total / steps.between_validations)
    chosen = min(training.validation_windows or windows["validation"], windows["validation"])
    return Work(
        steps=steps.total,
        validations=validations,
        validation_batches=validations * math.ceil(chosen / batch),
        test_batches=test,
    )
