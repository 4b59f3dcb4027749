"""The calendar features of timestamps as numbers from -0.5 to 0.5, one column per feature.

Reference thuml/Time-Series-Library at a74605f0, utils/timefeatures.py: each feature counts from 0 and is divided by its
maximum. They are what a clock in the series' zone shows, since people, and what is measured of them, keep to that
clock: work begins at eight in the morning in summer and in winter, which in UTC are an hour apart.
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
    """The C `features`, names of `SCALED`, as clocks in `zone` show them; None: the timestamps are used unchanged.

    Without features the calendar is empty, and its marks have no column.
    """

    features: tuple[str, ...]
    zone: str | None

    @classmethod
    def of_series(cls, time: np.ndarray, *, features: Sequence[str], zone: str | None) -> "Calendar":
        """The calendar of a series with the timestamps `time`, which are in UTC if it has a `zone`.

        Timestamps that are all midnight are dates, not moments (`timellama.data.files.stamps`): they stay unchanged.
        """
        dates = (time == time.astype("datetime64[D]")).all()
        return cls(features=tuple(features), zone=None if dates else zone)

    def marks(self, time: np.ndarray | pd.DatetimeIndex) -> np.ndarray:
        """The features of each timestamp, float32 [rows, C], in the order of `features`. Each uses only its own row."""
        index = pd.DatetimeIndex(time)
        if self.zone:
            index = index.tz_localize("UTC").tz_convert(self.zone)
        columns = [np.asarray(SCALED[name](index), dtype=np.float64) - 0.5 for name in self.features]
        return np.stack(columns, axis=1).astype(np.float32) if columns else np.empty((len(index), 0), np.float32)
