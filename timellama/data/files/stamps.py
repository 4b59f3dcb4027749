"""What a column of timestamps means: ISO and other orders of a date, quarters, zones, milliseconds, numbered rows.

A form is chosen for the whole column, never for a cell. Of two numbers before the year, the column decides which is the
day; if it cannot, the caller has to.
"""

import re
import zoneinfo
from dataclasses import dataclass

import numpy as np
import pandas as pd

from timellama.core.errors import InputError, did_you_mean
from timellama.data.files.cells import Cells

TIME = (
    r"(?:(?:T| +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp][Mm]))?)?(?: ?(?P<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
)
YEAR_FIRST, TWO_FIRST, QUARTER = "year-first", "two numbers", "quarter"
MONTH, COMPACT, YEAR = "month", "compact", "year"
DAY_NAME, NAME_DAY, NAME = "31 Jan 2024", "Jan 31, 2024", "Jan 2024"
MONTHS = tuple(pd.date_range("2024-01-01", periods=12, freq="MS").month_name().str.lower())  # English, in any locale
FORMS = {
    YEAR_FIRST: r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + TIME,
    TWO_FIRST: r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4})" + TIME,
    DAY_NAME: r"(?P<day>\d{1,2})[-/. ](?P<name>[A-Za-z]{3,9})[-/. ](?P<year>\d{4})" + TIME,
    NAME_DAY: r"(?P<name>[A-Za-z]{3,9})[-/. ](?P<day>\d{1,2})(?:[-/]|,? )(?P<year>\d{4})" + TIME,
    NAME: r"(?P<name>[A-Za-z]{3,9})[-/ ](?P<year>\d{4})",
    QUARTER: r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])",
    MONTH: r"(?P<year>\d{4})[-/](?P<month>\d{1,2})",
    COMPACT: r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    YEAR: r"(?P<year>(?:1[5-9]|2[0-2])\d{2})",  # our choice: another number of four digits is a value
}
NUMBERS = (COMPACT, YEAR)  # forms that a measured value may have too
READABLE = "2024-01-31, 2024-01-31 13:05:00, 31/01/2024 13:05, 2024Q1, 2024-01 or 2024"
BETWEEN = ", "  # the offsets of a file that has several
GLANCED = 20  # our choice: of this many cells one must be a timestamp before the whole column is checked
WHOLE = re.compile(r"-?\d{1,15}(?:\.0)?", re.ASCII)  # a row's number, also as a float
NANOSECONDS = 10**6  # in a millisecond
EPOCH = 10**8  # our choice: whole numbers from here up are seconds since 1970 (from 1973) rather than numbered rows


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """time: datetime64[ms] [rows], in UTC where the file or the caller names a zone. zone: that zone, or None.

    dated: whether every timestamp is a midnight in its zone. Then it is a date, and stays one: in UTC, days of a zone
    with daylight saving time would have 23 or 25 hours twice a year.
    """

    time: np.ndarray
    zone: str | None
    dated: bool = False


def form_of(column: pd.Series) -> str | None:
    """The form of most cells of a column of text, or None if no form fits more than half of them."""
    text = column.astype("str").str.strip()
    few = text.head(GLANCED)  # of thousands of columns, nearly all prove by their first cells to hold no timestamps
    for form, pattern in FORMS.items():
        if few.str.fullmatch(_plain(pattern)).any() and text.str.fullmatch(_plain(pattern)).mean() > 0.5:
            return form
    return None


def _plain(pattern: str) -> re.Pattern:
    return re.compile(pattern, re.ASCII)


def date_order(cells: Cells, name: str) -> str:
    """`year-first`, `day-first` or `month-first`, as every row of the column allows.

    Raises InputError if both of the last two are possible, or neither.
    """
    column = cells.frame[name]
    if pd.api.types.is_datetime64_any_dtype(column) or form_of(column) != TWO_FIRST:
        return YEAR_FIRST
    parts = _parts(cells, name, TWO_FIRST)
    one, two = parts["one"].to_numpy(int), parts["two"].to_numpy(int)
    if (one > 12).any() and (two > 12).any():
        first, second = int((one > 12).argmax()), int((two > 12).argmax())
        raise InputError(
            f"{cells.where(max(first, second), name)}: {column.iloc[first]!r} can only be day first and "
            f"{column.iloc[second]!r} only month first; write all dates in one order, best as 2024-01-31"
        )
    if (one > 12).any():
        return "day-first"
    if (two > 12).any():
        return "month-first"
    raise InputError(
        f"{cells.where(0, name)}: {column.iloc[0]!r} may be day first or month first, and no row of the column decides "
        "it; use --day-first or --month-first"
    )


def read_stamps(cells: Cells, name: str, *, dates: str, zone: str | None, groups: np.ndarray | None = None) -> Stamps:
    """The timestamps of a column. `groups` names the series of each row of a long file, int [rows].

    Raises InputError naming file, row, column, value and remedy for a cell that is no timestamp of the column's form.
    """
    column = cells.frame[name]
    if pd.api.types.is_datetime64_any_dtype(column):
        missing = column.isna().to_numpy()
        known = str(column.dt.tz) if column.dt.tz is not None else None
        fine = (column.dt.tz_convert("UTC").dt.tz_localize(None) if known else column).to_numpy()
        walls = (column.dt.tz_localize(None) if known else column).to_numpy()
    else:
        fine, walls, missing, known = _from_text(cells, name, dates)
    if missing.any():
        raise InputError(f"{cells.where(int(missing.argmax()), name)}: the timestamp is missing; add it")
    time = fine.astype("datetime64[ms]")
    if (time.astype(fine.dtype) != fine).any():
        raise _too_fine(cells, name, int((time.astype(fine.dtype) != fine).argmax()))
    if zone and not known:
        if _is_midnight(time):
            _zone(zone)
            return Stamps(time=time, zone=zone, dated=True)
        return Stamps(time=_in_utc(cells, name, time, _zone(zone), groups), zone=zone)
    if known:
        local = _local(time, zone=_zone(zone)) if zone else walls.astype("datetime64[ms]")
        dated = _is_midnight(local)
        return Stamps(time=local if dated else time, zone=zone or known, dated=dated)
    return Stamps(time=time, zone=None)


def _is_midnight(time: np.ndarray) -> bool:
    return bool((time.astype("datetime64[D]").astype(time.dtype) == time).all())


def _local(time: np.ndarray, *, zone: zoneinfo.ZoneInfo) -> np.ndarray:
    """What clocks in a zone show at timestamps in UTC, datetime64[ms] [rows]."""
    local = pd.DatetimeIndex(time).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return local.to_numpy().astype("datetime64[ms]")


def numbered(cells: Cells, name: str) -> np.ndarray:
    """The numbers of rows that have no date, as seconds of 1970 counted from 0 in steps of 1: datetime64[ms] [rows].

    Raises InputError for a cell that is not a whole number, and for numbers that look like seconds since 1970.
    """
    column = cells.frame[name]
    text = column.astype("str").str.strip()
    whole = text.str.fullmatch(WHOLE).to_numpy(bool)
    if not whole.all():
        row = int((~whole).argmax())
        raise InputError(
            f"{cells.where(row, name)}: {column.iloc[row]!r} is neither a timestamp nor the whole number of a row; "
            f"write timestamps as {READABLE}"
        )
    numbers = text.str.removesuffix(".0").to_numpy(object).astype(np.int64)
    if np.abs(numbers).max() >= EPOCH:
        raise InputError(
            f"{cells.where(0, name)}: {column.iloc[0]} looks like a time counted since 1970; write it as a date "
            "(pandas.to_datetime(column, unit='s') makes one)"
        )
    step = int(np.gcd.reduce(np.diff(np.unique(numbers)))) if len(np.unique(numbers)) > 1 else 1
    return ((numbers - numbers.min()) // step).astype("datetime64[s]").astype("datetime64[ms]")


def rows_of(groups: np.ndarray) -> list[np.ndarray]:
    """The rows of each series of a long file, in the file's order; `groups` numbers the series of each row from 0."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.cumsum(np.bincount(groups))[:-1])


def in_zone(time: np.datetime64, zone: str) -> str:
    """A UTC timestamp as it reads in a zone, with its offset; in UTC if `zone` is several offsets, not a zone."""
    stamp = pd.Timestamp(time).tz_localize("UTC")
    return str(stamp if BETWEEN in zone else stamp.tz_convert(zone))


def _parts(cells: Cells, name: str, form: str) -> pd.DataFrame:
    """What the pattern of a form finds in each cell, as text. Raises InputError at the first cell of another form."""
    column = cells.frame[name].astype("str").str.strip()
    fits = column.str.fullmatch(_plain(FORMS[form])).fillna(False).to_numpy(bool)
    if not fits.all():
        row, other = int((~fits).argmax()), int(fits.argmax())
        raise InputError(
            f"{cells.where(row, name)}: the timestamp {cells.frame[name].iloc[row]!r} is not written like the others "
            f"({column.iloc[other]!r}); write every timestamp in one form, preferably YYYY-MM-DD hh:mm:ss"
        )
    # astype(object): the groups of the pattern are few and the frame is read once.
    return column.astype(object).str.extract(_plain(FORMS[form]))


def _from_text(cells: Cells, name: str, dates: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, str | None]:
    """Timestamps datetime64[s or ms] [rows], in UTC if they have a zone, and as written; which are missing; zone."""
    column = cells.frame[name]
    missing = column.isna().to_numpy() | (column.astype("str").str.strip() == "").to_numpy()
    if missing.any():
        none = np.zeros(len(column), "datetime64[ms]")
        return none, none, missing, None
    form = form_of(column)
    if form is None:
        raise InputError(
            f"{cells.where(0, name)}: the timestamp {column.iloc[0]!r} cannot be used; write it as {READABLE}"
        )
    parts = _parts(cells, name, form)
    if form == TWO_FIRST:
        if dates == YEAR_FIRST:
            raise InputError(
                f"{cells.where(0, name)}: {column.iloc[0]!r} is not year first; set reading.dates of the entry "
                "to day-first or month-first"
            )
        order = ("day", "month") if dates == "day-first" else ("month", "day")
        parts = parts.rename(columns=dict(zip(("one", "two"), order, strict=True)))
    if form == QUARTER:
        parts["month"] = (parts["quarter"].astype(int) * 3 - 2).astype(str)
    if "name" in parts:
        parts["month"] = parts["name"].map(_month)
    number = {part: _whole(parts, part) for part in ("year", "month", "day", "hour", "minute", "second")}
    number |= {part: np.ones_like(number[part]) for part in ("month", "day") if part not in parts}
    hour = _hour(parts, number["hour"])
    months = ((number["year"] - 1970) * 12 + number["month"] - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (number["day"] - 1)
    exists = (number["month"] >= 1) & (number["month"] <= 12) & (number["day"] >= 1)
    exists &= days.astype("datetime64[M]") == months
    exists &= (hour >= 0) & (hour < 24) & (number["minute"] < 60) & (number["second"] < 60)
    if not exists.all():
        row = int((~exists).argmax())
        raise InputError(
            f"{cells.where(row, name)}: the timestamp {column.iloc[row]!r} does not exist in the calendar"
            f"{f' ({dates})' if form == TWO_FIRST else ''}; correct it"
        )
    seconds = hour * 3600 + number["minute"] * 60 + number["second"]
    offsets, zone = _offsets(cells, name, parts)
    time = days.astype("datetime64[s]") + (seconds - offsets)
    if "fraction" in parts and parts["fraction"].notna().any():
        fraction = parts["fraction"].fillna("0").str.ljust(9, "0").to_numpy(object).astype(np.int64)
        if (fraction % NANOSECONDS).any():
            raise _too_fine(cells, name, int((fraction % NANOSECONDS != 0).argmax()))
        time = time.astype("datetime64[ms]") + fraction // NANOSECONDS
    return time, time + offsets.astype("timedelta64[s]"), missing, zone


def _month(name: str) -> str:
    """The number of a month by its English name or its first letters; 0, which no calendar has, for another word."""
    found = [number for number, month in enumerate(MONTHS, start=1) if month.startswith(name.lower())]
    return str(found[0] if len(found) == 1 else 0)


def _too_fine(cells: Cells, name: str, row: int) -> InputError:
    stamp = cells.frame[name].iloc[row]
    return InputError(f"{cells.where(row, name)}: the timestamp {stamp} is finer than a millisecond; round the times")


def _whole(parts: pd.DataFrame, part: str) -> np.ndarray:
    """A part of the timestamps as int64 [rows], 0 where a timestamp does not have it."""
    if part not in parts:
        return np.zeros(len(parts), np.int64)
    return parts[part].fillna("0").to_numpy(object).astype(np.int64)


def _hour(parts: pd.DataFrame, hour: np.ndarray) -> np.ndarray:
    """Hours from 0 to 23; -1 for an hour that a twelve-hour clock does not have."""
    if "half" not in parts or parts["half"].isna().all():
        return hour
    half = parts["half"].astype("str").str.lower().to_numpy(object)
    twelve = np.where((hour < 1) | (hour > 12), -1, hour % 12)
    return np.where(half == "pm", np.where(twelve < 0, -1, twelve + 12), np.where(half == "am", twelve, hour))


def _offsets(cells: Cells, name: str, parts: pd.DataFrame) -> tuple[np.ndarray, str | None]:
    """Seconds east of Greenwich [rows], and the offsets as text; None if no timestamp has one."""
    if "offset" not in parts or parts["offset"].isna().all():
        return np.zeros(len(parts), np.int64), None
    without = parts["offset"].isna().to_numpy()
    if without.any():
        row = int(without.argmax())
        raise InputError(
            f"{cells.where(row, name)}: the timestamp {cells.frame[name].iloc[row]!r} has no zone, but others have "
            "one; give every timestamp its zone, or none"
        )
    seconds = {text: _seconds(text) for text in parts["offset"].unique()}
    zone = BETWEEN.join(map(_shown, sorted(set(seconds.values()))))
    return parts["offset"].map(seconds).to_numpy(np.int64), zone


def _shown(seconds: int) -> str:
    """An offset in seconds as `+01:00`."""
    if not seconds:
        return "UTC"
    return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02d}:{abs(seconds) // 60 % 60:02d}"


def _seconds(offset: str) -> int:
    if offset in ("Z", "UTC", "GMT"):
        return 0
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return (1 if offset[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def _zone(zone: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = did_you_mean(zone, sorted(zoneinfo.available_timezones()))
        raise InputError(f"the zone {zone!r} is not known; name one such as Europe/Berlin or UTC{hint}") from error


def _in_utc(
    cells: Cells, name: str, time: np.ndarray, zone: zoneinfo.ZoneInfo, groups: np.ndarray | None
) -> np.ndarray:
    """Local timestamps in UTC; of an hour that occurs twice in autumn, the first rows are in summer time."""
    found = np.empty_like(time)
    for group in [np.arange(len(time))] if groups is None else rows_of(groups):
        local = pd.DatetimeIndex(time[group])
        try:
            utc = local.tz_localize(zone, ambiguous="infer", nonexistent="raise").tz_convert("UTC").tz_localize(None)
        except ValueError as error:
            raise InputError(
                f"{cells.path}, column {name!r}: the timestamps are not local time in {zone.key} ({error}); the hour "
                "that occurs twice in autumn must be there both times, in order, and the hour skipped in spring must "
                "not be there; else write the offset (+01:00) after every timestamp"
            ) from error
        found[group] = utc.to_numpy().astype("datetime64[ms]")
    return found
