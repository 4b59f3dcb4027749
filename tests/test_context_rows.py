"""The end of a user's file: which columns and rows are read, which timestamps follow, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from tests.refusal import refused
from timellama.results.forecasts.context_rows import read_context_rows


def written(folder, stamps, *, header="when,b,a", name="my.csv"):
    rows = [f"{stamp},{i + 0.5},{10 * i}" for i, stamp in enumerate(stamps)]
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def read(path, **changed):
    return read_context_rows(path, **{"columns": ("a", "b"), "context": 3, "time_column": None} | changed)


def test_the_last_rows_are_taken_whatever_the_columns_order(tmp_path):
    found = read(written(tmp_path, [f"2024-06-{day:02d}" for day in range(1, 7)]))
    assert found.time_column == "when" and found.columns == ("b", "a")
    assert found.values.tolist() == [[3.5, 30], [4.5, 40], [5.5, 50]]
    assert found.in_order(("a", "b")).tolist() == [[30, 3.5], [40, 4.5], [50, 5.5]]
    assert found.written(found.following(2)) == ["2024-06-07", "2024-06-08"]


@pytest.mark.parametrize(
    ("stamps", "following"),
    [
        (["2024-02-28 23:00", "2024-02-28 23:30", "2024-02-29 00:00"], ["2024-02-29 00:30:00", "2024-02-29 01:00:00"]),
        (["2023-11-01", "2023-12-01", "2024-01-01"], ["2024-02-01", "2024-03-01"]),
        (["2023-11-30", "2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31"]),
        (["2021-01-01", "2022-01-01", "2023-01-01"], ["2024-01-01", "2025-01-01"]),
        (["2024-01-01", "2024-04-01", "2024-07-01"], ["2024-10-01", "2025-01-01"]),
        (["2024-06-03", "2024-06-10", "2024-06-17"], ["2024-06-24", "2024-07-01"]),
        (["2024-06-05", "2024-06-06", "2024-06-07", "2024-06-10", "2024-06-11"], ["2024-06-12", "2024-06-13"]),
        (["2024-06-01 00:00:00", "2024-06-01 00:00:07", "2024-06-01 00:00:14"], ["2024-06-01 00:00:21"]),
        (["2024-06-01 12:00", "2024-06-01 18:00", "2024-06-02 00:00"], ["2024-06-02 06:00:00"]),
    ],
)
def test_timestamps_continue_at_the_files_step(tmp_path, stamps, following):
    found = read(written(tmp_path, stamps))
    assert found.written(found.following(len(following))) == following


def test_a_gap_is_refused_within_the_look_back_and_ignored_before_it(tmp_path):
    stamps = ["2024-06-01", "2024-06-04", "2024-06-05", "2024-06-06"]
    found = read(written(tmp_path, stamps))
    assert found.following(1).equals(pd.DatetimeIndex(np.array(["2024-06-07"], dtype="datetime64[s]")))
    with refused("my.csv", "line 3", "2024-06-04", "2024-06-01", "3 days", "1 days"):
        read(written(tmp_path, stamps), context=4)


def test_a_duplicate_timestamp_is_refused_within_the_look_back_and_ignored_before_it(tmp_path):
    stamps = ["2024-06-01", "2024-06-01", "2024-06-02", "2024-06-03", "2024-06-04"]
    found = read(written(tmp_path, stamps))
    assert found.following(1).equals(pd.DatetimeIndex(np.array(["2024-06-05"], dtype="datetime64[s]")))
    with refused("my.csv", "line 3", "2024-06-01"):
        read(written(tmp_path, stamps), context=5)
    with refused("my.csv", "line 3", "2024-06-01"):
        read(written(tmp_path, stamps[:2]), context=2)


def test_two_rows_show_a_step_of_hours_but_not_one_of_months(tmp_path):
    hours = read(written(tmp_path, ["2024-06-01 00:00", "2024-06-01 01:00"]), context=2)
    assert hours.written(hours.following(1)) == ["2024-06-01 02:00:00"]
    with refused("my.csv", 2):
        read(written(tmp_path, ["2024-06-01", "2024-07-01"]), context=2)


DAYS = ["2024-06-01", "2024-06-02", "2024-06-03", "2024-06-04"]


@pytest.mark.parametrize(
    ("header", "arguments", "named"),
    [
        ("when,b,aa", {}, (1, 2, "'a'", "'aa'?", "'b'")),
        ("when,b,c", {}, (1, 2, "'a'", "'b'")),
        ("when,b,a", {"time_column": "wen"}, ("'wen'", "'when'?")),
        ("when,b,a", {"columns": ("b",)}, ("'when'", "'a'", "--time-column")),
        ("when,b,a", {"columns": ("when", "b", "a")}, ("column",)),
        ("when,b,a", {"columns": None}, (3,)),
        ("when,b,a", {"context": 5}, (4, 5)),
    ],
)
def test_wrong_columns_and_too_few_rows_are_named(tmp_path, header, arguments, named):
    with refused("my.csv", *named):
        read(written(tmp_path, DAYS, header=header), **arguments)


def test_unknown_columns_are_named_when_the_time_column_is_given(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("when,b,a,c\n2024-06-01,1,2,3\n", encoding="utf-8")
    with refused(path, "'c'"):
        read(path, time_column="when")


def test_a_single_series_takes_any_name(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text("day,sales\n" + "".join(f"2024-06-0{i},{i}\n" for i in range(1, 5)), encoding="utf-8")
    found = read(path, columns=None)
    assert (found.time_column, found.columns, found.values.tolist()) == ("day", ("sales",), [[2], [3], [4]])


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("2.5", "", ("line 4", "'b'", 3)),
        ("2.5", "nan", ("line 4", "'b'", "'nan'", 3)),
        ("2.5", "n/a", ("line 4", "'b'", "'n/a'")),
        ("2024-06-03", "2024-06-01", ("line 4", "2024-06-01", "2024-06-02")),
        ("2024-06-03", "2024-06-02", ("line 4", "2024-06-02")),
        ("2024-06-03", "03.06.2024", ("line 4", "'when'", "03.06.2024")),
    ],
)
def test_a_bad_cell_is_named_with_line_and_column(tmp_path, old, new, named):
    path = written(tmp_path, DAYS)
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with refused(path, *named):
        read(path)


def test_a_bad_cell_before_the_look_back_is_not_read(tmp_path):
    path = written(tmp_path, DAYS)
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", ""), encoding="utf-8")
    assert read(path).values.tolist() == [[1.5, 10], [2.5, 20], [3.5, 30]]
