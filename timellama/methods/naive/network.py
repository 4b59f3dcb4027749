"""Forecasts that train nothing: the floor that a trained method has to beat.

The seasonal naive forecast is the textbook's (Hyndman and Athanasopoulos 2021, Forecasting: Principles and Practice,
section 5.2), and so is the mean, here of the look-back only. The mean by position in the season is our addition:
trained methods with few rows find it hard to beat.
"""

import logging

from torch import Tensor

from timellama.core.errors import InputError
from timellama.methods.forecaster import Forecaster

log = logging.getLogger(__name__)


class LookBackMean(Forecaster):
    """The mean of the look-back, variate by variate: y[h] = (1/T) sum_t x[t] for h = 0 .. H - 1."""

    def __init__(self, *, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        return x.mean(dim=1, keepdim=True).repeat(1, self.horizon, 1)


class SeasonalNaive(Forecaster):
    """Repeats the last season: y[h] = x[T - S + (h mod S)] for h = 0 .. H - 1 and a season of S steps.

    A look-back of T < S steps holds no whole season: then S is 1, which repeats the last value, as the textbook's naive
    forecast does. Tables say so (`Method.below_season`).
    """

    def __init__(self, *, context: int, horizon: int, season: int) -> None:
        """Raises InputError for a season of less than one step."""
        super().__init__()
        require_step(season)
        if context < season:
            log.info("a look-back of %d holds no season of %d steps: the last value is repeated", context, season)
        self.horizon, self.season = horizon, season if season <= context else 1

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        return tile(x[:, -self.season :], self.horizon)


class HourOfDayMean(Forecaster):
    """The mean of the last k seasons, position by position: y[h] = (1/k) sum_{j=1..k} x[T - jS + (h mod S)].

    k = min(days, T // S); in hourly data S is 24 and the positions are the hours of the day.
    """

    def __init__(self, *, context: int, horizon: int, season: int, days: int) -> None:
        """Raises InputError if the context is shorter than one season, or `days` is below 1."""
        super().__init__()
        require_season(context=context, season=season)
        if days < 1:
            raise InputError(f"days is {days}: the mean needs at least 1 season; set days to 1 or more")
        self.horizon, self.season = horizon, season
        self.seasons = min(days, context // season)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        seasons = x[:, -self.seasons * self.season :].unflatten(1, (self.seasons, self.season))
        return tile(seasons.mean(dim=1), self.horizon)


def tile(season: Tensor, horizon: int) -> Tensor:
    """Repeat a season [B, S, N] along time and cut it to [B, H, N]."""
    repeats = -(-horizon // season.shape[1])
    return season.repeat(1, repeats, 1)[:, :horizon]


def require_step(season: int) -> None:
    """Raise InputError for a season of less than one step."""
    if season < 1:
        raise InputError(f"season is {season}: a season has at least 1 step; use 1 for data without a season")


def require_season(*, context: int, season: int) -> None:
    """Raise InputError unless the look-back holds one whole season of at least one step."""
    require_step(season)
    if context < season:
        raise InputError(f"context is {context}, shorter than one season of {season} steps; lengthen it to {season}")
