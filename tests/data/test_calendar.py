"""Calendar features: for hand-picked timestamps, by the clock of the series' time zone, and of the look-back only."""

import dataclasses

import numpy as np
import pytest
import torch
from pandas.tseries import offsets
from pandas.tseries.frequencies import to_offset

from tests.refusal import refused
from timellama.data.catalogue.calendar import features_of
from timellama.data.marks import SCALED, Calendar
from timellama.data.series import Series
from timellama.data.splits import Split
from timellama.data.windows import prepare

RATIO = Split(rule="ratio", train=0.6, validation=0.2, test=0.2)


def marks(frequency: str, *stamps: str, zone: str | None = None) -> list[list[float]]:
    time = np.array(stamps, dtype="datetime64[ms]")
    return Calendar(features=features_of(frequency), zone=zone).marks(time).tolist()


@pytest.mark.parametrize(
    ("frequency", "stamp", "expected"),
    [
        # 29 February 2024 was a Thursday, the 60th day of its year.
        ("h", "2024-02-29T13:00", [13 / 23, 3 / 6, 28 / 30, 59 / 365]),
        ("15min", "2021-12-31T23:45", [45 / 59, 23 / 23, 4 / 6, 30 / 30, 364 / 365]),  # a Friday
        ("s", "2024-12-31T00:07:59", [59 / 59, 7 / 59, 0, 1 / 6, 1, 365 / 365]),  # a Tuesday, the 366th day
        ("D", "2023-01-01", [6 / 6, 0, 0]),  # a Sunday
        ("B", "2023-01-02", [0, 1 / 30, 1 / 365]),
        ("7D", "2024-12-30", [29 / 30, 0]),  # in the first week of 2025
        ("W-SUN", "2021-01-03", [2 / 30, 52 / 52]),  # in the 53rd week of 2020
        ("MS", "2024-07-01", [6 / 11]),
        ("ME", "2024-01-31", [0]),
        ("QE-DEC", "2024-12-31", [11 / 11]),
    ],
)
def test_features_of_hand_picked_timestamps(frequency, stamp, expected):
    [found] = marks(frequency, stamp)
    assert found == pytest.approx([value - 0.5 for value in expected], abs=1e-7)


# The counts of TimeFeatureEmbedding and the classes of time_features_from_frequency_str in the reference.
OF_REFERENCE = {
    offsets.QuarterEnd: 1,
    offsets.MonthEnd: 1,
    offsets.Week: 2,
    offsets.Day: 3,
    offsets.BusinessDay: 3,
    offsets.Hour: 4,
    offsets.Minute: 5,
    offsets.Second: 6,
}


@pytest.mark.parametrize(
    "frequency",
    ["h", "12h", "min", "15min", "90min", "s", "30s", "D", "2D", "B", "W", "W-WED", "ME", "QE", "QE-MAR"],
)
def test_a_step_has_as_many_features_as_in_the_reference(frequency):
    [count] = [count for kind, count in OF_REFERENCE.items() if isinstance(to_offset(frequency), kind)]
    features = features_of(frequency)
    assert len(features) == count and set(features) <= set(SCALED)


@pytest.mark.parametrize(
    ("frequency", "like"), [("MS", "ME"), ("QS-OCT", "QE"), ("7D", "W"), ("14D", "W"), ("ms", "s")]
)
def test_a_step_that_the_reference_does_not_know_is_treated_as_one_of_similar_length(frequency, like):
    assert features_of(frequency) == features_of(like)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"frequency": "step"}, ("rows", "calendar", "false")),
        ({"frequency": "h", "separate": True}, ("separate", "calendar", "false")),
        ({"frequency": "YE"}, ("'YE'", "calendar", "false", "MS", "BQS", "15min")),
        ({"frequency": "1h30min"}, ("'1h30min'", "calendar", "false", "min", "h")),
    ],
)
def test_a_frequency_without_calendar_features_is_refused(asked, named):
    with refused(*named):
        features_of(**asked)


def test_a_clock_shows_the_same_hour_in_summer_and_winter():
    """Eight in the morning in Berlin is seven in UTC in January and six in July."""
    utc = ("2024-01-15T07:00", "2024-07-15T06:00", "2024-06-30T22:30")
    january, july, night = marks("h", *utc, zone="Europe/Berlin")
    assert january[0] == july[0] == pytest.approx(8 / 23 - 0.5)
    assert night == pytest.approx([-0.5, -0.5, -0.5, 182 / 365 - 0.5])  # Monday 1 July, half past midnight
    assert marks("h", *utc)[0][0] == pytest.approx(7 / 23 - 0.5)


def test_dates_of_a_time_zone_stay_dates_and_moments_are_converted():
    days = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]").astype("datetime64[s]")
    given = {"features": features_of("D"), "zone": "America/New_York"}
    assert Calendar.of_series(days, **given).marks(days)[0].tolist() == [-0.5, -0.5, -0.5]  # Monday, 1 January
    hours = days + np.timedelta64(3, "h")  # ten in the evening of the previous day
    moved = Calendar.of_series(hours, **given)
    assert moved.zone == "America/New_York"
    assert moved.marks(hours)[0].tolist() == pytest.approx([6 / 6 - 0.5, 30 / 30 - 0.5, 364 / 365 - 0.5])


def hourly(rows: int = 200, *, start: str = "2024-03-29T00") -> Series:
    time = np.datetime64(start, "s") + np.arange(rows) * np.timedelta64(3600, "s")
    values = np.random.default_rng(0).normal(size=(rows, 3))
    return Series(values=values, time=time, columns=("a", "b", "c"), raw_sha256="0" * 64)


def test_windows_carry_the_look_backs_calendar_features_behind_the_variates():
    series, calendar = hourly(), Calendar(features=features_of("h"), zone=None)
    asked = {"context": 12, "horizon": 5, "train_percent": 100}
    plain = prepare(series, RATIO, **asked).test
    parts = prepare(series, RATIO, **asked, marks=calendar.marks(series.time))
    test = parts.test.to("cpu")
    assert (test.variates, test.calendar, len(test)) == (3, 4, len(plain))
    every = torch.arange(len(test))
    (x, y), (plain_x, plain_y) = test.batch(every), plain.batch(every)
    assert torch.equal(x[..., :3], plain_x) and torch.equal(y, plain_y)
    for window in (0, 7, len(test) - 1):
        first = 160 - 12 + window  # 60 % and 20 % of 200 rows precede the test part
        assert x[window, :, 3:].tolist() == calendar.marks(series.time[first : first + 12]).tolist()


def test_single_series_have_the_calendar_of_their_window():
    series, calendar = hourly(), Calendar(features=features_of("h"), zone=None)
    train = prepare(series, RATIO, context=12, horizon=5, train_percent=100, marks=calendar.marks(series.time)).train
    x, y = train.series(torch.tensor([0, 3 * 4 + 2]))
    whole_x, whole_y = train.batch(torch.tensor([0, 4]))
    assert x.shape == (2, 12, 5) and y.shape == (2, 5, 1)
    for row, variate in ((0, 0), (1, 2)):
        assert torch.equal(x[row, :, 0], whole_x[row, :, variate]) and torch.equal(x[row, :, 1:], whole_x[row, :, 3:])
        assert torch.equal(y[row, :, 0], whole_y[row, :, variate])


def test_no_timestamp_after_a_look_back_enters_it():
    """Changing the timestamps from a window's first target on changes nothing that the window's forecast reads."""
    series, calendar = hourly(), Calendar(features=features_of("h"), zone=None)
    asked = {"context": 12, "horizon": 5, "train_percent": 100}
    window, first = 9, 160 + 9
    later = series.time.copy()
    later[first:] += np.timedelta64(77, "D")
    other = dataclasses.replace(series, time=later)
    xs = [
        prepare(each, RATIO, **asked, marks=calendar.marks(each.time)).test.batch(torch.tensor([window, window + 1]))[0]
        for each in (series, other)
    ]
    assert torch.equal(xs[0][0], xs[1][0])
    assert not torch.equal(xs[0][1], xs[1][1])
