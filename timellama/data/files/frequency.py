"""The step from row to row: what it is, when the next row is due, and how many steps make a season."""

from collections import Counter

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.data.catalogue.reading import STEP

DAY = 86400  # seconds
# Our choice: a season is a day for rows less than a day apart, a week for daily rows, a year for the rest. Rows less
# than a second apart have none: nobody can say what repeats in them.
SEASONS = {"D": 7, "B": 5, "W": 52, "7D": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4}
MONTHS = {1: "MS", 3: "QS", 12: "YS"}  # pandas' names of steps of that many months
MONTH_ENDS = {1: "ME", 3: "QE", 12: "YE"}
FRIDAY = 4  # in pandas' weekdays, with Monday as 0
NEEDED = 3  # rows: two steps, of which one may be odd


def offset_of(frequency: str, *, of: str = "") -> pd.tseries.offsets.BaseOffset:
    """pandas' offset of a frequency; that of `step` is a second, the distance of numbered rows. `of` says whose it is.

    Raises InputError for anything that is not a pandas alias.
    """
    try:
        return pd.tseries.frequencies.to_offset("s" if frequency == STEP else frequency)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"the frequency {frequency!r}{of} is not a pandas alias ({error}); write for example h, 15min, D, B, 7D "
            "or MS"
        ) from error


def steps_beside(time: np.ndarray, frequency: str, *, of: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Of the rows after the first, twice bool [rows - 1]: which repeat a timestamp, and which others are not due.

    Raises InputError as `offset_of`.
    """
    index = pd.DatetimeIndex(time)
    same = index[1:] == index[:-1]
    return same, (index[1:] != index[:-1] + offset_of(frequency, of=of)) & ~same


def frequency_of(path: object, index: pd.DatetimeIndex) -> str:
    """The alias of the step that most rows take; `path` begins the message. The timestamps are in order.

    Raises InputError if no step is that of most rows.
    """
    steps = np.diff(index.to_numpy()).astype("timedelta64[ms]").astype(np.int64)
    steps = steps[steps > 0]
    if len(steps) + 1 < NEEDED:
        raise InputError(f"{path}: {len(steps) + 1} distinct timestamp(s) do not determine a frequency; give more rows")
    index = index[np.concatenate([[True], index[1:] != index[:-1]])]
    months = np.diff(index.year * 12 + index.month)
    for aliases, there in ((MONTHS, index.is_month_start), (MONTH_ENDS, index.is_month_end)):
        if there.all() and (index == index.normalize()).all() and months.min() > 0:
            [(step, often)] = Counter(months.tolist()).most_common(1)
            if step in aliases and often > len(months) / 2:
                return aliases[step]
    if _is_business_days(index):
        return "B"
    [(step, often)] = Counter(steps.tolist()).most_common(1)
    if often <= len(steps) / 2:
        raise InputError(f"{path}: no step is that of most rows; set it with --frequency (h, 15min, D, B, 7D, MS)")
    if step % (1000 * DAY) == 0:
        return "D" if step == 1000 * DAY else f"{step // (1000 * DAY)}D"
    return pd.tseries.frequencies.to_offset(pd.Timedelta(step, "ms")).freqstr


def _is_business_days(index: pd.DatetimeIndex) -> bool:
    """Whether every row is a day from Monday to Friday and a Friday is followed by a Monday more often than not."""
    if (index.day_of_week > FRIDAY).any() or (index != index.normalize()).any():
        return False
    fridays = index[:-1].day_of_week == FRIDAY
    if not fridays.any():
        return False
    over = (index[1:] - index[:-1])[fridays] == pd.Timedelta(3, "D")
    inside = (index[1:] - index[:-1])[~fridays] == pd.Timedelta(1, "D")
    return bool(over.mean() > 0.5 and len(inside) and inside.mean() > 0.5)


def season_of(frequency: str) -> int:
    """Steps of one season; 1 where nothing is known to repeat."""
    if frequency == STEP:
        return 1
    try:
        seconds = pd.Timedelta(offset_of(frequency)).total_seconds()
    except ValueError:
        return SEASONS.get(frequency.split("-")[0], 1)
    if seconds < 1:
        return 1
    return max(1, round(DAY / seconds)) if seconds < DAY else SEASONS.get(frequency, 1)
