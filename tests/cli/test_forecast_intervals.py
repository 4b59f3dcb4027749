"""`timellama forecast` of a run with intervals: columns, bands, units; and what it says for a run without them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.refusal import refused
from timellama.data.windows import Scaler
from timellama.results.forecasts.calibration import calibrate
from timellama.results.forecasts.context_rows import read_context_rows
from timellama.results.forecasts.forecasting import forecast, load_forecaster
from timellama.results.forecasts.intervals import columns_of, read_intervals
from timellama.results.read.runs import read_run

COLUMNS = ("load", "oil temperature")


@pytest.fixture(scope="session")
def files(made_once, tmp_path_factory):
    """The two files of the run's intervals, made once."""
    folder = tmp_path_factory.mktemp("files")
    places = {"scores": folder / "intervals.json", "widths": folder / "intervals.npz"}
    calibrate(made_once.place("dlinear-0"), **places, threads=1, source_digest="ab")
    return places.values()


@pytest.fixture
def calibrated(made, files):
    for file in files:
        (made.place("dlinear-0") / file.name).write_bytes(file.read_bytes())
    return made


def write_csv(made, *, columns=COLUMNS, name="my.csv"):
    frame = pd.DataFrame(made.values[-16:], columns=list(COLUMNS))[[*columns]]
    frame.insert(0, "when", pd.date_range("2024-03-01", periods=16, freq="h").strftime("%Y-%m-%d %H:%M:%S"))
    frame.to_csv(made.folder / name, index=False)
    return made.folder / name


def read_csv(path):
    frame = pd.read_csv(path)
    return list(frame.columns), {name: frame[name].to_numpy() for name in frame.columns[1:]}


def test_the_columns_are_the_intervals_in_the_files_units(calibrated, say):
    write_csv(calibrated)
    done = say("forecast", "--run", calibrated.place("dlinear-0"), "--csv", "my.csv", "--out", "out.csv", "--json")
    assert json.loads(done.stdout)["forecasts"][0]["intervals"] == [50, 80, 90]
    assert "intervals" not in done.stderr
    header, found = read_csv("out.csv")
    ends = [f"{name}_{end}{percent}" for name in COLUMNS for percent in (50, 80, 90) for end in ("lo", "hi")]
    assert header == ["when", *COLUMNS, *ends]
    scaler = Scaler.fit(calibrated.values[: int(0.6 * len(calibrated.values))])
    with np.load(calibrated.place("dlinear-0") / "intervals.npz") as arrays:
        q, levels = arrays["quantiles"], arrays["levels"].tolist()
    for place, name in enumerate(COLUMNS):
        # For standardised values, s is the look-back's deviation plus 0.3; in the file's units, all of it times std.
        s = calibrated.values[-16:, place].std() + 0.3 * scaler.std[place]
        for percent in (50, 80, 90):
            half = q[levels.index(percent), :, place] * s
            assert np.allclose(found[f"{name}_lo{percent}"], found[name] - half, rtol=1e-6)
            assert np.allclose(found[f"{name}_hi{percent}"], found[name] + half, rtol=1e-6)


def test_the_order_of_columns_changes_only_the_order(calibrated, say):
    write_csv(calibrated)
    write_csv(calibrated, columns=COLUMNS[::-1], name="swapped.csv")
    for name in ("my", "swapped"):
        say("forecast", "--run", calibrated.place("dlinear-0"), "--csv", f"{name}.csv", "--out", f"{name}-out.csv")
    (header, one), (other_header, other) = read_csv("my-out.csv"), read_csv("swapped-out.csv")
    assert sorted(header) == sorted(other_header) and header != other_header
    assert all(np.array_equal(one[name], other[name]) for name in header[1:])


def test_bands_are_drawn_and_the_flag_no_intervals_leaves_out_bands_and_columns(calibrated, say):
    write_csv(calibrated)
    run = ("forecast", "--run", calibrated.place("dlinear-0"), "--csv", "my.csv")
    say(*run, "--out", "with.csv", "--plot", "with.png")
    done = say(*run, "--out", "without.csv", "--plot", "without.png", "--no-intervals")
    assert read_csv("without.csv")[0] == ["when", *COLUMNS] and "intervals" not in done.stderr
    assert Path("with.png").read_bytes() != Path("without.png").read_bytes()


def test_a_run_without_intervals_still_forecasts_and_says_how_to_make_them(calibrated, say):
    write_csv(calibrated)
    done = say("forecast", "--run", calibrated.place("rlinear-0"), "--csv", "my.csv", "--out", "out.csv")
    assert read_csv("out.csv")[0] == ["when", *COLUMNS]
    target = f"results/{calibrated.runs['rlinear-0'].folder}/intervals.json"
    assert f"snakemake -j1 {target}" in " ".join(done.stderr.split()).replace(" intervals.json", "intervals.json")


def test_intervals_made_with_other_weights_are_not_used(calibrated, say):
    write_csv(calibrated)
    place = calibrated.place("dlinear-0")
    scores = json.loads((place / "intervals.json").read_text(encoding="utf-8"))
    scores["provenance"]["weights_sha256"] = "0" * 64
    (place / "intervals.json").write_text(json.dumps(scores), encoding="utf-8")
    done = say("forecast", "--run", place, "--csv", "my.csv", "--out", "out.csv")
    assert read_csv("out.csv")[0] == ["when", *COLUMNS] and "of other weights" in done.stderr


def test_python_code_can_read_quantiles_and_bounds(calibrated):
    finished = read_run(calibrated.place("dlinear-0"))
    forecaster = load_forecaster(finished, device="cpu")
    rows = read_context_rows(write_csv(calibrated), columns=forecaster.columns, context=16, time_column=None)
    made, intervals = forecast(forecaster, rows), read_intervals(finished)
    every = intervals.quantiles(forecaster, made)
    assert list(every) == list(range(5, 100, 5)) and every[50] is made.values
    assert all((every[low] <= every[low + 5]).all() for low in range(5, 95, 5))
    lower, upper = intervals.bounds(forecaster, made, 80)
    some = intervals.quantiles(forecaster, made, (90, 10))
    assert list(some) == [10, 90] and np.array_equal(some[10], lower) and np.array_equal(some[90], upper)
    for ask, named in (
        (lambda: intervals.bounds(forecaster, made, 85), (85, 80)),
        (lambda: intervals.quantiles(forecaster, made, [3]), (3, 95)),
    ):
        with refused(*named):
            ask()


def test_a_column_named_like_an_interval_bound_is_refused(calibrated):
    finished = read_run(calibrated.place("dlinear-0"))
    forecaster = load_forecaster(finished, device="cpu")
    rows = read_context_rows(write_csv(calibrated), columns=forecaster.columns, context=16, time_column=None)
    made = forecast(forecaster, rows)
    bounds = {80: read_intervals(finished).bounds(forecaster, made, 80)}
    assert list(columns_of(bounds, made)) == ["load_lo80", "load_hi80", "oil temperature_lo80", "oil temperature_hi80"]
    clashing = replace(made, context_rows=replace(rows, columns=("load", "load_hi80")))
    with refused("my.csv", "'load_hi80'", "--no-intervals"):
        columns_of(bounds, clashing)
