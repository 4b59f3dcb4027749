"""`timellama forecast`: it reproduces the run's own forecasts in the file's units, and wrong input destroys nothing."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.cli.conftest import START, carry_out
from tests.refusal import unnamed
from timellama.data.catalogue.calendar import features_of
from timellama.data.series import load_series
from timellama.data.windows import Scaler
from timellama.methods.itransformer import ITransformerOptions
from timellama.training.run import calendar_of


def write_csv(path: Path, values: np.ndarray, *, start="2024-03-01", freq="h", columns=("load", "oil temperature")):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(values, columns=list(columns))
    frame.insert(0, "when", pd.date_range(start, periods=len(values), freq=freq).strftime("%Y-%m-%d %H:%M:%S"))
    frame.to_csv(path, index=False)
    return path


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = list(csv.reader(path.open(encoding="utf-8")))
    return header, rows


def test_a_window_of_the_test_part_gets_the_runs_own_forecast(made, say):
    kept = np.load(made.place("dlinear-0") / "forecasts.npz", allow_pickle=False)
    first = int(0.8 * len(made.values))  # the first test target
    begin = first + int(kept["start"][1]) - 16
    write_csv(made.folder / "my.csv", made.values[begin : begin + 16])
    say("forecast", "--run", made.place("dlinear-0"), "--csv", "my.csv", "--out", "out/forecast.csv")
    header, rows = read_csv(made.folder / "out/forecast.csv")
    assert header == ["when", "load", "oil temperature"]
    assert [row[0] for row in rows] == [f"2024-03-01 {hour}:00:00" for hour in (16, 17, 18, 19)]
    scaler = Scaler.fit(made.values[: int(0.6 * len(made.values))])
    expected = scaler.inverse(kept["forecast"][1].astype(float))
    assert np.allclose(np.array([row[1:] for row in rows], dtype=float), expected, rtol=1e-5)


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_a_run_with_a_calendar_reads_the_timestamps_of_the_file(made, say, zone):
    """The timestamps of the run's own window give its forecast; other timestamps give another one."""
    options = ITransformerOptions(width=8, heads=2, feed_forward=8)
    given = {"method": "itransformer", "variant": "itransformer", "options": options, "calendar": features_of("h")}
    if zone:
        given["reading"] = json.dumps({"zone": zone})
        quirks = json.dumps({"frequency": "h", "reading": {"zone": zone}})
        (made.folder / "results/data/ETTh1/quirks.json").write_text(quirks, encoding="utf-8")
    run = dataclasses.replace(made.runs["dlinear-0"], **given)
    carry_out(made.folder, run)
    assert calendar_of(run, load_series(made.folder / "results/data/ETTh1/series.npz")).zone == zone
    place = made.folder / "results" / run.folder
    kept = np.load(place / "forecasts.npz", allow_pickle=False)
    begin = int(0.8 * len(made.values)) + int(kept["start"][1]) - 16
    found = []
    for name, start in (("same", START + begin * np.timedelta64(1, "h")), ("other", "2024-03-01")):
        write_csv(made.folder / f"{name}.csv", made.values[begin : begin + 16], start=start)
        say("forecast", "--run", place, "--csv", f"{name}.csv", "--out", f"out/{name}.csv")
        found.append(np.array([row[1:] for row in read_csv(made.folder / f"out/{name}.csv")[1]], dtype=float))
    scaler = Scaler.fit(made.values[: int(0.6 * len(made.values))])
    expected = scaler.inverse(kept["forecast"][1].astype(float))
    assert np.allclose(found[0], expected, rtol=1e-5)
    assert not np.allclose(found[1], expected, rtol=1e-5)


def test_neither_the_order_of_columns_nor_earlier_rows_change_the_forecasts(made, say):
    write_csv(made.folder / "one.csv", made.values[-16:])
    swapped = made.values[-40:, ::-1]
    write_csv(made.folder / "two.csv", swapped, start="2024-02-29", columns=("oil temperature", "load"))
    for name in ("one", "two"):
        say("forecast", "--run", made.place("dlinear-0"), "--csv", f"{name}.csv", "--out", f"{name}-out.csv")
    (header, rows), (other_header, other_rows) = read_csv(Path("one-out.csv")), read_csv(Path("two-out.csv"))
    assert other_header == [header[0], header[2], header[1]]
    assert rows == [[a, c, b] for a, b, c in other_rows]


def test_many_files_are_forecast_and_an_invalid_one_is_named(made, say):
    for name in ("a", "b", "c"):
        write_csv(made.folder / f"mine/{name}.csv", made.values[-20:])
    (made.folder / "mine/b.csv").write_text("when,load\n", encoding="utf-8")
    done = say(
        *("forecast", "--run", "dlinear/H4-T16-s0", "--csv", "mine", "--out", "made", "--plot", "pictures", "--json"),
        code=2,
    )
    assert not unnamed(done.stderr, "mine/b.csv", "line 1", 1, 2, "oil temperature") and "error:" in done.stderr
    told = json.loads(done.stdout)
    assert [Path(item["out"]).name for item in told["forecasts"]] == ["a.csv", "c.csv"]
    assert [Path(item["csv"]).name for item in told["failures"]] == ["b.csv"]
    assert sorted(path.name for path in Path("made").iterdir()) == ["a.csv", "c.csv"]
    pictures = sorted(Path("pictures").iterdir())
    assert [path.name for path in pictures] == ["a.png", "c.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_another_time_step_and_changed_code_are_reported(made, say):
    write_csv(made.folder / "my.csv", made.values[-16:], freq="D")
    done = say("forecast", "--run", "dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "out.csv")
    assert not unnamed(done.stderr, "1 days 00:00:00", "0 days 01:00:00")
    assert "the code has changed since this run was trained" in done.stderr
    assert [row[0] for row in read_csv(Path("out.csv"))[1]][:2] == ["2024-03-17 00:00:00", "2024-03-18 00:00:00"]
    write_csv(made.folder / "my.csv", made.values[-16:])
    assert "apart" not in say("forecast", "--run", "dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "out.csv").stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--run", "nothing", "--csv", "my.csv", "--out", "o.csv"], ("'nothing'",)),
        (["--run", "dlinear", "--csv", "my.csv", "--out", "o.csv"], ("'dlinear'", 3)),
        (["--run", "s1", "--csv", "my.csv", "--out", "o.csv"], ("'s1'", 2)),
        (["--run", "dlinear/H4-T16-s0", "--csv", "absent.csv", "--out", "o.csv"], ("absent.csv",)),
        (["--run", "dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "my.csv"], ("--out", "my.csv")),
        (
            ["--run", "dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "o.csv", "--plot", "p.gif"],
            ("p.gif", ".png", ".pdf"),
        ),
        (
            ["--run", "dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "o.csv", "--plot", "o.csv"],
            ("--plot", "o.csv", "my.csv"),
        ),
        (["--run", "dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "results"], ("--out", "--plot", "results")),
        (
            ["--run", "dlinear/H4-T16-s0", "--csv", "my.csv", "--out", "o.csv", "--device", "gpu"],
            ("--device", "'gpu'", "cpu"),
        ),
        (["--run", "dlinear/H4-T16-s0", "--csv", "results", "--out", "o"], ("results", ".csv")),
        (["--run", "dlinear/H4-T16-s0", "--csv", "my.csv"], ("'--out'",)),
    ],
)
def test_wrong_input_ends_with_a_clear_error_and_code_2(made, say, arguments, named):
    before = write_csv(made.folder / "my.csv", made.values[-16:]).read_bytes()
    done = say("forecast", *arguments, code=2)
    assert not unnamed(done.stderr, *named) and done.stdout == ""
    assert not Path("o.csv").exists() and Path("my.csv").read_bytes() == before


def test_files_that_are_not_the_runs_own_are_refused(made, say):
    write_csv(made.folder / "my.csv", made.values[-16:])
    place = made.place("dlinear-0")
    arguments = ("forecast", "--run", place, "--csv", "my.csv", "--out", "o.csv")
    weights = load_file(place / "weights.safetensors")
    save_file({name: torch.zeros(1) for name in weights}, place / "weights.safetensors")
    assert not unnamed(say(*arguments, code=2).stderr, "weights.safetensors")
    (place / "weights.safetensors").write_bytes(b"torn")
    assert not unnamed(say(*arguments, code=2).stderr, "weights.safetensors")
    metrics = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
    metrics["provenance"]["data_sha256"] = "00"
    (place / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    assert not unnamed(say(*arguments, code=2).stderr, "results/data/ETTh1/series.npz")
    (made.folder / "results/data/ETTh1/series.npz").unlink()
    assert not unnamed(say(*arguments, code=2).stderr, "snakemake -j1 results/data/ETTh1/series.npz")
    metrics["run"]["horizon"] = 5
    (place / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    assert not unnamed(say(*arguments, code=2).stderr, place / "metrics.json")
