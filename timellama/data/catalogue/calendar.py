"""Which calendar features go with which step of a series.

Reference thuml/Time-Series-Library at a74605f0, utils/timefeatures.py (`embed='timeF'`), which took them from GluonTS:
those that change from row to row and those that are slower, down to the month. Standard library only: planning counts
them, and `timellama.data.marks` computes them.
"""

import re

from timellama.core.errors import InputError
from timellama.data.catalogue.reading import STEP

OF_DAYS = ("day-of-week", "day-of-month", "day-of-year")
OF_HOURS = ("hour-of-day", *OF_DAYS)
OF_MINUTES = ("minute-of-hour", *OF_HOURS)
OF_SECONDS = ("second-of-minute", *OF_MINUTES)
OF_WEEKS = ("day-of-month", "week-of-year")
OF_MONTHS = ("month-of-year",)
# By pandas' name of the step. The reference has no features for the starts of months and quarters, whose steps are as
# long as those of the ends, nor for anything shorter than a second, which is treated as seconds here.
FEATURES = {
    **dict.fromkeys(("ns", "us", "ms", "s"), OF_SECONDS),
    "min": OF_MINUTES,
    "h": OF_HOURS,
    **dict.fromkeys(("D", "B"), OF_DAYS),
    "W": OF_WEEKS,
    **dict.fromkeys(("ME", "MS", "BME", "BMS", "QE", "QS", "BQE", "BQS"), OF_MONTHS),
}
WEEK = 7  # days: rows that are whole weeks apart all fall on one day of the week, and are treated as weeks


def features_of(frequency: str, *, separate: bool = False) -> tuple[str, ...]:
    """The features of rows that are one `frequency` (a pandas alias) apart, the fastest first.

    `separate` means that the data are separate series, like M4's. Raises InputError if there is no calendar.
    """
    if separate or frequency == STEP:
        what = "separate series" if separate else "numbered rows"
        raise InputError(
            f"{what} have no timestamps, which a calendar needs; set calendar to false, or give data with a time column"
        )
    found = re.fullmatch(r"(?P<count>\d*)(?P<unit>[A-Za-z]+)(?:-[A-Z]{3})?", frequency)
    unit = found and found["unit"]
    if unit == "D" and int(found["count"] or 1) % WEEK == 0:
        unit = "W"
    if unit not in FEATURES:
        raise InputError(
            f"a step of {frequency!r} has no calendar features; steps that do are {', '.join(FEATURES)}, also in "
            "multiples (15min, 7D) or anchored (W-SUN); set calendar to false, or write the frequency as one of these"
        )
    return FEATURES[unit]
