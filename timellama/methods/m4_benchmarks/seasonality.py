"""The season in a series, as the M4 competition's benchmarks test it, divide it out and put it back.

Definitions and details are those of the organisers' code, Mcompetitions/M4-methods at 74e0279d, "Benchmarks and
Evaluation.R": `SeasonalityTest` and `Benchmarks`, with R's `acf` and `decompose`.
"""

import math

import numpy as np

from timellama.core.errors import InputError

CRITICAL = 1.645  # two-sided 90 % of the normal distribution, as the organisers write it
LEAST_PERIODS = 3  # a series of fewer whole seasons is never called seasonal


def is_seasonal(values: np.ndarray, *, season: int) -> bool:
    """Whether |r_m| > 1.645 sqrt((1 + 2 sum_{i<m} r_i^2) / n), r being autocorrelations about the mean, divisor n.

    False for a season of one step, for fewer than three seasons, for a constant series, and if m is beyond the
    10 log10(n) lags that R's `acf` gives by default: the organisers' code then compares with a missing value. So an
    hourly series needs 252 values to be called seasonal.
    """
    n = len(values)
    if season < 2 or n < LEAST_PERIODS * season or season > math.floor(10 * math.log10(n)):
        return False
    centred = values - values.mean()
    power = centred @ centred
    if power == 0:
        return False
    r = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]) / power
    limit = CRITICAL * math.sqrt((1 + 2 * (r[:-1] @ r[:-1])) / n)
    return bool(abs(r[-1]) > limit)


def seasonal_indices(values: np.ndarray, *, season: int) -> np.ndarray:
    """Multiplicative indices [m] of the positions t mod m, of mean 1: R's `decompose`.

    The trend is a centred moving average over one season, with half weights at both ends where m is even; an index is
    the mean of value / trend over its position, and the indices are divided by their mean.
    """
    weights = np.ones(season) if season % 2 else np.concatenate([[0.5], np.ones(season - 1), [0.5]])
    half = season // 2
    trend = np.convolve(values, weights / season, mode="valid")
    with np.errstate(divide="ignore", invalid="ignore"):  # callers refuse what is not finite
        ratios = values[half : len(values) - half] / trend
        positions = np.arange(half, len(values) - half) % season
        indices = np.array([ratios[positions == position].mean() for position in range(season)])
        return indices / indices.mean()


def naive2(values: np.ndarray, *, season: int, horizon: int) -> np.ndarray:
    """The last value, seasonally adjusted if `is_seasonal`, times the indices of the steps ahead: [n] to [H].

    Raises InputError if the adjustment divides by 0, which never happens with positive values.
    """
    if not is_seasonal(values, season=season):
        return np.full(horizon, values[-1], dtype=np.float64)
    indices = seasonal_indices(values, season=season)
    n = len(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        forecast = values[-1] / indices[(n - 1) % season] * indices[(n + np.arange(horizon)) % season]
    if not np.isfinite(forecast).all():
        raise InputError("a multiplicative season divides by 0 here; Naive2 needs a series of positive values")
    return forecast


def divided_out(values: np.ndarray, *, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The values without their season, float64 [n], and what puts it back into the next `horizon` steps, [H].

    The values themselves and ones if `is_seasonal` finds none. Raises InputError if the season divides by 0, which
    never happens with positive values.
    """
    if not is_seasonal(values, season=season):
        return values, np.ones(horizon)
    indices = seasonal_indices(values, season=season)
    n = len(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        adjusted = values / indices[np.arange(n) % season]
    if not np.isfinite(adjusted).all():
        raise InputError("a multiplicative season divides by 0 here; it needs a series of positive values")
    return adjusted, indices[(n + np.arange(horizon)) % season]
