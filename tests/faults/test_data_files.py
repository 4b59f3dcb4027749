"""Invalid data files: each reader returns the numbers that are there, or names the file and what is wrong in it."""

import csv
import dataclasses
import io
import json
import math
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests import made_up
from tests.refusal import refused, unnamed
from timellama.core.errors import InputError
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.fetch.sources import fetch
from timellama.data.series import Series, load_series
from timellama.data.splits import Split, count_windows
from timellama.data.windows import prepare
from timellama.experiments.run import Training
from timellama.methods.dlinear import DLinearOptions
from timellama.methods.naive import SeasonalNaiveOptions
from timellama.methods.rlinear import RLinearOptions

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
# What cannot be a measured value, as loggers, spreadsheets and other programs write it.
NO_NUMBER = (
    "",
    " ",
    "NaN",
    "nan",
    "inf",
    "-Infinity",
    "1e999",
    "n/a",
    "NA",
    "null",
    "1,5",
    "1 000",
    "1_000",
    "0x1f",
    "٣",
)
NO_NUMBER += ("--1", "1.2.3", "true", "#REF!", "=A1", "1e", "½", "12:30", "-", "\N{NO-BREAK SPACE}")
NO_STAMP = ("", "NaT", "2024", "01.02.2024", "2024-13-01 00:00:00", "2024-01-01 25:00:00", "1704067200", "2024-01-01Z")
NO_STAMP += (
    "2024-01-01 00:00:00+01:00",
    "2024/01/01",
    "yesterday",
    "٢٠٢٤-01-01",
    "2024-01-01 00:00:00.5",
    " 2024-01-01",
)
# Equivalent ways to write a file.
SAME = {
    "plain": lambda text: text.encode(),
    "mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "mark and crlf": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
    "no last end": lambda text: text.rstrip("\n").encode(),
    "blank end": lambda text: (text + "\n\n").encode(),
    "quoted": lambda text: "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines()
    ).encode(),
}
# Other encodings, in which the é of the header differs from UTF-8.
OTHER = ("latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "cp437")
PROPERTY = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@dataclasses.dataclass(frozen=True)
class Table:
    """Values [rows, N], and the cells in which they are written."""

    values: np.ndarray
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        return "".join(",".join(line) + "\n" for line in (self.header, *self.cells))

    def with_cell(self, row: int, column: int, cell: str) -> str:
        lines = [list(line) for line in self.cells]
        lines[row][column] = f'"{cell}"' if "," in cell else cell
        return Table(self.values, self.header, tuple(map(tuple, lines))).text


@st.composite
def tables(draw) -> Table:
    rows, variates = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    values = np.array([[draw(FINITE) for _ in range(variates)] for _ in range(rows)])
    assume(not (values == -9999).any())
    stamps = (np.datetime64("2024-01-01", "s") + np.arange(rows) * np.timedelta64(3600, "s")).astype(str)
    cells = tuple(
        (stamp.replace("T", " "), *map(repr, map(float, line))) for stamp, line in zip(stamps, values, strict=True)
    )
    return Table(values, ("date", *(f"é{i}" for i in range(variates))), cells)


def unpinned(dataset):
    """The entry without SHA-256, since otherwise every other file would be refused before it is read."""
    return dataclasses.replace(dataset, files=tuple(dataclasses.replace(file, sha256=None) for file in dataset.files))


class Desk:
    """Writes a raw file and normalises it, with the sizes that its entry would have to declare."""

    def __init__(self, folder: Path, dataset):
        self.dataset, self.raw = unpinned(dataset), folder / "toy.csv"
        self.out, self.quirks = folder / "out/s.npz", folder / "out/q.json"

    def run(self, content: bytes, **facts) -> Series:
        for path in (self.out, self.quirks):
            path.unlink(missing_ok=True)
        self.raw.write_bytes(content)
        normalise(dataclasses.replace(self.dataset, **facts), [self.raw], self.out, self.quirks)
        json.loads(self.quirks.read_text(encoding="utf-8"))
        return load_series(self.out)

    def refused(self, content: bytes, **facts) -> str:
        with pytest.raises(InputError) as caught:
            self.run(content, **facts)
        assert not self.out.exists() and not self.quirks.exists()
        assert str(self.raw) in str(caught.value)
        return str(caught.value)


@pytest.fixture(scope="module")
def catalogue(root):
    return load_catalogue(root / "config/datasets.yaml")


@pytest.fixture
def desk(inside, catalogue) -> Desk:
    facts = {"columns": None, "time_column": "date", "frequency": "h"}
    return Desk(inside, dataclasses.replace(catalogue["ETTh1"], **facts))


def sizes(table: Table) -> dict[str, int]:
    return {"rows": len(table.values), "variates": table.values.shape[1]}


@settings(max_examples=60, **PROPERTY)
@given(table=tables(), written=st.sampled_from(sorted(SAME)))
def test_every_way_to_write_the_same_numbers_gives_the_same_numbers(desk, table, written):
    series = desk.run(SAME[written](table.text), **sizes(table))
    assert np.array_equal(series.values, table.values)
    assert series.columns == table.header[1:]


@settings(max_examples=120, **PROPERTY)
@given(table=tables(), wrong=st.sampled_from(NO_NUMBER), data=st.data())
def test_a_cell_that_is_not_a_number_is_reported_with_line_and_column(desk, table, wrong, data):
    row = data.draw(st.integers(0, len(table.values) - 1))
    column = data.draw(st.integers(1, table.values.shape[1]))
    told = desk.refused(table.with_cell(row, column, wrong).encode(), **sizes(table))
    assert not unnamed(told, f"line {row + 2}", repr(table.header[column]))


@settings(max_examples=60, **PROPERTY)
@given(table=tables(), wrong=st.sampled_from(NO_STAMP), data=st.data())
def test_an_invalid_timestamp_is_reported_with_its_line(desk, table, wrong, data):
    row = data.draw(st.integers(0, len(table.values) - 1))
    told = desk.refused(table.with_cell(row, 0, wrong).encode(), **sizes(table))
    assert not unnamed(told, f"line {row + 2}", "'date'", "YYYY-MM-DD hh:mm:ss")


@settings(max_examples=60, **PROPERTY)
@given(table=tables(), data=st.data())
def test_rows_out_of_order_and_duplicate_rows_are_reported(desk, table, data):
    assume(len(table.cells) > 1)
    a, b = sorted(data.draw(st.lists(st.integers(0, len(table.cells) - 1), min_size=2, max_size=2, unique=True)))
    lines = list(table.cells)
    lines[a], lines[b] = lines[b], lines[a]
    swapped = dataclasses.replace(table, cells=tuple(lines))
    assert not unnamed(desk.refused(swapped.text.encode(), **sizes(table)), f"line {a + 3}")
    twice = dataclasses.replace(table, cells=(*table.cells[: a + 1], *table.cells[a:]))
    told = desk.refused(twice.text.encode(), rows=len(twice.cells), variates=len(table.header) - 1)
    assert not unnamed(told, "repeated_stamps", 1, "quirks")


@settings(max_examples=40, **PROPERTY)
@given(table=tables(), encoding=st.sampled_from(OTHER))
def test_another_encoding_is_reported(desk, table, encoding):
    told = desk.refused(table.text.encode(encoding), **sizes(table))
    assert not unnamed(told, "UTF-8") or not unnamed(told, "zero")


@settings(max_examples=60, **PROPERTY)
@given(table=tables(), data=st.data())
def test_a_truncated_file_is_reported_or_holds_the_same_numbers(desk, table, data):
    whole = table.text.encode()
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        series = desk.run(part, **sizes(table))
    except InputError as error:
        assert str(desk.raw) in str(error)
        return
    # Digits may be missing at the very end, which only the catalogue's SHA-256 can detect (test_a_changed_file...).
    assert np.array_equal(series.values[:-1], table.values[:-1])
    assert np.array_equal(series.values[-1, :-1], table.values[-1, :-1])


@settings(max_examples=150, **PROPERTY)
@given(text=st.text(st.sampled_from(string.digits + ".,;-\n\r\"' \tdate:NaNinf\0\ufeffé\ufffd"), max_size=60))
@example("date,a\n2024-01-01,1\n2024-01-01 01:00:00,2\n")
@example("date\n")
@example("\ufeff")
@example("\ufeff\n")
@example('date,"a\nb"\n2024-01-01,1\n')
def test_any_text_is_refused_by_name_or_read_correctly(desk, text):
    lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    lines = [line for line in lines if line]
    facts = {"rows": max(1, len(lines) - 1), "variates": max(1, len(lines[0]) - 1) if lines else 1}
    try:
        series = desk.run(text.encode(), **facts)
    except InputError as error:
        assert str(desk.raw) in str(error)
        return
    at = lines[0].index("date")
    read = [[float(cell) for cell in line[:at] + line[at + 1 :]] for line in lines[1:]]
    assert series.values.tolist() == read and np.isfinite(series.values).all()


@pytest.mark.parametrize("name", ["NYCWeather", "Synthetic-M4"])
@settings(max_examples=40, **PROPERTY)
@given(data=st.data())
def test_the_other_readers_refuse_by_name_or_read(inside, catalogue, name, data):
    good = GOOD[name](inside)
    at = data.draw(st.integers(0, len(good) - 1))
    put = data.draw(st.sampled_from([b"", b"\0", b'"', b",", b"\n", b"x", b"\xe9", b"-", b"NA", b"nan", b"9"]))
    cut = data.draw(st.integers(0, 3))
    raw = inside / "mutated.csv"
    raw.write_bytes(good[:at] + put + good[at + cut :])
    dataset = unpinned(catalogue[name])
    files = [raw]
    if name == "Synthetic-M4":
        files = [raw, inside / "m4-test.csv"]
    else:
        dataset = dataclasses.replace(dataset, rows=30)
    out, quirks = inside / "s.npz", inside / "q.json"
    for path in (out, quirks):
        path.unlink(missing_ok=True)
    try:
        normalise(dataset, files, out, quirks)
    except InputError as error:
        assert str(raw) in str(error) and not out.exists() and not quirks.exists()
    else:
        assert out.is_file() and json.loads(quirks.read_text(encoding="utf-8"))


def airports(_) -> bytes:
    columns = "origin,year,month,day,hour,temp,dewp,humid,wind_speed,precip,visib,time_hour"
    lines = [
        f"{origin},2013,1,1,{hour % 24},{hour},5,50,3,0,10,2013-01-0{1 + (hour + 5) // 24}T{(hour + 5) % 24:02d}:00:00Z"
        for origin in ("EWR", "JFK", "LGA")
        for hour in range(10)
    ]
    return "\n".join([columns, *lines, ""]).encode()


def m4(folder: Path) -> bytes:
    from timellama.data.fetch.synthetic import generate_m4_test, generate_m4_train

    if not (folder / "m4-test.csv").exists():
        generate_m4_train(folder / "m4-train.csv", seed=0)
        generate_m4_test(folder / "m4-test.csv", seed=0)
    return (folder / "m4-train.csv").read_bytes()


GOOD = {"NYCWeather": airports, "Synthetic-M4": m4}


def test_a_changed_file_of_the_same_shape_is_refused_by_its_digest(inside, catalogue):
    """A file without its last digit can still be read, but its SHA-256 is not the declared one."""
    (inside / "toy.csv").write_text("date,a\n2024-01-01,12\n", encoding="utf-8")
    [artifact] = catalogue["ETTh1"].files
    artifact = dataclasses.replace(artifact, source=str(inside / "toy.csv"), bytes=None)
    with refused(inside / "toy.csv", artifact.sha256):
        fetch(artifact, inside / "raw.csv", mirrors=[], cache=inside / "cache", progress=False)
    assert not (inside / "raw.csv").exists()


SPLITS = (
    Split(rule="ratio", train=0.7, validation=0.1, test=0.2),
    Split(rule="ratio", train=0.34, validation=0.33, test=0.33),
    Split(rule="months", train=2, validation=1, test=1, rows_per_day=1),
)


@settings(max_examples=80, **PROPERTY)
@given(
    split=st.sampled_from(SPLITS),
    context=st.integers(1, 40),
    horizon=st.integers(1, 20),
    percent=st.sampled_from([1, 5, 50, 100]),
)
def test_the_minimum_number_of_rows_gives_a_window_and_one_row_fewer_is_refused(split, context, horizon, percent):
    asked = {"context": context, "horizon": horizon, "train_percent": percent}

    def made(rows: int):
        values = np.arange(rows, dtype=float)[:, None]
        time = np.datetime64("2024-01-01", "s") + np.arange(rows)
        return prepare(Series(values=values, time=time, columns=("a",), raw_sha256="0"), split, **asked)

    def enough(rows: int) -> bool:
        try:
            return min(count_windows(split, rows=rows, **asked).values()) > 0
        except InputError:
            return False

    fewest = next((rows for rows in range(1, 6000) if enough(rows)), None)
    if fewest is None:  # months have a fixed number of rows
        with refused("context", context, "horizon", horizon, "train_percent", percent):
            made(500)
        return
    parts = made(fewest)
    for part in (parts.train, parts.validation, parts.test):
        x, y = part.batch(torch.tensor([len(part) - 1]))
        assert x.shape == (1, context, 1) and y.shape == (1, horizon, 1) and torch.isfinite(y).all()
    if fewest > 1:
        with refused(fewest - 1):
            made(fewest - 1)


METHODS = {
    "seasonal-naive": (SeasonalNaiveOptions(), None),
    "dlinear": (DLinearOptions(kernel=3), Training(max_steps=2, batch_size=4)),
    "rlinear": (RLinearOptions(), Training(max_steps=2, batch_size=4)),
}


@pytest.fixture
def carried_out(desk, sample_run, inside):
    """Runs a method on values [160, N] from a CSV; returns the content of `metrics.json`."""

    def carry_out(method: str, values: np.ndarray) -> dict:
        rows, variates = values.shape
        time = np.datetime64("2024-01-01", "s") + np.arange(rows) * np.timedelta64(3600, "s")
        lines = [
            ",".join([str(t).replace("T", " "), *map(repr, line)])
            for t, line in zip(time, values.tolist(), strict=True)
        ]
        header = ",".join(["date", *(f"c{i}" for i in range(variates))])
        desk.run("\n".join([header, *lines, ""]).encode(), rows=rows, variates=variates)
        options, training = METHODS[method]
        named = {"variant": method, "method": method, "options": options, "training": training}
        run = made_up.small(sample_run, **named, variates=variates, season=8)
        return made_up.carry_out(run, inside, series=desk.out, kept=inside / "kept")

    return carry_out


@pytest.mark.parametrize("method", METHODS)
def test_constant_columns_give_finite_errors_and_zero_ones_if_nothing_changes(carried_out, method):
    constant = np.full((160, 3), 7.5)
    metrics = carried_out(method, constant)
    assert metrics["n_windows"] == 29 and math.isfinite(metrics["mse"])
    if method == "seasonal-naive":
        assert metrics["mse"] == metrics["mae"] == 0
    mixed = constant.copy()
    mixed[:, 0] = np.random.default_rng(0).normal(size=160).cumsum()
    assert 0 < carried_out(method, mixed)["mse"] < math.inf


@pytest.mark.parametrize("method", METHODS)
def test_two_thousand_variates_can_be_forecast(carried_out, method):
    values = np.random.default_rng(0).normal(size=(160, 2000)).cumsum(axis=0)
    metrics = carried_out(method, values)
    assert metrics["n_windows"] == 29 and math.isfinite(metrics["mse"])
    if method == "seasonal-naive":
        # Hand-computed: the forecast of row t is row t - 8, in units of the training rows' standard deviation.
        scaled = (values - values[:96].mean(axis=0)) / values[:96].std(axis=0)
        targets = np.stack([scaled[start : start + 4] for start in range(128, 157)])
        naive = np.stack([scaled[start - 8 : start - 4] for start in range(128, 157)])
        assert metrics["mse"] == pytest.approx(((targets - naive) ** 2).mean(), rel=1e-4)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("method", METHODS)
def test_values_beyond_single_precision_give_no_result(carried_out, method, inside):
    """A value that does not fit into a float32 ends in an error, not in a number."""
    values = np.random.default_rng(0).normal(size=(160, 2)).cumsum(axis=0)
    values[140:] = 1e39
    with pytest.raises(ValueError):
        carried_out(method, values)
    assert not (inside / "metrics.json").exists()
