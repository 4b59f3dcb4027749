"""An ambiguous or invalid file is refused, with the line, the column, the value and the remedy."""

from pathlib import Path

import pytest

from tests.data.reading_desk import ReadingDesk
from tests.refusal import refused
from timellama.data.files.detect import Asked

BERLIN = "Europe/Berlin"


@pytest.fixture
def desk(tmp_path: Path) -> ReadingDesk:
    return ReadingDesk(tmp_path)


HEAD = "date,a,b\n"
REFUSED = {
    "an ambiguous order": (
        HEAD + "01/02/2024,1,2\n02/02/2024,1,2\n03/02/2024,1,2\n",
        Asked(),
        ("line 2", "'date'", "01/02/2024", "--day-first", "--month-first"),
    ),
    "two orders": (
        HEAD + "13/02/2024,1,2\n02/14/2024,1,2\n15/02/2024,1,2\n",
        Asked(),
        ("line 3", "'date'", "13/02/2024", "02/14/2024", "2024-01-31"),
    ),
    "no such day": (
        HEAD + "2024-02-29,1,2\n2024-02-30,1,2\n2024-03-01,1,2\n",
        Asked(),
        ("line 3", "'date'", "2024-02-30"),
    ),
    "another form": (
        HEAD + "2024-02-01,1,2\n2024-02-02,1,2\n3.2.2024,1,2\n",
        Asked(),
        ("line 4", "'date'", "3.2.2024", "2024-02-01", "YYYY-MM-DD hh:mm:ss"),
    ),
    "no such month": (
        HEAD + "1 Jan 2024,1,2\n1 Fub 2024,1,2\n1 Mar 2024,1,2\n",
        Asked(),
        ("line 3", "'date'", "1 Fub 2024"),
    ),
    "half a zone": (
        HEAD + "2024-02-01Z,1,2\n2024-02-02Z,1,2\n2024-02-03,1,2\n",
        Asked(),
        ("line 4", "'date'", "2024-02-03", "zone"),
    ),
    "no such zone": (
        HEAD + "2024-02-01 01:00,1,2\n2024-02-02,1,2\n2024-02-03,1,2\n",
        Asked(zone="Berlin"),
        ("zone", "'Berlin'", "UTC", "Europe/Berlin?"),
    ),
    "an hour that is left out": (
        HEAD + "2024-03-31 01:00,1,2\n2024-03-31 02:00,1,2\n2024-03-31 03:00,1,2\n",
        Asked(zone=BERLIN),
        ("'date'", "Europe/Berlin", "2024-03-31 02:00:00", "+01:00"),
    ),
    "thousands": (
        HEAD.replace(",", ";") + "2024-02-01;1,234;2\n" * 3,
        Asked(),
        ("line 2", "'a'", "1,234", "--decimal ','"),
    ),
    "both marks": (
        HEAD.replace(",", ";") + "2024-02-01;1.234,5;2\n2024-02-02;1,5;2\n",
        Asked(),
        ("line 2", "'a'", "1.234,5", "','", "--fill", "--drop a"),
    ),
    "no number": (
        HEAD + "2024-02-01,1,2\n2024-02-02,1,x\n2024-02-03,1,2\n",
        Asked(),
        ("line 3", "'b'", "'x'", "--fill", "--drop b"),
    ),
    "infinity": (
        HEAD + "2024-02-01,1,2\n2024-02-02,1,1e999\n2024-02-03,1,2\n",
        Asked(),
        ("line 3", "'b'", "1e999", "--drop b"),
    ),
    "no header": ("2024-02-01,1,2\n2024-02-02,1,2\n", Asked(), ("line 1", "2024-02-01", "header")),
    "a line too short": (
        HEAD + "2024-02-01,1,2\n2024-02-02,1\n2024-02-03,1,2\n",
        Asked(),
        ("line 3", "2 cells", "3 columns"),
    ),
    "microseconds": (
        HEAD + "2024-02-01 00:00:00.123456,1,2\n" * 3,
        Asked(),
        ("line 2", "'date'", "2024-02-01 00:00:00.123456"),
    ),
    "seconds since 1970": (
        HEAD + "1704067200,1,2\n1704067260,1,2\n1704067320,1,2\n",
        Asked(time_column="date"),
        ("line 2", "'date'", 1704067200, "pandas.to_datetime(column, unit='s')"),
    ),
    "no such column": (HEAD + "2024-02-01,1,2\n", Asked(drop=("c",)), ("'c'", "--drop", "date, a, b")),
    "two columns of time": (
        "date,day\n2024-02-01,2024-02-01\n2024-02-02,2024-02-02\n",
        Asked(),
        ("date, day", "--time-column", "--drop"),
    ),
    "no time at all": ("name,a\nx,1\ny,2\nz,3\n", Asked(), ("'name'", "--time-column", "--drop")),
    "beside the grid": (
        HEAD + "2024-02-01,1,2\n2024-02-02,1,2\n2024-02-02 12:00,1,2\n2024-02-03,1,2\n2024-02-04,1,2\n2024-02-05,,2\n",
        Asked(fill="linear"),
        ("line 4", "'date'", "2024-02-02 12:00:00", "D", "2024-02-01 00:00:00", "--frequency"),
    ),
    "stamps that are missing": (HEAD + "2024-02-01,1,2\n,1,2\n2024-02-03,1,2\n", Asked(), ("line 3", "'date'")),
    "a zone of steps": ("a,b\n1,2\n2,3\n3,4\n", Asked(zone=BERLIN), ("--zone",)),
    "--align of a wide file": (HEAD + "2024-02-01,1,2\n", Asked(align="common"), ("--align", "--id-column")),
    "an order of ISO dates": (
        HEAD + "2024-02-01,1,2\n",
        Asked(day_first=True),
        ("line 2", "'date'", "2024-02-01", "--day-first"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_error_is_named(desk, tmp_path, name):
    content, asked, named = REFUSED[name]
    (tmp_path / "own.csv").write_text(content, encoding="utf-8")
    place = () if name == "no such zone" else ("own.csv",)  # the zone is invalid for any file
    with refused(*place, *named):
        desk.read(tmp_path / "own.csv", asked=asked)
    assert not desk.own.exists()


@pytest.mark.parametrize("kind", ["broken.csv.gz", "broken.parquet", "broken.xlsx", "old.xls"])
def test_a_broken_binary_file_is_named(desk, tmp_path, kind):
    first = {"broken.csv.gz": b"\x1f\x8b", "broken.parquet": b"PAR1", "broken.xlsx": b"PK\x03\x04"}
    (tmp_path / kind).write_bytes(first.get(kind, b"\xd0\xcf\x11\xe0") + b"rubbish")
    with refused(tmp_path / kind):
        desk.read(tmp_path / kind)
