"""`timellama forecast` on files with missing cells and rows: as in training, for runs that were trained with a mask."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tests import made_up
from tests.cli.conftest import COLUMNS, carry_out
from tests.cli.test_forecast import read_csv, write_csv
from tests.refusal import unnamed
from timellama.core.files import write_json

MASKED = {"frequency": "h", "missing": "mask"}
RUN = ("forecast", "--run", "Holed/dlinear")


@pytest.fixture
def holed(made, sample_run) -> np.ndarray:
    """Adds a run on a series with holes to the project, and returns that series."""
    values = made.values.copy()
    values[[5, 40], 0] = values[135:141] = values[150, 1] = np.nan
    folder = made.folder / "results/data/Holed"
    made_up.walk(folder / "series.npz", len(values), values=values, columns=COLUMNS, sha256=sample_run.data_sha256)
    write_json(folder / "quirks.json", {"reading": {"missing": "mask"}, "frequency": "h"})
    run = dataclasses.replace(made_up.small(sample_run), dataset="Holed", reading=json.dumps(MASKED))
    carry_out(made.folder, run)
    made.runs["holed"] = run
    return values


def test_the_forecast_is_the_runs_own_even_if_the_look_back_starts_in_a_hole(made, holed, say):
    """The middle one of the test part's 29 windows, 14, has its look-back in rows 126 to 141 and starts at row 126."""
    kept = np.load(made.place("holed") / "forecasts.npz", allow_pickle=False)
    for place, begin in ((1, 112 + int(kept["start"][1])), (2, 112 + int(kept["start"][2]))):
        write_csv(made.folder / "my.csv", holed[begin - 100 : begin + 16])
        done = say(*RUN, "--csv", "my.csv", "--out", "out.csv")
        expected = np.array([row[1:] for row in read_csv(made.folder / "out.csv")[1]], dtype=float)
        fitted = holed[:96]
        mine = (expected - np.nanmean(fitted, axis=0)) / np.nanstd(fitted, axis=0)
        assert np.allclose(mine, kept["forecast"][place], atol=1e-5)
        missing = int(np.isnan(holed[begin : begin + 16]).sum())
        assert missing and f"my.csv: {missing} missing cell" in " ".join(done.stderr.split())


def test_missing_rows_count_as_rows_of_missing_cells(made, holed, say):
    write_csv(made.folder / "cells.csv", holed[90:150])
    frame = pd.read_csv(made.folder / "cells.csv")
    frame.drop(index=range(45, 51)).to_csv(made.folder / "rows.csv", index=False)
    # Rows 135 to 140 are rows 45 to 50 of the file, whose look-back is its rows 44 to 59.
    for name in ("cells", "rows"):
        done = say(*RUN, "--csv", f"{name}.csv", "--out", f"{name}-out.csv")
        told = "6 missing rows among them" if name == "rows" else "of the last 16 steps; the last value"
        assert "12 missing cells" in " ".join(done.stderr.split()) and told in " ".join(done.stderr.split())
    assert read_csv(made.folder / "cells-out.csv") == read_csv(made.folder / "rows-out.csv")
    assert read_csv(made.folder / "rows-out.csv")[1][0][0] == "2024-03-03 12:00:00"


def test_a_column_without_any_value_takes_the_mean_of_the_training_rows(made, holed, say):
    values = holed[-20:].copy()
    values[:, 1] = np.nan
    write_csv(made.folder / "none.csv", values)
    values[:, 1] = np.nanmean(holed[:96, 1])
    write_csv(made.folder / "mean.csv", values)
    for name in ("none", "mean"):
        say(*RUN, "--csv", f"{name}.csv", "--out", f"{name}-out.csv")
    found, expected = (
        np.array([row[1:] for row in read_csv(made.folder / f"{n}-out.csv")[1]], float) for n in ("none", "mean")
    )
    assert np.allclose(found, expected, rtol=1e-5)


def test_a_run_without_a_mask_refuses_holes_and_one_with_a_mask_names_what_it_cannot_use(made, holed, say):
    write_csv(made.folder / "my.csv", holed[90:150])
    done = say("forecast", "--run", "ETTh1/dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "o.csv", code=2)
    assert not unnamed(done.stderr, "my.csv", "line", 16)
    frame = pd.read_csv(made.folder / "my.csv")
    wrong = {
        "too short": (frame.iloc[-10:], ("2024-03-03 02:00:00", 16, "2024-03-02 20:00:00")),
        "between": (
            frame.assign(when=frame["when"].str.replace("03-03 05:00", "03-03 05:30")),
            ("2024-03-03 05:30:00", "h"),
        ),
        "twice": (pd.concat([frame, frame.iloc[-1:]]), ("line 62",)),
        "text": (
            frame.assign(load=frame["load"].astype(object).where(frame.index != 55, "broken")),
            ("line 57", "'load'", "'broken'"),
        ),
    }
    for data, named in wrong.values():
        data.to_csv(made.folder / "my.csv", index=False)
        assert not unnamed(say(*RUN, "--csv", "my.csv", "--out", "o.csv", code=2).stderr, "my.csv", *named)
    assert not (made.folder / "o.csv").exists()


def test_show_says_how_many_values_were_observed(made, holed, say):
    shown = " ".join(say("show", "Holed/dlinear").stdout.split())
    assert "missing ones count nowhere" in shown and "1 train, 0 validation, 13 test" in shown
