"""A frame written in any form that a reader accepts is read back with the same values and timestamps."""

import gzip
import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.refusal import unnamed
from timellama.core.errors import InputError
from timellama.data.add_file import inspect_file
from timellama.data.catalogue.reading import STEP
from timellama.data.files.cells import read_cells
from timellama.data.files.detect import Asked
from timellama.data.files.file_reader import filled_rows, ordered_rows

PROPERTY = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32).filter(lambda value: value != -9999)
NAMES = st.text(st.sampled_from(string.ascii_letters + " é_-%()"), min_size=1, max_size=12).map(lambda name: f"v{name}")
FREQUENCIES = ("100ms", "5s", "15min", "h", "D", "B", "7D", "MS", "ME", "QS", "YS")
# strftime formats, and the finest step that each can express.
DAYS, SECONDS, FRACTIONS = ("D", "B", "7D", "MS", "ME", "QS", "YS"), ("5s", "15min", "h"), ("100ms",)
FORMS = {
    "%Y-%m-%d %H:%M:%S.%f": DAYS + SECONDS + FRACTIONS,
    "%Y-%m-%d %H:%M:%S": DAYS + SECONDS,
    "%Y-%m-%dT%H:%M:%SZ": DAYS + SECONDS,
    "%Y/%m/%d %H:%M:%S": DAYS + SECONDS,
    "%d/%m/%Y %H:%M:%S": DAYS + SECONDS,
    "%d.%m.%Y %H:%M:%S": DAYS + SECONDS,
    "%m/%d/%Y %I:%M:%S %p": DAYS + SECONDS,
    "%Y-%m-%d": DAYS,
    "%Y%m%d": DAYS,
    "%Y-%m": ("MS", "QS", "YS"),
}


@st.composite
def frames(draw, frequencies: tuple[str, ...] = FREQUENCIES, rows: int = 8) -> tuple[pd.DataFrame, str]:
    """A frame with a column `date` and one to four columns of values, and the frame's frequency."""
    frequency = draw(st.sampled_from(frequencies))
    start = draw(st.sampled_from(["1991-07-01", "2000-02-28", "2024-01-01 17:34:05", "2023-12-31 23:59:55"]))
    start = pd.Timestamp(start)
    if frequency in DAYS:
        start = start.normalize()
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower))
    size = draw(st.integers(rows, rows + 12))
    values = {name: draw(st.lists(NUMBERS, min_size=size, max_size=size)) for name in names}
    return pd.DataFrame({"date": pd.date_range(start, periods=size, freq=frequency)} | values), frequency


def read(path, asked: Asked, frequency: str):
    """The findings about the file, and its rows as these findings read them."""
    found = inspect_file(path, asked=asked, frequency=frequency)
    cells = read_cells(path, separator=found.reading.separator, sheet=found.reading.sheet)
    ordered = ordered_rows(cells, found.reading, time_column=found.time_column, steps=frequency == STEP)
    return found, filled_rows(cells, ordered, found.reading, frequency=frequency, season=found.season)


def assert_same(rows, data: pd.DataFrame) -> None:
    values = data.drop(columns="date")
    assert rows.columns == tuple(values.columns)
    assert np.array_equal(rows.values, values.to_numpy(np.float64))
    assert (rows.time == data["date"].to_numpy()).all()


@settings(max_examples=80, **PROPERTY)
@given(
    data=st.data(),
    form=st.sampled_from(sorted(FORMS)),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    packed=st.booleans(),
    ends=st.sampled_from(["\n", "\r\n"]),
)
def test_text_files_are_read_back(tmp_path, data, form, separator, decimal, packed, ends):
    frame, frequency = data.draw(frames(frequencies=FORMS[form]))
    written = frame.assign(date=frame["date"].dt.strftime(form))
    text = written.to_csv(index=False, sep=separator, decimal=decimal, lineterminator=ends).encode()
    path = tmp_path / "own.csv"
    path.write_bytes(gzip.compress(text) if packed else text)
    order = {"%d": True, "%m": False}.get(form[:2])
    found, rows = read(path, Asked(day_first=order, decimal=decimal), frequency)
    assert_same(rows, frame)
    assert found.reading.separator == separator


@settings(max_examples=30, **PROPERTY)
@given(drawn=frames(), kind=st.sampled_from(["column", "index"]), zone=st.sampled_from([None, "UTC", "Asia/Kolkata"]))
def test_parquet_files_are_read_back(tmp_path, drawn, kind, zone):
    frame, frequency = drawn
    assume(zone is None or frequency not in DAYS)
    written = frame.assign(date=frame["date"].dt.tz_localize("UTC").dt.tz_convert(zone)) if zone else frame
    path = tmp_path / "own.parquet"
    if kind == "index":
        written.set_index("date").to_parquet(path)
    else:
        written.to_parquet(path, index=False)
    found, rows = read(path, Asked(), frequency)
    assert_same(rows, frame)
    assert found.zone in (zone, "UTC") and (found.zone is None) == (zone is None)


@settings(max_examples=15, **PROPERTY)
@given(drawn=frames(frequencies=("5s", "15min", "h", "D", "MS")))
def test_excel_files_are_read_back(tmp_path, drawn):
    pytest.importorskip("openpyxl")
    frame, frequency = drawn
    frame.to_excel(tmp_path / "own.xlsx", index=False)
    rows = read(tmp_path / "own.xlsx", Asked(), frequency)[1]
    assert rows.columns == tuple(frame.columns[1:])
    assert (rows.time == frame["date"].to_numpy()).all()
    # An Excel cell keeps 15 or more digits of a number, not every last bit.
    assert np.allclose(rows.values, frame.drop(columns="date").to_numpy(), rtol=1e-14, atol=0)


@settings(max_examples=30, **PROPERTY)
@given(drawn=frames(), order=st.randoms(use_true_random=False))
def test_a_long_file_gives_the_same_rows_as_its_wide_frame(tmp_path, drawn, order):
    frame, frequency = drawn
    long = frame.melt(id_vars="date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    assume(frame.columns[1:].str.strip().is_unique and (frame.columns[1:].str.strip() == frame.columns[1:]).all())
    shuffled = long.sample(frac=1, random_state=order.randrange(10**6))
    (tmp_path / "own.csv").write_text(shuffled.to_csv(index=False, date_format="%Y-%m-%d %H:%M:%S.%f"))
    found, rows = read(tmp_path / "own.csv", Asked(sort=True, id_column="unique_id", value_column="y"), frequency)
    wide = frame[["date", *rows.columns]]
    assert set(rows.columns) == set(frame.columns[1:])
    assert_same(rows, wide)


@pytest.mark.parametrize("start", ["2024-03-30 12:00", "2024-10-05 09:00", "2024-10-26 12:00", "2024-11-02 12:00"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_local_time_is_read_back_in_utc(tmp_path, zone, start):
    """The hours around both clock changes, written as local time and with offsets."""
    # Whole days, so that both occurrences of the repeated hour are included.
    stamps = pd.date_range(start, periods=96, freq="30min", tz="UTC")
    data = pd.DataFrame({"date": stamps.tz_localize(None), "v": np.arange(96) / 7})
    local = stamps.tz_convert(zone)
    path = tmp_path / "own.csv"
    data.assign(date=local.tz_localize(None)).to_csv(path, index=False, date_format="%Y-%m-%d %H:%M:%S")
    assert_same(read(path, Asked(zone=zone), "30min")[1], data)
    data.assign(date=local.map(lambda stamp: stamp.isoformat())).to_csv(path, index=False)
    assert_same(read(path, Asked(), "30min")[1], data)


@settings(max_examples=40, **PROPERTY)
@given(data=st.data(), fill=st.sampled_from(["linear", "previous", "seasonal"]))
def test_observed_cells_are_kept_and_every_filled_cell_is_counted(tmp_path, data, fill):
    frame, frequency = data.draw(frames(rows=20))
    rows, columns = len(frame), list(frame.columns[1:])
    inner = st.integers(2, rows - 2)
    lost = data.draw(st.sets(inner, max_size=3))
    holes = data.draw(st.sets(st.tuples(inner, st.sampled_from(columns)), max_size=5))
    written = frame.copy()
    for row, column in holes:
        written.loc[row, column] = np.nan
    written = written.drop(index=list(lost))
    written.to_csv(tmp_path / "own.csv", index=False, date_format="%Y-%m-%d %H:%M:%S.%f")
    try:
        found, read_rows = read(tmp_path / "own.csv", Asked(fill=fill), frequency)
    except InputError as error:
        told = ("own.csv", "--fill seasonal")  # a season longer than the file
        assert fill == "seasonal" and not unnamed(str(error), *told)
        return
    missing = {(row, column) for row in lost for column in columns} | holes
    assert found.repairs.filled_cells == len(missing) and found.repairs.added_rows == len(lost)
    assert sum(read_rows.facts["filled_cells"].values()) == len(missing)
    known = np.array([[(row, column) not in missing for column in columns] for row in range(rows)])
    assert (read_rows.time == frame["date"].to_numpy()).all()
    assert np.array_equal(read_rows.values[known], frame[columns].to_numpy(np.float64)[known])


@settings(max_examples=40, **PROPERTY)
@given(data=st.data(), duplicates=st.sampled_from(["first", "last", "mean"]))
def test_sorting_and_merging_undo_disorder(tmp_path, data, duplicates):
    frame, frequency = data.draw(frames())
    again = data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=3, unique=True))
    order = data.draw(st.permutations([*range(len(frame)), *again]))
    frame.iloc[list(order)].to_csv(tmp_path / "own.csv", index=False, date_format="%Y-%m-%d %H:%M:%S.%f")
    found, rows = read(tmp_path / "own.csv", Asked(sort=True, duplicates=duplicates), frequency)
    assert_same(rows, frame)
    assert found.repairs.merged_rows == len(again)
    late = sum(place < max(order[:at], default=-1) for at, place in enumerate(order))
    assert found.repairs.moved_rows == late


@settings(max_examples=30, **PROPERTY)
@given(drawn=frames(), first=st.integers(-5, 50), step=st.integers(1, 9), named=st.sampled_from(["t", "", None]))
def test_numbered_rows_are_read_back(tmp_path, drawn, first, step, named):
    frame, _ = drawn
    values = frame.drop(columns="date")
    written = values.copy()
    if named is not None:
        written.insert(0, named, first + step * np.arange(len(values)))
    written.to_csv(tmp_path / "own.csv", index=False)
    found, rows = read(tmp_path / "own.csv", Asked(), STEP)
    assert_same(rows, values.assign(date=np.arange(len(values)).astype("datetime64[s]")))
    assert found.frequency == STEP


@settings(max_examples=150, **PROPERTY)
@given(text=st.text(st.sampled_from(string.digits + ".,;-/: \n\r\"'\tdateQZ+NaNinf\0\ufeffé\ufffd"), max_size=80))
def test_any_text_is_read_or_refused_by_name(tmp_path, text):
    path = tmp_path / "own.csv"
    path.write_bytes(text.encode())
    try:
        found = inspect_file(path)
    except InputError as error:
        assert str(path) in str(error)
        return
    assert found.rows >= 3 and len(found.columns) >= 1


@settings(max_examples=100, **PROPERTY)
@given(data=st.data(), kind=st.sampled_from(["csv", "csv.gz", "parquet", "xlsx"]))
def test_a_damaged_file_is_read_or_refused_by_name(tmp_path, data, kind):
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=6, freq="D"), "a": np.arange(6.0)})
    path = tmp_path / f"own.{kind}"
    if kind == "parquet":
        frame.to_parquet(path, index=False)
    elif kind == "xlsx":
        pytest.importorskip("openpyxl")
        frame.to_excel(path, index=False)
    else:
        frame.to_csv(path, index=False)
    whole = path.read_bytes()
    # A share, since the length of the file varies with the time in the headers of Excel and gzip.
    at = int(data.draw(st.floats(0, 1, exclude_max=True)) * len(whole))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 8)) :])
    try:
        inspect_file(path)
    except InputError as error:
        assert str(path) in str(error)
