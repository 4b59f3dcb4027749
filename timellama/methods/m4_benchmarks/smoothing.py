"""Exponential smoothing, and the theta method built on it, fitted to one series like the M4 competition's benchmarks.

Those call `ses` and `holt` of R's package forecast 8.2 ("Benchmarks and Evaluation.R" of Mcompetitions/M4-methods at
74e0279d), which fit the models ANN, AAN and AAdN of Hyndman et al. 2008 (Forecasting with Exponential Smoothing, table
2.2) by the mean squared error of one step ahead, together with the initial states. Everything is float64.
"""

import numpy as np
from scipy.signal import lfilter

from timellama.core.errors import InputError
from timellama.methods.m4_benchmarks.simplex import minimise

# R/ets.R of robjhyndman/forecast at 62858b72, of about version 8.2: `lower` and `upper` of `ets`, and the start that
# its `initparam` and `initstate` choose. Later versions (077b5be2, 8.20) start alpha at 0.2 and end in other minima.
LOWEST, HIGHEST = 1e-4, 0.9999  # of alpha and beta
LOWEST_PHI, HIGHEST_PHI = 0.8, 0.98
ALPHA = LOWEST + 0.5 * (HIGHEST - LOWEST)
BETA = LOWEST + 0.1 * (ALPHA - LOWEST)
PHI = LOWEST_PHI + 0.99 * (HIGHEST_PHI - LOWEST_PHI)
FIRST = 10  # values from which the initial level and trend are computed
LEAST = 10  # values: with fewer, `ets` fits another model


def ses(values: np.ndarray, *, horizon: int) -> np.ndarray:
    """Simple exponential smoothing: l_t = l_{t-1} + alpha e_t with e_t = y_t - l_{t-1}; f_h = l_n. [n] to [H].

    Raises InputError for fewer than 10 values.
    """
    _require_enough(values)

    def levels(fit: np.ndarray) -> np.ndarray:
        alpha, level = fit
        return lfilter([alpha], [1, alpha - 1], values, zi=[(1 - alpha) * level])[0]

    def error(fit: np.ndarray) -> float:
        if not LOWEST <= fit[0] <= HIGHEST:
            return np.inf
        errors = values - np.concatenate([fit[1:], levels(fit)[:-1]])
        return errors @ errors / len(values)

    fit = minimise(error, np.array([ALPHA, values[:FIRST].mean()]))
    return np.full(horizon, levels(fit)[-1])


def holt(values: np.ndarray, *, horizon: int, damped: bool) -> np.ndarray:
    """Holt's linear trend, damped by phi if `damped` (else phi = 1): [n] to [H].

    l_t = l_{t-1} + phi b_{t-1} + alpha e_t and b_t = phi b_{t-1} + beta e_t with e_t = y_t - l_{t-1} - phi b_{t-1};
    f_h = l_n + (phi + ... + phi^h) b_n. Raises InputError for fewer than 10 values.
    """
    _require_enough(values)

    def parts(fit: np.ndarray) -> tuple[float, ...]:
        alpha, beta, phi = (*fit[:2], fit[2] if damped else 1.0)
        return alpha, beta, phi, fit[-2], fit[-1]

    def error(fit: np.ndarray) -> float:
        alpha, beta, phi, *_ = parts(fit)
        inside = LOWEST <= alpha <= HIGHEST and LOWEST <= beta <= min(alpha, HIGHEST)
        if not inside or (damped and not LOWEST_PHI <= phi <= HIGHEST_PHI):
            return np.inf
        errors = _errors(values, *parts(fit))
        return errors @ errors / len(values)

    trend, level = np.polyfit(np.arange(1, FIRST + 1), values[:FIRST], 1)
    start = [ALPHA, BETA, *([PHI] if damped else []), level, trend]
    alpha, beta, phi, level, trend = parts(minimise(error, np.array(start)))
    for e in _errors(values, alpha, beta, phi, level, trend):
        level, trend = level + phi * trend + alpha * e, phi * trend + beta * e
    return level + np.cumsum(phi ** np.arange(1, horizon + 1)) * trend


def theta(values: np.ndarray, *, horizon: int) -> np.ndarray:
    """The classic theta method (Assimakopoulos and Nikolopoulos 2000), the mean of two lines, not below 0: [n] to [H].

    One is the straight line through the values, the other `ses` of twice the values less that line. Raises InputError
    for fewer than 10 values.
    """
    n = len(values)
    slope, start = np.polyfit(np.arange(1, n + 1), values, 1)
    line = start + slope * np.arange(1, n + horizon + 1)
    return np.maximum(0.5 * ses(2 * values - line[:n], horizon=horizon) + 0.5 * line[n:], 0)


def _errors(values: np.ndarray, alpha: float, beta: float, phi: float, level: float, trend: float) -> np.ndarray:
    """The errors e_t of `holt` as a linear filter, (1 - B)(1 - phi B) y_t = (1 + p B + q B^2) e_t with p = alpha +
    phi beta - 1 - phi and q = phi (1 - alpha), whose first two come from the initial level and trend."""
    p, q = alpha + phi * beta - 1 - phi, phi * (1 - alpha)
    first = values[0] - level - phi * trend
    level, trend = level + phi * trend + alpha * first, phi * trend + beta * first
    second = values[1] - level - phi * trend
    before = [first - values[0], second - values[1] + (1 + phi) * values[0] + p * first]
    return lfilter([1, -(1 + phi), phi], [1, p, q], values, zi=before)[0]


def _require_enough(values: np.ndarray) -> None:
    if len(values) < LEAST:
        raise InputError(f"a series of {len(values)} values is too short to fit; it needs {LEAST}, so leave it out")
