"""A bench from a file or a DataFrame to the leaderboard and the forecast, run by the workflow itself."""

import dataclasses
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import timellama
from tests.refusal import refused, unnamed
from timellama.cli.main import app
from timellama.data.series import load_series
from timellama.experiments.run import Backbone
from timellama.own_data import outcome as outcome_module
from timellama.own_data.workflow import run_workflow
from timellama.results.leaderboard import by_model, leaderboards, log_ratio

HORIZON, CONTEXT, ROWS = 6, 24, 300


def frame() -> pd.DataFrame:
    step = np.arange(ROWS)
    noise = np.random.default_rng(0).normal(size=(ROWS, 2)) * 0.2
    values = np.stack([np.sin(step * 2 * np.pi / 7), np.cos(step * 2 * np.pi / 7) * 5 + 20], axis=1) + noise
    time = pd.date_range("2023-01-01", periods=ROWS, freq="D")
    return pd.DataFrame(values, index=time, columns=["visits", "sales"])


@pytest.fixture(scope="module", autouse=True)
def workflow_starts_at_once(preloaded_python):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(preloaded_python))
        yield


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A finished bench, from Python."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        sizes = {"horizon": HORIZON, "context": CONTEXT, "budget": 4.0, "folder": folder / "shop"}
        return timellama.bench(frame(), methods=["dlinear"], name="shop", **sizes)


def metrics_of(bench) -> dict[str, dict]:
    files = (bench.folder / "results/long-term").glob("*/*/*/metrics.json")
    return {path.parent.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in files}


def test_the_leaderboard_shows_what_the_runs_measured(bench):
    found, board = metrics_of(bench), bench.leaderboard
    naive = found["seasonal-naive"]["mse"]
    for label, variant in (("DLinear", "dlinear"), ("Look-back mean", "look-back-mean")):
        row = board.loc[label]
        assert row["mse"] == found[variant]["mse"] and row["mae"] == found[variant]["mae"]
        assert row["skill"] == pytest.approx(1 - found[variant]["mse"] / naive, rel=1e-12)
        assert row["skill_low"] <= row["skill"] <= row["skill_high"]
    assert board["mse"].is_monotonic_increasing
    assert math.isnan(board.loc["Seasonal naive", "skill"])


def test_the_method_is_chosen_by_validation_loss_which_untrained_ones_have_too(bench):
    losses = {variant: result["validation_loss"] for variant, result in metrics_of(bench).items()}
    assert None not in losses.values()
    best = bench.outcome.board.chosen
    assert best.variant == min(losses, key=losses.get)
    assert bench.leaderboard.loc[bench.best, "chosen"] and bench.leaderboard["chosen"].sum() == 1


def test_the_loss_of_an_untrained_method_is_computed_on_the_validation_rows(bench):
    values = load_series(bench.folder / "results/data/shop/series.npz").values
    train, test = int(ROWS * 0.7), int(ROWS * 0.2)
    scaled = (values - values[:train].mean(axis=0)) / values[:train].std(axis=0)
    errors = []
    for first in range(train, ROWS - test - HORIZON + 1):
        past, truth = scaled[first - 7 : first], scaled[first : first + HORIZON]
        errors.append(((past[:HORIZON] - truth) ** 2).mean())
    assert metrics_of(bench)["seasonal-naive"]["validation_loss"] == pytest.approx(np.mean(errors), rel=1e-5)


def test_the_forecast_continues_the_data_in_their_units(bench):
    made = bench.forecast()
    assert made["unique_id"].tolist() == ["visits"] * HORIZON + ["sales"] * HORIZON
    assert made["ds"].iloc[0] == frame().index[-1] + pd.Timedelta(1, "D")
    sales = made.loc[made["unique_id"] == "sales", "forecast"]
    assert sales.between(10, 30).all()
    written = pd.read_csv(bench.folder / "forecast.csv")
    assert written["forecast"].to_numpy() == pytest.approx(made["forecast"].to_numpy(), rel=1e-8)


def test_quantiles_increase_around_the_forecast(bench):
    made = bench.forecast()
    rising = made[["q5", "q10", "q25", "forecast", "q75", "q90", "q95"]].to_numpy()
    assert (np.diff(rising, axis=1) >= 0).all() and (rising[:, -1] > rising[:, 0]).all()


def test_a_loaded_run_makes_the_same_forecast_from_the_data_only(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    run = timellama.load_run(bench.outcome.board.chosen.best_run.run.folder)
    wide, made = frame(), bench.forecast()
    for data in (wide, wide.rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")):
        again = run.forecast(data)
        assert again["forecast"].to_numpy() == pytest.approx(made["forecast"].to_numpy(), rel=1e-9)
    assert run.forecast(wide.iloc[:-5])["ds"].iloc[0] == wide.index[-5]


def test_the_same_command_trains_nothing_again_and_prints_the_leaderboard(bench, monkeypatch):
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in bench.folder.glob("results/long-term/*/*/*/metrics.json")}

    before = times()
    file, sizes = bench.folder / "shop.parquet", ["--horizon", HORIZON, "--context", CONTEXT, "--budget", "4s"]
    words = ["bench", file, *sizes, "--methods", "dlinear", "--folder", bench.folder, "--json"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert times() == before
    told = json.loads(done.stdout[done.stdout.index("{") :])
    assert told["chosen"] == bench.best
    assert [row["method"] for row in told["leaderboard"]] == list(bench.leaderboard.index)


def test_the_page_holds_the_pictures_and_the_chosen_run(bench):
    page = bench.report.read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert bench.outcome.board.chosen.best_run.run.folder in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_interval_reflects_the_uncertainty_of_the_test_period(bench):
    files = sorted((bench.folder / "results/long-term/shop").glob("*/*/metrics.json"))
    [board] = leaderboards(files)
    by_name = {standing.variant: standing.runs for standing in board.standings}
    one = log_ratio(by_name["dlinear"], by_name["seasonal-naive"], horizon=HORIZON)
    assert one.value == pytest.approx(-log_ratio(by_name["seasonal-naive"], by_name["dlinear"], horizon=HORIZON).value)
    same = log_ratio(by_name["dlinear"], by_name["dlinear"], horizon=HORIZON)
    assert same.value == 0 and same.part.variance == 0
    assert one.part.variance > 0


def test_data_with_missing_values_can_be_forecast(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    holed = frame()
    holed.iloc[[40, 150, -3, -1], 0] = np.nan  # the last ones are in the season that forecasts read
    sizes = {"horizon": HORIZON, "context": CONTEXT, "budget": 4.0, "folder": tmp_path / "holed"}
    result = timellama.bench(holed, methods=["rlinear"], missing="mask", **sizes)
    assert np.isfinite(result.forecast()["forecast"]).all()
    again = result.forecast(holed)["forecast"].to_numpy()
    assert again == pytest.approx(result.forecast()["forecast"].to_numpy(), rel=1e-6)
    assert {found["n_targets"] < 2 * HORIZON * found["n_windows"] for found in metrics_of(result).values()} == {True}


def test_a_failed_workflow_does_not_return_the_leaderboard_of_an_earlier_call(bench, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(bench.folder, folder, symlinks=True)
    monkeypatch.setattr(outcome_module, "run_workflow", lambda targets, **settings: 1)
    with refused(folder, folder / "results/logs", "exit code 1"):
        outcome_module.carried_out(dataclasses.replace(bench.outcome.bench, folder=folder))


def test_a_snakefile_in_the_folder_is_never_run(root, tmp_path):
    (tmp_path / "Snakefile").write_text("raise Exception('of somebody else')\n", encoding="utf-8")
    output = tmp_path / "output"
    settings = {"configfile": root / "config/smoke.yaml", "folder": tmp_path, "dry_run": True, "output": output}
    assert run_workflow(["reports/table_long_term.md"], **settings) == 0, output.read_text(encoding="utf-8")


def test_two_language_models_of_a_method_are_two_lines_and_not_seeds(bench):
    [run, *_] = bench.outcome.board.standings[0].runs
    models = [Backbone(name=name, blocks=2, pin="") for name in ("tiny-gpt2", "tiny-llama")]
    runs = [dataclasses.replace(run, run=dataclasses.replace(run.run, backbone=model, seed=seed))
            for model in models for seed in (0, 1)]  # fmt: skip
    assert {name: len(of) for name, of in by_model({"m": runs}).items()} == {
        "m, tiny-gpt2 x2, pretrained": 2,
        "m, tiny-llama x2, pretrained": 2,
    }
    assert list(by_model({"m": runs[:2]})) == ["m"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--budget", "soon"], ("--budget", "soon")),
        (["--context", "many"], ("--context", "many")),
        (["--split", "0.5/0.5"], ("--split", "0.5/0.5")),
    ],
)
def test_invalid_options_are_named(tmp_path, words, named):
    file = tmp_path / "shop.csv"
    frame().rename_axis("date").to_csv(file)
    done = CliRunner().invoke(app, ["bench", str(file), "--horizon", "6", *words])
    assert done.exit_code == 2 and not unnamed(done.stderr, *named)
