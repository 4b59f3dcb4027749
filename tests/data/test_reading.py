"""Every ordinary form of file is read correctly; ambiguous ones must be clarified, and invalid ones are refused."""

import dataclasses
import gzip
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data.reading_desk import ReadingDesk
from tests.refusal import refused
from timellama.data.files.detect import Asked

ROWS = 60
BERLIN = "Europe/Berlin"


def frame(freq: str, *, start: str = "2024-01-01", rows: int = ROWS, zone: str | None = None) -> pd.DataFrame:
    """Two columns of values, one of which has a space in its name, and a column `date`."""
    numbers = np.arange(rows, dtype=float)
    date = pd.date_range(start, periods=rows, freq=freq, tz=zone)
    return pd.DataFrame({"date": date, "load": numbers / 8 - 3, "oil temperature": (numbers * 7) % 11})


def spelt(data: pd.DataFrame, form: str) -> pd.DataFrame:
    """The frame with its dates written in a strftime format."""
    return data.assign(date=data["date"].dt.strftime(form))


def csv(path: Path, data: pd.DataFrame, *, separator: str = ",", decimal: str = ".", index: bool = False) -> None:
    data.to_csv(path, sep=separator, decimal=decimal, index=index)


@pytest.fixture
def desk(tmp_path: Path) -> ReadingDesk:
    return ReadingDesk(tmp_path)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """A frame, the format of its dates, how it is written and requested, and the frequency that must be found."""

    data: pd.DataFrame
    frequency: str
    form: str = "%Y-%m-%d %H:%M:%S"
    separator: str = ","
    decimal: str = "."
    asked: Asked | None = None


SHAPES = {
    "ISO": Shape(data=frame("h"), frequency="h"),
    "ISO with T": Shape(data=frame("h"), form="%Y-%m-%dT%H:%M:%S", frequency="h"),
    "5 minutes from 17:34": Shape(data=frame("5min", start="2024-01-01 17:34"), frequency="5min"),
    "5 seconds": Shape(data=frame("5s"), frequency="5s"),
    "weekly": Shape(data=frame("W-WED"), form="%Y-%m-%d", frequency="7D"),
    "month start": Shape(data=frame("MS"), form="%Y-%m-%d", frequency="MS"),
    "month end": Shape(data=frame("ME"), form="%Y-%m-%d", frequency="ME"),
    "months": Shape(data=frame("MS"), form="%Y-%m", frequency="MS"),
    "yearly": Shape(data=frame("YS", start="1950-01-01"), form="%Y-%m-%d", frequency="YS"),
    "years": Shape(data=frame("YS", start="1950-01-01"), form="%Y", frequency="YS"),
    "compact": Shape(data=frame("D"), form="%Y%m%d", frequency="D"),
    "Exchange": Shape(data=frame("D", start="1990-01-01"), form="%Y/%-m/%-d 0:00", frequency="D"),
    "day first": Shape(data=frame("6h"), form="%d/%m/%Y %H:%M", frequency="6h"),
    "day first with points": Shape(data=frame("D"), form="%d.%m.%Y", frequency="D"),
    "month first": Shape(data=frame("D"), form="%m/%d/%Y", frequency="D"),
    "month first, twelve hours": Shape(data=frame("h", start="2024-01-11"), form="%m/%d/%Y %I:%M %p", frequency="h"),
    "day first, asked": Shape(data=frame("MS"), form="%d/%m/%Y", frequency="MS", asked=Asked(day_first=True)),
    "31 Jan 2024": Shape(data=frame("D"), form="%d %b %Y", frequency="D"),
    "31-January-2024 13:05": Shape(data=frame("h"), form="%-d-%B-%Y %H:%M", frequency="h"),
    "Jan-31-2024": Shape(data=frame("D"), form="%b-%-d-%Y", frequency="D"),
    "Jan 2024": Shape(data=frame("MS"), form="%b %Y", frequency="MS"),
    "Z": Shape(data=frame("h"), form="%Y-%m-%dT%H:%M:%SZ", frequency="h"),
    "+00:00": Shape(data=frame("h"), form="%Y-%m-%d %H:%M:%S+00:00", frequency="h"),
    "semicolon, decimal comma": Shape(data=frame("h"), separator=";", decimal=",", frequency="h"),
    "tab": Shape(data=frame("h"), separator="\t", frequency="h"),
    "bar": Shape(data=frame("h"), separator="|", frequency="h"),
    "business days": Shape(data=frame("B"), form="%Y-%m-%d", frequency="B"),
    "milliseconds": Shape(data=frame("250ms"), form="%Y-%m-%d %H:%M:%S.%f", frequency="250ms"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_form_of_file_is_read_correctly(desk, tmp_path, name):
    shape = SHAPES[name]
    path = tmp_path / "own.csv"
    csv(path, spelt(shape.data, shape.form), separator=shape.separator, decimal=shape.decimal)
    series = desk.read(path, asked=shape.asked)
    assert (series.time == shape.data["date"].to_numpy()).all()
    assert (series.values == shape.data[["load", "oil temperature"]].to_numpy()).all()
    assert series.columns == ("load", "oil temperature")
    assert desk.last.frequency == shape.frequency
    assert set(desk.facts["repairs"].values()) == {0} and desk.last.quirks.irregular_steps == 0


def test_quarters_are_read_as_the_first_days_of_quarters(desk, tmp_path):
    data = frame("QS", start="1990-01-01")
    text = data["date"].dt.year.astype(str) + "Q" + data["date"].dt.quarter.astype(str)
    csv(tmp_path / "own.csv", data.assign(date=text))
    series = desk.read(tmp_path / "own.csv")
    assert (series.time == data["date"].to_numpy()).all() and desk.last.frequency == "QS" and desk.last.season == 4


@pytest.mark.parametrize("written", ["offsets", "local"])
def test_a_local_zone_with_daylight_saving_is_kept_in_utc(desk, tmp_path, written):
    data = frame("h", start="2024-03-30", rows=24 * 220, zone=BERLIN)
    local = data if written == "offsets" else data.assign(date=data["date"].dt.tz_localize(None))
    csv(tmp_path / "own.csv", local)
    series = desk.read(tmp_path / "own.csv", asked=Asked(zone=None if written == "offsets" else BERLIN))
    assert (series.time == data["date"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()).all()
    assert desk.last.frequency == "h" and desk.last.quirks.repeated_stamps == 0
    assert desk.facts["zone"] == ("+01:00, +02:00" if written == "offsets" else BERLIN)
    assert desk.facts["stamps_in"] == "UTC"
    last = data["date"].iloc[-1]
    assert desk.facts["last_in_zone"] == str(last.tz_convert("UTC") if written == "offsets" else last)


def test_midnights_of_a_time_zone_are_dates(desk, tmp_path):
    data = frame("D", start="2024-03-01", rows=300, zone=BERLIN)
    csv(tmp_path / "own.csv", data)
    series = desk.read(tmp_path / "own.csv", asked=Asked(zone=BERLIN))
    assert (series.time == data["date"].dt.tz_localize(None).to_numpy()).all()
    assert desk.last.frequency == "D" and desk.facts["stamps_in"] == "dates of the zone"


@pytest.mark.parametrize("kind", ["pandas index", "no column of time", "one column", "from 10 in steps of 5"])
def test_numbered_rows_are_read_as_steps(desk, tmp_path, kind):
    data = frame("h").drop(columns="date")
    if kind == "one column":
        data = data[["load"]]
    if kind.startswith("from"):
        data.insert(0, "t", 10 + 5 * np.arange(ROWS))
    csv(tmp_path / "own.csv", data, index=kind == "pandas index")
    series = desk.read(tmp_path / "own.csv")
    assert (desk.last.frequency, desk.last.season) == ("step", 1)
    assert (series.time == np.arange(ROWS).astype("datetime64[s]")).all()
    assert (series.values == data[list(series.columns)].to_numpy()).all() and "load" in series.columns


def long(lengths: dict[str, int], *, names: tuple[str, str, str] = ("unique_id", "ds", "y")) -> pd.DataFrame:
    """A long frame, in which row i of series k has the value 100 k + i."""
    parts = []
    for number, (name, rows) in enumerate(lengths.items()):
        dates = pd.date_range("2024-01-01", periods=rows, freq="D")
        parts.append(pd.DataFrame({names[0]: name, names[1]: dates, names[2]: 100.0 * number + np.arange(rows)}))
    return pd.concat(parts)


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (("unique_id", "ds", "y"), Asked()),
        (("sensor", "timestamp", "temperature"), Asked()),
        (("shop", "day", "sold"), Asked(id_column="shop")),
    ],
)
def test_a_long_file_becomes_wide(desk, tmp_path, names, asked):
    csv(tmp_path / "own.csv", long({"north": ROWS, "a south": ROWS}, names=names))
    series = desk.read(tmp_path / "own.csv", asked=asked)
    assert series.columns == ("north", "a south")
    assert (series.values == np.arange(ROWS)[:, None] + [0, 100]).all()


def test_a_long_file_with_an_unusual_series_column_must_name_it(desk, tmp_path):
    csv(tmp_path / "own.csv", long({"a": ROWS, "b": ROWS}, names=("firm", "year", "value")))
    with refused("own.csv", "firm", "--id-column 'firm'", "--drop"):
        desk.read(tmp_path / "own.csv")
    assert desk.read(tmp_path / "own.csv", asked=Asked(id_column="firm")).columns == ("a", "b")


def test_series_of_different_lengths_are_aligned_only_on_request(desk, tmp_path):
    csv(tmp_path / "own.csv", long({"a": ROWS, "b": ROWS - 10, "c": ROWS}))
    with refused("own.csv", "b", 50, "a", 60, "--align common", "--align all --missing mask"):
        desk.read(tmp_path / "own.csv")
    series = desk.read(tmp_path / "own.csv", asked=Asked(align="common"))
    assert series.values.shape == (ROWS - 10, 3)
    assert desk.facts["repairs"]["cut_rows"] == desk.last.repairs.cut_rows == 20


def test_a_long_file_with_two_value_columns_must_name_one(desk, tmp_path):
    csv(tmp_path / "own.csv", long({"a": ROWS, "b": ROWS}).assign(price=1.5).rename(columns={"y": "sold"}))
    with refused("own.csv", "unique_id", "sold", "price", "--value-column"):
        desk.read(tmp_path / "own.csv")
    assert desk.read(tmp_path / "own.csv", asked=Asked(value_column="price")).values.tolist()[0] == [1.5, 1.5]


HOLES = frame("h").assign(load=lambda data: data["load"].where(~data.index.isin([5, 6, 30])))
HOLES = HOLES.drop(index=[40, 41]).reset_index(drop=True)


@pytest.mark.parametrize("fill", ["linear", "previous", "seasonal"])
def test_missing_cells_and_rows_are_filled_on_request_and_counted(desk, tmp_path, fill):
    csv(tmp_path / "own.csv", HOLES)
    with refused("own.csv", "line 7", "load", 3, "--fill linear", "previous", "seasonal", "--missing mask"):
        desk.read(tmp_path / "own.csv")
    series = desk.read(tmp_path / "own.csv", asked=Asked(fill=fill))
    whole = frame("h")[["load", "oil temperature"]].to_numpy()
    known = np.isfinite(HOLES.set_index("date").reindex(frame("h")["date"]).to_numpy())
    assert (series.values[known] == whole[known]).all()
    expected = {
        "linear": whole[[5, 6, 30], 0],
        "previous": whole[[4, 4, 29], 0],
        # Rows 5 and 6 have no value a day earlier, so they take the one a day later; 30 is a day after 6, also a hole.
        "seasonal": [whole[29, 0], whole[54, 0], whole[54, 0]],
    }[fill]
    assert series.values[[5, 6, 30], 0].tolist() == pytest.approx(list(expected))
    counts = {"moved_rows": 0, "merged_rows": 0, "cut_rows": 0, "added_rows": 2, "filled_cells": 7}
    assert desk.facts["repairs"] == desk.last.repairs.facts == counts
    assert desk.facts["filled_cells"] == {"load": 5, "oil temperature": 2}
    assert desk.facts["added_rows"]["first"] == ["2024-01-02 16:00:00", "2024-01-02 17:00:00"]
    assert desk.facts["notes"] == [f"Repaired: 2 missing rows added, 7 cells filled ({fill})."]
    assert "filled" not in desk.last.prompt  # the language model reads about the data, not about how they were read


@pytest.mark.parametrize("mark", ["NA", "NaN", "null", "N/A", " "])
def test_markers_of_missing_cells_are_recognised(desk, tmp_path, mark):
    HOLES.to_csv(tmp_path / "own.csv", index=False, na_rep=mark)
    desk.read(tmp_path / "own.csv", asked=Asked(fill="linear"))
    assert desk.last.repairs.filled_cells == 7


def test_cells_that_cannot_be_filled_are_reported(desk, tmp_path):
    csv(tmp_path / "own.csv", frame("h").assign(load=lambda data: data["load"].where(data.index > 2)))
    with refused("own.csv", "load", 3, "2024-01-01 00:00:00", "--fill previous", "--missing mask", "--drop"):
        desk.read(tmp_path / "own.csv", asked=Asked(fill="previous"))


@pytest.mark.parametrize(("duplicates", "kept"), [("first", 0.0), ("last", 10.0), ("mean", 5.0)])
def test_disorder_and_duplicates_are_repaired_on_request_and_counted(desk, tmp_path, duplicates, kept):
    data = frame("h")
    again = data.iloc[[24]].assign(load=10.0)  # of row 24, whose load is 0
    csv(tmp_path / "own.csv", pd.concat([data.iloc[10:], again, data.iloc[:10]]))
    with refused("own.csv", "line 52", "date", "2024-01-02 00:00:00", "2024-01-03 11:00:00", 11, "--sort"):
        desk.read(tmp_path / "own.csv")
    series = desk.read(tmp_path / "own.csv", asked=Asked(sort=True, duplicates=duplicates))
    assert series.values[24, 0] == kept and series.values.shape == (ROWS, 2)
    assert (desk.last.repairs.moved_rows, desk.last.repairs.merged_rows) == (11, 1)
    desk.own.unlink()
    entry = desk.entry(tmp_path / "own.csv", asked=Asked(sort=True))
    assert entry["quirks"] == {"repeated_stamps": 1} and entry["rows"] == ROWS + 1


def test_text_is_left_out_on_request_and_constant_columns_are_kept(desk, tmp_path):
    csv(tmp_path / "own.csv", frame("h").assign(note="sunny", rain=0))
    with refused("own.csv", "line 2", "note", "sunny", "--drop note"):
        desk.read(tmp_path / "own.csv")
    assert desk.read(tmp_path / "own.csv", asked=Asked(drop=("note",))).columns == ("load", "oil temperature", "rain")
    assert desk.facts["constant_columns"] == ["rain"]
    assert desk.read(tmp_path / "own.csv", asked=Asked(columns=("oil temperature",))).columns == ("oil temperature",)


@pytest.mark.parametrize("kind", ["parquet", "parquet index", "parquet zone", "xlsx", "csv.gz"])
def test_other_file_formats_are_read(desk, tmp_path, kind):
    data = frame("h", zone=BERLIN if kind == "parquet zone" else None)
    path = tmp_path / f"own.{kind.split()[0]}"
    if kind == "xlsx":
        pytest.importorskip("openpyxl")
        data.to_excel(path, index=False)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(data.to_csv(index=False).encode()))
    elif kind == "parquet index":
        data.set_index("date").to_parquet(path)
    else:
        data.to_parquet(path, index=False)
    series = desk.read(path)
    time = data["date"].dt.tz_convert("UTC").dt.tz_localize(None) if kind == "parquet zone" else data["date"]
    assert (series.time == time.to_numpy()).all() and series.values[8].tolist() == [-2, 1]
    assert desk.last.files[0].path == f"own/Own.{kind.split()[0]}"
    assert desk.facts["zone"] == (BERLIN if kind == "parquet zone" else None)


def test_without_its_extra_an_excel_file_is_refused_and_the_extra_named(desk, tmp_path, monkeypatch):
    (tmp_path / "own.xlsx").write_bytes(b"PK\x03\x04")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with refused("own.xlsx", "openpyxl", "pip install 'timellama[excel]'"):
        desk.read(tmp_path / "own.xlsx")


def test_a_workbook_with_two_sheets_must_name_one(desk, tmp_path):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "own.xlsx") as book:
        frame("h").to_excel(book, sheet_name="hours", index=False)
        frame("D").to_excel(book, sheet_name="days", index=False)
    with refused("own.xlsx", 2, "--sheet", "hours", "days"):
        desk.read(tmp_path / "own.xlsx")
    desk.read(tmp_path / "own.xlsx", asked=Asked(sheet="days"))
    assert desk.last.frequency == "D"


def test_three_thousand_columns_are_read(desk, tmp_path):
    values = np.arange(30 * 3000, dtype=float).reshape(30, 3000)
    data = pd.DataFrame(values, columns=[f"c{i}" for i in range(3000)])
    data.insert(0, "date", pd.date_range("2024-01-01", periods=30, freq="h"))
    csv(tmp_path / "own.csv", data)
    assert (desk.read(tmp_path / "own.csv").values == values).all()


def test_counts_other_than_the_entrys_are_refused(desk, tmp_path):
    from timellama.data.canonicalise import normalise

    csv(tmp_path / "own.csv", HOLES)
    desk.read(tmp_path / "own.csv", asked=Asked(fill="linear"))
    other = dataclasses.replace(desk.last, repairs=dataclasses.replace(desk.last.repairs, filled_cells=6))
    with refused("own.csv", "filled_cells", 7, 6, "repairs"):
        normalise(other, [tmp_path / "own.csv"], tmp_path / "s.npz", tmp_path / "q.json")
