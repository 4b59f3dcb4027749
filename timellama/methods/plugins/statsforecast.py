"""Statistical methods of the library statsforecast (Garza et al. 2022, Nixtla), as a plug-in of one file.

A configuration names a record of this module like a user-supplied one: `method:
timellama.methods.plugins.statsforecast:AUTO_ETS` (docs/adding.md). Each series is fitted by itself and nothing is kept
from one to the next: on M4 the whole training series, elsewhere every look-back of every variate. The extra
`statsforecast` installs the library, which is imported when a run is built.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from timellama.core.errors import InputError
from timellama.core.values import Count, Whole
from timellama.methods.method import LibraryMethod
from timellama.methods.series import SeriesForecaster
from timellama.methods.series_method import SeriesMethod


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Chosen and fitted by statsforecast for each series; trains nothing."""


@dataclass(frozen=True, kw_only=True)
class AutoArimaOptions:
    """The orders that are tried. The library's own limits, 5 and 2, take several times as long."""

    order: Count = 2  # our choice: largest p and q; on M4 Hourly a series then takes about a second of processor time
    seasonal_order: Whole = 1  # our choice, for the same reason: largest P and Q


class Fitted(SeriesForecaster):
    """A model of `statsforecast.models`, refitted to each series."""

    def __init__(self, *, horizon: int, season: int, model: str, settings: dict[str, Any]) -> None:
        """Raises InputError if the library is not installed."""
        super().__init__(horizon=horizon)
        try:
            from statsforecast import models
        except ImportError as error:
            raise InputError(
                f"{model} needs the library statsforecast, which cannot be imported ({error}); install it with "
                "pip install 'timellama[statsforecast]'"
            ) from error
        self.model = getattr(models, model)(season_length=season, **settings)

    def of_series(self, values: np.ndarray) -> np.ndarray:
        """[n] to [H]. Raises InputError if the library cannot fit the series."""
        try:
            return self.model.forecast(y=values, h=self.horizon)["mean"]
        except Exception as error:  # whatever the library raises
            raise InputError(
                f"statsforecast cannot fit {self.model} to a series of {len(values)} values, from {values[0]:g} to "
                f"{values[-1]:g}: {type(error).__name__}: {error}; leave the method out on this data set"
            ) from error


class SeasonalNaive(Fitted):
    """The last season, repeated."""

    def __init__(self, *, horizon: int, season: int) -> None:
        super().__init__(horizon=horizon, season=season, model="SeasonalNaive", settings={})


class AutoETS(Fitted):
    """The exponential smoothing model with the lowest corrected AIC (Hyndman et al. 2002)."""

    def __init__(self, *, horizon: int, season: int) -> None:
        super().__init__(horizon=horizon, season=season, model="AutoETS", settings={})


class AutoTheta(Fitted):
    """The best of four theta models (Fiorucci et al. 2016)."""

    def __init__(self, *, horizon: int, season: int) -> None:
        super().__init__(horizon=horizon, season=season, model="AutoTheta", settings={})


class AutoARIMA(Fitted):
    """The seasonal ARIMA model with the lowest corrected AIC that a stepwise search finds (Hyndman and Khandakar 2008).

    Its time is bounded by the orders, and by an approximate likelihood during the search. A clock would bound it too,
    but then a number would depend on the machine.
    """

    def __init__(self, *, horizon: int, season: int, order: int, seasonal_order: int) -> None:
        limits = {"max_p": order, "max_q": order, "max_P": seasonal_order, "max_Q": seasonal_order}
        super().__init__(horizon=horizon, season=season, model="AutoARIMA", settings=limits | {"approximation": True})


@dataclass(frozen=True, kw_only=True)
class FittedMethod(SeriesMethod, LibraryMethod):
    """A method of statsforecast, whose version is part of the digest of its runs' code."""

    looks_back: bool = True
    libraries: tuple[str, ...] = ("statsforecast",)


def _method(name: str, *, network: type, options: type = NoOptions, seasons: int = 0) -> FittedMethod:
    place = f"{__name__}:{network.__name__}"
    return FittedMethod(name=name, options=options, network=place, seasons=seasons)


SEASONAL_NAIVE = _method("statsforecast-seasonal-naive", network=SeasonalNaive, seasons=1)
AUTO_ETS = _method("auto-ets", network=AutoETS)
AUTO_THETA = _method("auto-theta", network=AutoTheta)
AUTO_ARIMA = _method("auto-arima", network=AutoARIMA, options=AutoArimaOptions)
