"""The calendar features of time stamps as numbers from -0.5 to 0.5, one column a feature.

Reference thuml/Time-Series-Library at a74605f0, utils/timefeatures.py: each feature counts from 0 and is divided by the
most that it can be. They are what a clock of the series' own zone shows, since people, and what is measured of them,
keep to that clock: at eight in the morning work begins in summer and in winter, in UTC an hour apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SCALED: dict[str, Callable[[pd.DatetimeIndex], np.ndarray]] = {
    "second-of-minute": lambda time: time.second / 59,
    "minute-of-hour": lambda time: time.minute / 59,
    "hour-of-day": lambda time: time.hour / 23,
    "day-of-week": lambda time: time.day_of_week / 6,  # from Monday
    "day-of-month": lambda time: (time.day - 1) / 30,
    "day-of-year": lambda time: (time.day_of_year - 1) / 365,
    "week-of-year": lambda time: (time.isocalendar().week.to_numpy(float) - 1) / 52,
    "month-of-year": lambda time: (time.month - 1) / 11,
}


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """The C `features`, names of `SCALED`, as the clocks of `zone` show them; None: the stamps are taken as they stand.

    No feature at all is an empty calendar, whose marks have no column.
    """

    features: tuple[str, ...]
    zone: str | None

    @classmethod
    def of_series(cls, time: np.ndarray, *, features: Sequence[str], zone: str | None) -> "Calendar":
        """The calendar of a series with the stamps `time`, which are in UTC where it has a `zone`.

        Stamps that are all midnights are dates and no moments of UTC (`timellama.data.files.stamps`): they stand.
        """
        dates = (time == time.astype("datetime64[D]")).all()
        return cls(features=tuple(features), zone=None if dates else zone)

    def marks(self, time: np.ndarray | pd.DatetimeIndex) -> np.ndarray:
        """The features of each stamp, float32 [rows, C], in the order of `features`. Each reads its own row alone."""
        index = pd.DatetimeIndex(time)
        if self.zone:
            index = index.tz_localize("UTC").tz_convert(self.zone)
        columns = [np.asarray(SCALED[name](index), dtype=np.float64) - 0.5 for name in self.features]
        return np.stack(columns, axis=1).astype(np.float32) if columns else np.empty((len(index), 0), np.float32)
