"""Forecasts that train nothing: the mean of the look-back, the last season repeated, and the mean of several."""

from dataclasses import dataclass

from timellama.core.values import Count
from timellama.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class LookBackMeanOptions:
    """The mean of the look-back at every step; trains nothing."""


@dataclass(frozen=True, kw_only=True)
class SeasonalNaiveOptions:
    """Repeats the last season, or the last value if the look-back holds no season; trains nothing."""


@dataclass(frozen=True, kw_only=True)
class HourOfDayMeanOptions:
    """The mean of the last `days` seasons, position by position; trains nothing."""

    days: Count = 7  # the last week


METHODS = (
    Method(
        name="look-back-mean",
        options=LookBackMeanOptions,
        network="timellama.methods.naive.network:LookBackMean",
        trains=False,
        alone=True,
    ),
    Method(
        name="seasonal-naive",
        options=SeasonalNaiveOptions,
        network="timellama.methods.naive.network:SeasonalNaive",
        trains=False,
        alone=True,
        below_season="repeats the last value",
    ),
    Method(
        name="hour-of-day-mean",
        options=HourOfDayMeanOptions,
        network="timellama.methods.naive.network:HourOfDayMean",
        trains=False,
        alone=True,
        seasons=2,  # the mean of a single season is the seasonal naive under another name
    ),
)
