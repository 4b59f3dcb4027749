"""The M4 competition's scores (SMAPE, MASE, OWA) and its reference forecast, Naive2 (paper, table 2).

Definitions and details are those of the organisers' code, Mcompetitions/M4-methods at 74e0279d, "Benchmarks and
Evaluation.R": `smape_cal` and `mase_cal`. Everything is computed in float64 on the original scale.

Averages come first, ratios last: a score is the mean over series, and OWA = (SMAPE / SMAPE_Naive2 + MASE / MASE_Naive2)
/ 2 divides means. Naive2 is computed here, on the very series that a method was scored on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from timellama.core.errors import InputError
from timellama.data.m4.frequencies import frequency_of
from timellama.data.m4.series import M4Series
from timellama.methods.m4_benchmarks.seasonality import naive2

# What runs must share to have a common score. Options and training may differ: they are published by frequency.
SAME = ("task", "variant", "method", "backbone", "seed", "train_percent", "precision")


def smape(truth: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """200 / H sum_h |y - f| / (|y| + |f|) of each series, in per cent; a term is 0 where y and f both are.

    Both [series, H] to [series]. Raises ValueError if the shapes differ, since broadcasting would hide it.
    """
    _same_shape(truth, forecast)
    size = np.abs(truth) + np.abs(forecast)
    return 200 * (np.abs(truth - forecast) / np.where(size > 0, size, 1)).mean(axis=1)


def mase(truth: np.ndarray, forecast: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """1 / H sum_h |y - f| / scale of each series: [series, H] twice and `mase_scale`s [series] to [series]."""
    _same_shape(truth, forecast)
    return np.abs(truth - forecast).mean(axis=1) / scales


def mase_scale(values: np.ndarray, *, season: int) -> float:
    """Mean |y_t - y_{t-m}| over the training values: the in-sample error of repeating the season of m steps.

    NaN if there is no such pair, 0 if the series repeats itself exactly: MASE is undefined for both, and `Reference`
    refuses them.
    """
    return float(np.abs(values[season:] - values[:-season]).mean()) if len(values) > season else math.nan


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What forecasts of one frequency are measured against: its truth [series, H], MASE's scales and Naive2's means."""

    dataset: str
    frequency: str
    truth: np.ndarray
    scales: np.ndarray
    naive2: dict[str, float]

    @classmethod
    def of(cls, series: M4Series, *, dataset: str) -> "Reference":
        """Raises InputError, naming the series, if MASE or Naive2 is undefined. For the published series neither is:
        their scores are finite."""
        scales = np.empty(len(series))
        forecast = np.empty_like(series.test)
        for i, name in enumerate(series.ids):
            values = series.training(i)
            scales[i] = mase_scale(values, season=series.season)
            if not scales[i] > 0:
                raise InputError(
                    f"{dataset}: the training values of {name} repeat themselves every {series.season} steps, or are "
                    "no more than that, so its MASE is undefined; leave the series out of the data set"
                )
            try:
                forecast[i] = naive2(values, season=series.season, horizon=series.horizon)
            except InputError as error:
                raise InputError(f"{dataset}, series {name}: {error}") from error
        return cls(
            dataset=dataset,
            frequency=frequency_of(horizon=series.horizon, season=series.season),
            truth=series.test,
            scales=scales,
            naive2=_means(series.test, forecast, scales),
        )

    def score(self, forecast: np.ndarray) -> dict[str, Any]:
        """`smape`, `mase` and `owa` of the forecasts [series, H] of one run, with `naive2`'s, and all by data set.

        Raises InputError if a forecast is not finite: no mean would be finite, and none would show which series it is.
        """
        bad = np.flatnonzero(~np.isfinite(forecast).all(axis=1))
        if len(bad):
            raise InputError(
                f"{self.dataset}: the forecasts of {len(bad)} of {len(forecast)} series are not finite, the first is "
                f"series {bad[0] + 1}; lower learning_rate"
            )
        scores = _means(self.truth, forecast, self.scales)
        numbers = scores | {"owa": owa(scores, self.naive2), "naive2": self.naive2}
        entry = {"frequency": self.frequency, "series": len(self.truth)} | numbers
        return numbers | {"frequencies": {self.dataset: entry}}

    def of_series(self, forecast: np.ndarray) -> dict[str, np.ndarray]:
        """SMAPE and MASE of each series [series], float32, of the forecasts [series, H] of one run."""
        scores = {"smape": smape(self.truth, forecast), "mase": mase(self.truth, forecast, self.scales)}
        return {name: values.astype(np.float32) for name, values in scores.items()}


def owa(scores: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """Overall weighted average: the mean of SMAPE and MASE, each divided by Naive2's."""
    return (scores["smape"] / reference["smape"] + scores["mase"] / reference["mase"]) / 2


def naive2_metrics(series: M4Series, *, dataset: str) -> dict[str, Any]:
    """The table's row of Naive2 if there is no run of it, in the form of `Reference.score`; its OWA is 1."""
    reference = Reference.of(series, dataset=dataset)
    numbers = reference.naive2 | {"owa": 1.0, "naive2": reference.naive2}
    entry = {"frequency": reference.frequency, "series": len(series)} | numbers
    return numbers | {"n_windows": len(series), "frequencies": {dataset: entry}}


def combine(metrics: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The overall scores of one method and seed from its `metrics.json`s, one for each frequency.

    SMAPE and MASE, the method's and Naive2's, are means over all series of all frequencies given, which `frequencies`
    names; OWA divides these means. `n_windows` counts the series.

    Raises InputError for no metrics, two of one frequency, or runs that differ in method, backbone, seed, share of
    training rows or precision.
    """
    if not metrics:
        raise InputError("there are no M4 metrics to combine; give those of at least one frequency")
    first = metrics[0]["run"]
    for document in metrics[1:]:
        other = document["run"]
        differing = [name for name in SAME if other[name] != first[name]]
        if differing:
            raise InputError(
                f"the runs on {first['dataset']} and {other['dataset']} differ in {', '.join(differing)}, so they have "
                "no common score; combine runs of one method, seed and set of settings"
            )
    parts = {}
    for document in metrics:
        for dataset, entry in document["frequencies"].items():
            if entry["frequency"] in {known["frequency"] for known in parts.values()}:
                raise InputError(
                    f"{dataset} is a second run of the frequency {entry['frequency']}; all series of a frequency come "
                    "from one run, so leave one out"
                )
            parts[dataset] = entry
    total = sum(entry["series"] for entry in parts.values())
    scores = _weighted([(entry["series"], entry) for entry in parts.values()], total)
    reference = _weighted([(entry["series"], entry["naive2"]) for entry in parts.values()], total)
    return {
        **{name: first[name] for name in SAME},
        **scores,
        "owa": owa(scores, reference),
        "naive2": reference,
        "n_windows": total,
        "frequencies": parts,
    }


def _weighted(parts: list[tuple[int, Mapping[str, float]]], total: int) -> dict[str, float]:
    return {name: sum(count * entry[name] for count, entry in parts) / total for name in ("smape", "mase")}


def _means(truth: np.ndarray, forecast: np.ndarray, scales: np.ndarray) -> dict[str, float]:
    return {"smape": float(smape(truth, forecast).mean()), "mase": float(mase(truth, forecast, scales).mean())}


def _same_shape(truth: np.ndarray, forecast: np.ndarray) -> None:
    if truth.shape != forecast.shape:
        raise ValueError(f"the forecasts' shape {forecast.shape} is not the truth's {truth.shape}")
