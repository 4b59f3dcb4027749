"""DataFrames of both shapes give the same look-back, and forecasts are long frames in the data's time zone."""

import numpy as np
import pandas as pd
import pytest

from tests.refusal import refused
from timellama.own_data.frames import context_rows_of, forecast_frame, write_frame
from timellama.results.forecasts.forecasting import Forecast

TIME = pd.date_range("2024-03-30 20:00", periods=12, freq="h")


@pytest.fixture
def wide() -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(12.0), "b": 100 - np.arange(12.0)}, index=TIME)


def long_of(wide: pd.DataFrame) -> pd.DataFrame:
    parts = [pd.DataFrame({"unique_id": name, "ds": wide.index, "y": wide[name].to_numpy()}) for name in wide]
    return pd.concat(parts, ignore_index=True)


def test_wide_and_long_frames_and_a_timestamp_column_are_read_alike(wide):
    in_a_column = wide.rename_axis("when").reset_index()
    for frame in (wide, long_of(wide), long_of(wide).sample(frac=1, random_state=0), in_a_column):
        rows = context_rows_of(frame, columns=("a", "b"), context=3)
        assert rows.values.tolist() == [[9.0, 91.0], [10.0, 90.0], [11.0, 89.0]]
        assert rows.time.equals(TIME[-3:])
        assert rows.following(2).equals(pd.date_range("2024-03-31 08:00", periods=2, freq="h"))


def test_columns_are_put_in_the_order_of_the_run(wide):
    assert context_rows_of(wide[["b", "a"]], columns=("a", "b"), context=3).values[0].tolist() == [9.0, 91.0]


def test_a_time_zone_is_kept_across_a_clock_change(wide):
    local = wide.tz_localize("UTC").tz_convert("Europe/Berlin")  # 2024-03-31 has no 02:00 there
    rows = context_rows_of(local, columns=("a", "b"), context=4)
    assert rows.time.equals(TIME[-4:])
    made = Forecast(context_rows=rows, values=np.zeros((2, 2)), time=rows.following(2))
    stamps = forecast_frame(made, method="m")["ds"]
    assert str(stamps[0]) == "2024-03-31 10:00:00+02:00"


def test_a_forecast_is_a_long_frame_with_one_column_per_quantile(wide):
    rows = context_rows_of(wide, columns=("a", "b"), context=3)
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    made = Forecast(context_rows=rows, values=values, time=rows.following(2))
    frame = forecast_frame(made, method="DLinear", quantiles={"q10": values - 1})
    assert list(frame.columns) == ["unique_id", "ds", "method", "forecast", "q10"]
    assert frame["unique_id"].tolist() == ["a", "a", "b", "b"]
    assert frame["forecast"].tolist() == [1.0, 3.0, 2.0, 4.0]
    assert (frame["forecast"] - frame["q10"]).eq(1).all()


def with_hole(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame.iloc[-1, 1] = np.nan
    return frame


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda frame: frame.drop(columns="b"), ("columns b", "has a")),
        (lambda frame: frame.iloc[:2], (2, "rows", 3)),
        (with_hole, ("2024-03-31 07:00:00", "'b'", 3)),
        (lambda frame: frame.drop(index=TIME[-2]), ("timestamps", 3)),
        (lambda frame: frame.iloc[::-1], ("timestamps", 3)),
        (lambda frame: frame.reset_index(drop=True), (0, "columns", "frame.set_index(pd.to_datetime(...))")),
        (lambda frame: frame.assign(b="x"), ("'x'", "columns")),
        (lambda frame: pd.concat([long_of(frame)] * 2), ("unique_id", "ds")),
    ],
)
def test_data_that_a_run_cannot_read_are_refused(wide, change, named):
    with refused("data", *named):
        context_rows_of(change(wide), columns=("a", "b"), context=3)


def test_an_index_of_any_kind_is_written_with_its_timestamps(wide, tmp_path):
    months = wide.set_axis(pd.period_range("2024-01", periods=12, freq="M"))
    tall = long_of(wide).set_index(["unique_id", "ds"])
    words = wide.set_axis([str(stamp) for stamp in wide.index])
    for frame, columns in ((months, ["time", "a", "b"]), (tall, ["unique_id", "ds", "y"]), (words, ["time", "a", "b"])):
        write_frame(frame, tmp_path / "data.parquet")
        assert list(pd.read_parquet(tmp_path / "data.parquet").columns) == columns
    with refused("index", "column", "time"):
        write_frame(wide.assign(time=1), tmp_path / "data.parquet")


def test_a_hole_is_kept_for_a_run_that_was_trained_with_holes(wide):
    rows = context_rows_of(with_hole(wide), columns=("a", "b"), context=3, masked=True)
    assert np.isnan(rows.values[-1, 1]) and rows.before.tolist() == [8.0, 92.0]


def test_days_of_a_time_zone_are_dates(wide):
    days = wide.set_axis(pd.date_range("2024-03-25", periods=12, freq="D", tz="Europe/Berlin"))
    rows = context_rows_of(days, columns=("a", "b"), context=12)
    assert rows.zone is None and str(rows.following(1)[0]) == "2024-04-06 00:00:00"


def test_a_frame_is_read_back_from_its_file_unchanged(wide, tmp_path):
    write_frame(wide, tmp_path / "made/data.parquet")
    back = pd.read_parquet(tmp_path / "made/data.parquet")
    assert list(back.columns) == ["time", "a", "b"]
    assert back.set_index("time")["b"].tolist() == wide["b"].tolist()
    with refused("data", "list", "unique_id", "ds", "y"):
        write_frame([1, 2], tmp_path / "data.parquet")
