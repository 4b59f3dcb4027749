"""The intervals of a run, read back and applied to a forecast, in the units of the forecast file.

    finished = find_run("NYCWeather/dlinear/H96-T512-s0", results=Path("results"))
    intervals = read_intervals(finished)
    lower, upper = intervals.bounds(forecaster, made, 80)

`calibration.py` makes them, in a step of the workflow after the training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from timellama.core import layout
from timellama.core.errors import InputError
from timellama.core.files import read_arrays, sha256_of
from timellama.results.forecasts.forecasting import Forecast, Forecaster
from timellama.results.read.documents import read_scores
from timellama.results.read.runs import Finished

ARRAYS = ("levels", "quantiles", "floor", "coverage_of_steps", "coverage_of_variates")
MEDIAN = 50
ENDS = ("lo", "hi")  # in the names of columns


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Intervals y' +- q s of `levels` in per cent: `q` float32 [L, H, N], with the variates in the order of the run.

    s is the standard deviation of a look-back plus `floor` times that of the training rows. `coverage` is the share of
    the test part that each reported level covered.
    """

    levels: tuple[int, ...]
    q: np.ndarray
    floor: float
    coverage: dict[str, float]

    def bounds(self, forecaster: Forecaster, forecast: Forecast, percent: int) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends float64 [H, N] of the interval of `percent`, in units and order of `forecast.values`.

        Infinite if the run had too few validation windows for it. Raises InputError for a level that is not kept.
        """
        if percent not in self.levels:
            raise InputError(f"there is no interval of {percent} %; take one of {', '.join(map(str, self.levels))}")
        names = forecaster.columns
        order = [names.index(name) for name in forecast.context_rows.columns]
        s = forecast.context_rows.values.std(axis=0) + self.floor * forecaster.scaler.std[order]
        half = self.q[self.levels.index(percent)].astype(np.float64)[:, order] * s
        return forecast.values - half, forecast.values + half

    def quantiles(
        self, forecaster: Forecaster, forecast: Forecast, percents: Sequence[int] | None = None
    ) -> dict[int, np.ndarray]:
        """Quantiles float64 [H, N] by level in per cent, in ascending order; all of them if none are named.

        The median is the forecast. Raises InputError for a level that is not an end of a kept interval.
        """
        ends = {MEDIAN: forecast.values}
        for percent in self.levels:
            low = (100 - percent) // 2
            ends[low], ends[100 - low] = self.bounds(forecaster, forecast, percent)
        if lacking := [percent for percent in percents or () if percent not in ends]:
            raise InputError(
                f"there is no quantile of {lacking[0]} %; take some of {', '.join(map(str, sorted(ends)))}"
            )
        return {percent: ends[percent] for percent in sorted(percents or ends)}


def columns_of(bounds: Mapping[int, tuple[np.ndarray, np.ndarray]], forecast: Forecast) -> dict[str, np.ndarray]:
    """The ends [H] of intervals by level, each [H, N], under the names of columns: `load_lo80`, `load_hi80`.

    Raises InputError if the file has a column with such a name.
    """
    context_rows = forecast.context_rows
    found = {}
    for place, name in enumerate(context_rows.columns):
        for percent, ends in bounds.items():
            for end, values in zip(ENDS, ends, strict=True):
                found[f"{name}_{end}{percent}"] = values[:, place]
    if taken := sorted(set(found) & {*context_rows.columns, context_rows.time_column}):
        raise InputError(
            f"{context_rows.path}: has a column {taken[0]!r}, the name that an end of an interval would have; leave "
            "the intervals out with --no-intervals"
        )
    return found


def read_intervals(finished: Finished) -> Intervals | None:
    """The intervals of a finished run; None if there are none for its present weights.

    Raises InputError if the files cannot be read or do not belong to one run.
    """
    place = finished.folder / layout.INTERVALS
    if not place.is_file():
        return None
    found = read_scores(place)
    if found.provenance.weights_sha256 != sha256_of(finished.folder / layout.WEIGHTS):
        return None
    arrays = read_arrays(finished.folder / layout.INTERVAL_WIDTHS, ARRAYS)
    q, levels = arrays["quantiles"], tuple(int(level) for level in arrays["levels"])
    wanted = (len(levels), finished.run.horizon, finished.run.variates)
    if q.shape != wanted:
        raise InputError(
            f"{finished.folder / layout.INTERVAL_WIDTHS} has quantiles of shape {q.shape}, but the run has "
            f"{wanted}; {remedy(finished)}"
        )
    return Intervals(levels=levels, q=q, floor=float(arrays["floor"][0]), coverage=found.coverage)


def remedy(finished: Finished) -> str:
    """The command that makes a run's intervals."""
    return f"snakemake -j1 {layout.intervals_of(finished.run.folder)} with the run's --configfile makes them"


def without_intervals(finished: Finished) -> str | None:
    """Why `read_intervals` finds no intervals of a run, and how to make them; None if none can be made."""
    if finished.run.task == "short-term" or finished.run.grid:
        return None
    there = (finished.folder / layout.INTERVALS).is_file()
    why = "its intervals are of other weights than it has" if there else "this run has no prediction intervals"
    return f"{why}; {remedy(finished)}"
