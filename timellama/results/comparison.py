"""Two finished runs side by side: what they have in common, where they differ, and a paired test over seeds.

There are two tests. One is that of the tables (`aggregate.paired_difference`): the 95 % t interval of the mean
difference over the seeds that both have. The other compares only these two runs, over the windows of the test part
(`inference.diebold_mariano`): it says whether another stretch of the same series could reverse the difference.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from timellama.core.errors import InputError
from timellama.core.layout import WINDOWS
from timellama.methods.registry import trains
from timellama.results.aggregate import collect, of_definition, paired_difference
from timellama.results.read.run_files import read_windows
from timellama.results.read.runs import METRICS, Finished, same_but_seed
from timellama.results.statistics.inference import CONFIDENCE, WindowTest, diebold_mariano
from timellama.training.scores.metric_objects import EXTRA, FORECAST, errors_of

# What two runs must share, or their errors measure different things: another reading repairs other targets. The
# look-back may differ: the test targets stay the same.
SHARED = ("task", "dataset", "reading", "horizon", "split", "variates")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An error of both runs, and first - second over `pairs` seeds with half the width of its interval.

    `half_width` is NaN with fewer than two pairs. `windows` is the test over windows of the two named runs, if both
    have errors by window.
    """

    metric: str
    first: float
    second: float
    mean: float
    half_width: float
    pairs: int
    windows: WindowTest | None = None

    @property
    def decided(self) -> bool | None:
        """Whether the interval of the mean excludes 0; None if there is no interval."""
        return None if math.isnan(self.half_width) else bool(abs(self.mean) > self.half_width)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`settings`: what differs in the two specifications, by path, with both values. `seeds` are the paired seeds."""

    first: Finished
    second: Finished
    settings: dict[str, tuple[Any, Any]]
    differences: list[Difference]
    seeds: tuple[int, ...]
    notes: tuple[str, ...]


def compare_runs(first: Finished, second: Finished) -> Comparison:
    """Compare two runs of one task, data set and horizon. Raises InputError if they are not comparable."""
    if first.run.folder == second.run.folder:
        raise InputError(f"both names mean {first.run.folder}: name two runs")
    for name in SHARED:
        values = [getattr(each.run, name) for each in (first, second)]
        if values[0] != values[1]:
            raise InputError(
                f"the runs differ in {name} ({values[0]} and {values[1]}), so their errors measure different things: "
                "name two with the same"
            )
    for name, values in {
        "test windows": [each.metrics["n_windows"] for each in (first, second)],
        "raw data": [each.metrics["provenance"]["data_sha256"] for each in (first, second)],
    }.items():
        if values[0] != values[1]:
            raise InputError(
                f"the runs were tested on different {name} ({values[0]} and {values[1]}): run the older one again"
            )
    ours, theirs = _paired(_frame(first), _frame(second))
    errors = [errors_of(each.metrics) for each in (first, second)]
    extra = [each.metrics.get(EXTRA, {}) for each in (first, second)]
    differences = []
    for metric in errors[0]:
        values = [of_one.get(metric) for of_one in errors]
        if None in values:  # a user-supplied metric that one of them lacks, or that is not finite
            continue
        if metric in extra[0]:
            definition = extra[0][metric]["definition"]
            if extra[1][metric]["definition"] != definition:
                continue
            ours, theirs = (of_definition(frame, metric, definition) for frame in (ours, theirs))
        mean, half_width, pairs = paired_difference(ours, theirs, metric)
        over = _over_windows(first, second, metric)
        both = {"first": values[0], "second": values[1]}
        differences.append(
            Difference(metric=metric, **both, mean=mean, half_width=half_width, pairs=pairs, windows=over)
        )
    seeds = tuple(sorted(set(ours["seed"]) & set(theirs["seed"])))
    over_windows = any(each.windows for each in differences)
    untested = [first.label_of(each.metric) for each in differences if over_windows and not each.windows]
    return Comparison(
        first=first,
        second=second,
        settings=_differing(dataclasses.asdict(first.run), dataclasses.asdict(second.run)),
        differences=differences,
        seeds=seeds,
        notes=tuple(_notes(first, second, pairs=len(seeds), untested=untested)),
    )


def _over_windows(first: Finished, second: Finished, metric: str) -> WindowTest | None:
    """None for a task whose windows have no order in time (M4), and if a run of an older version kept no errors."""
    files = [each.folder / WINDOWS for each in (first, second)]
    if first.run.task == "short-term" or not all(file.is_file() for file in files):
        return None
    errors = [read_windows(file).get(metric) for file in files]
    if any(each is None for each in errors):
        return None
    return diebold_mariano(*errors, horizon=first.run.horizon)


def _frame(finished: Finished) -> pd.DataFrame:
    """The run and its siblings of other seeds, as `aggregate.collect` reads them."""
    files = [each.folder / METRICS for each in same_but_seed(finished)]
    return collect(files, methods={finished.run.variant: {"label": finished.run.variant, "floor": False}})


def _paired(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both frames with the same seeds: if one side's method trains nothing, its number counts for every seed."""

    def spread(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
        alone = not frame["method"].map(trains).any() and other["method"].map(trains).all()
        return frame.drop(columns="seed").merge(other[["seed"]], how="cross") if alone else frame

    return spread(first, second), spread(second, first)


def _differing(first: Any, second: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """The differences of two nested specifications, by dotted path; a key that one lacks counts as None."""
    if isinstance(first, dict) and isinstance(second, dict):
        found = {}
        for key in dict.fromkeys([*first, *second]):
            found |= _differing(first.get(key), second.get(key), f"{path}.{key}" if path else key)
        return found
    return {} if first == second else {path: (first, second)}


def _notes(first: Finished, second: Finished, *, pairs: int, untested: Sequence[str]) -> list[str]:
    """What a reader has to know; `untested` are the labels of the errors without a test over windows, if others have
    one."""
    notes = []
    if untested:
        kept = " and ".join(metric.label for metric in FORECAST)
        notes.append(f"no test over windows of {', '.join(untested)}: errors by window are kept of {kept} only")
    if not any(trains(each.run.method) for each in (first, second)):
        notes.append("neither method trains, so there is no chance to test against: the difference is what it is")
    elif pairs < 2:
        notes.append(
            f"no test over seeds: {pairs} seed(s) of both runs are finished, and at least two are needed; add "
            "`seeds` to the configuration"
        )
    else:
        notes.append(f"the interval is of {CONFIDENCE:.0%} over {pairs} seeds: it holds for this data set and horizon")
    if not all(trains(each.run.method) for each in (first, second)) and pairs > 1:
        notes.append("the method that trains nothing has one number, which is used for every seed")
    for what, key in (("code", "source_digest"), ("hardware", "hardware"), ("library versions", "versions")):
        values = [json.dumps(each.metrics["provenance"][key], sort_keys=True) for each in (first, second)]
        if values[0] != values[1] and (key != "source_digest" or first.run.method == second.run.method):
            notes.append(f"the two were run with other {what}")
    return notes
