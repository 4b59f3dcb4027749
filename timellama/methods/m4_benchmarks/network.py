"""The statistical benchmarks of the M4 competition, each fitted to a whole training series.

Makridakis, Spiliotis and Assimakopoulos 2020, The M4 Competition, International Journal of Forecasting 36, table 1;
their code, Mcompetitions/M4-methods at 74e0279d, "Benchmarks and Evaluation.R", `Benchmarks`. All but Naive 1 divide a
multiplicative season out if one is found, and put it back. The ninth, the seasonal naive, is a method of the package
for any data set (`timellama.methods.naive`).
"""

import numpy as np

from timellama.methods.m4_benchmarks.seasonality import divided_out, naive2
from timellama.methods.m4_benchmarks.smoothing import holt, ses, theta
from timellama.methods.series import SeriesForecaster


class Naive1(SeriesForecaster):
    """The last value: f_h = y_n."""

    def of_series(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]."""
        return np.full(self.horizon, values[-1])


class Seasonal(SeriesForecaster):
    """A forecaster that knows the length of a season."""

    def __init__(self, *, horizon: int, season: int) -> None:
        super().__init__(horizon=horizon)
        self.season = season


class Naive2(Seasonal):
    """Naive 1 of the seasonally adjusted series: what OWA divides by."""

    def of_series(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]. Raises InputError as `naive2` does."""
        return naive2(values, season=self.season, horizon=self.horizon)


class Adjusted(Seasonal):
    """A forecast of the seasonally adjusted series, with the season put back. A subclass defines `of_adjusted`."""

    def of_adjusted(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]."""
        raise NotImplementedError

    def of_series(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]. Raises InputError as `divided_out` and `ses` do."""
        adjusted, factors = divided_out(values, season=self.season, horizon=self.horizon)
        return self.of_adjusted(adjusted) * factors


class Ses(Adjusted):
    """Simple exponential smoothing."""

    def of_adjusted(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]."""
        return ses(values, horizon=self.horizon)


class Holt(Adjusted):
    """Holt's linear trend."""

    def of_adjusted(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]."""
        return holt(values, horizon=self.horizon, damped=False)


class Damped(Adjusted):
    """Holt's linear trend, damped."""

    def of_adjusted(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]."""
        return holt(values, horizon=self.horizon, damped=True)


class Theta(Adjusted):
    """The classic theta method, the most accurate of the M3 competition."""

    def of_adjusted(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]."""
        return theta(values, horizon=self.horizon)


class Comb(Adjusted):
    """The mean of simple, Holt's and damped exponential smoothing: what M4's submissions were compared with."""

    def of_adjusted(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]."""
        trends = [holt(values, horizon=self.horizon, damped=damped) for damped in (False, True)]
        return (ses(values, horizon=self.horizon) + trends[0] + trends[1]) / 3
