"""The step after training: what it counts, what it never sees, and what its files hold."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch

from tests import made_up
from tests.refusal import refused
from timellama.data.series import load_series, save_series
from timellama.results.forecasts import calibration
from timellama.results.forecasts.calibration import Coverage, calibrate
from timellama.results.forecasts.intervals import read_intervals
from timellama.results.read.documents import read_scores
from timellama.results.read.runs import read_run
from timellama.results.statistics.conformal import KEPT, pinball, rank

ROWS = 400  # 240 training, 80 validation and 80 test rows
WINDOWS = 80 - 4 + 1


@pytest.fixture(scope="module")
def run(sample_run):
    return made_up.small(sample_run)


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    """The project's folder with a run on white noise, for which windows of validation and test are exchangeable."""
    folder = tmp_path_factory.mktemp("trained")
    values = np.random.default_rng(1).normal(size=(ROWS, 2)) * [1, 50] + [10, 500]
    series = made_up.walk(folder / "results/data/ETTh1/series.npz", ROWS, sha256=run.data_sha256, values=values)
    made_up.carry_out(run, folder / "results" / run.folder, series=series, kept=folder / "results/checkpoints")
    return folder


def calibrated(folder, run, **changes):
    """The scores and widths of the run, written next to it."""
    place = folder / "results" / run.folder
    given = {"scores": place / "intervals.json", "widths": place / "intervals.npz", "threads": 1, "source_digest": "ab"}
    made = calibrate(place, **given | changes)
    with np.load(place / "intervals.npz", allow_pickle=False) as arrays:
        return made, dict(arrays)


@pytest.fixture
def project(trained, tmp_path):
    import shutil

    shutil.copytree(trained, tmp_path / "project")
    return tmp_path / "project"


def forecasts(project, run, part):
    """Truth and forecast [W, H, N] and s [W, 1, N] of every window of a part, computed in a separate loop."""
    forecaster = calibration.load_forecaster(read_run(project / "results" / run.folder), device="cpu")
    series = load_series(project / "results/data/ETTh1/series.npz").values
    scaled = torch.from_numpy(forecaster.scaler.transform(series).astype(np.float32))
    first = {"validation": 240, "test": 320}[part]
    truth = torch.stack([scaled[row : row + 4] for row in range(first, first + WINDOWS)])
    with torch.inference_mode():
        made = [forecaster.model(scaled[None, row - 16 : row])[0] for row in range(first, first + WINDOWS)]
    spreads = [scaled[row - 16 : row].numpy().std(axis=0, keepdims=True) for row in range(first, first + WINDOWS)]
    return truth, torch.stack(made), torch.from_numpy(np.stack(spreads)) + 0.3


def test_the_numbers_match_a_loop_over_all_windows(project, run):
    scores, arrays = calibrated(project, run)
    truth, forecast, s = forecasts(project, run, "validation")
    ordered = ((truth - forecast).abs() / s).sort(dim=0).values
    expected = torch.stack([ordered[rank(WINDOWS, percent) - 1] for percent in KEPT])
    assert arrays["quantiles"].shape == (9, 4, 2) and arrays["levels"].tolist() == list(KEPT)
    assert np.allclose(arrays["quantiles"], expected, atol=1e-6)

    truth, forecast, s = forecasts(project, run, "test")
    assert scores["n_windows"] == WINDOWS
    assert scores["calibration"] == {"part": "validation", "windows": WINDOWS, "of": WINDOWS}
    for place, percent in enumerate((50, 80, 90)):
        half = expected[KEPT.index(percent)] * s
        held = ((truth - forecast).abs() <= half).double()
        assert scores["coverage"][str(percent)] == pytest.approx(float(held.mean()), abs=1e-9)
        assert np.allclose(arrays["coverage_of_steps"][place], held.mean(dim=(0, 2)), atol=1e-6)
        assert np.allclose(arrays["coverage_of_variates"][place], held.mean(dim=(0, 1)), atol=1e-6)
        assert scores["width"][str(percent)] == pytest.approx(float(2 * half.mean()), rel=1e-5)
        assert len(scores["coverage_of_thirds"][str(percent)]) == 3
    quantiles = {50: forecast}
    for q, percent in zip(expected, KEPT, strict=True):
        half = q * s
        quantiles |= {(100 - percent) // 2: forecast - half, (100 + percent) // 2: forecast + half}
    losses = {level: float(pinball(truth, q, level / 100).mean()) for level, q in quantiles.items()}
    assert sorted(losses) == list(range(5, 100, 5)) and scores["quantiles"] == 19
    assert scores["crps"] == pytest.approx(2 * sum(losses.values()) / 19, rel=1e-5)
    assert scores["pinball"] == pytest.approx(sum(losses[p] for p in (5, 10, 25, 75, 90, 95)) / 6, rel=1e-5)


def test_the_runs_test_error_is_reproduced_or_nothing_is_written(project, run):
    scores, _ = calibrated(project, run)
    metrics = json.loads((project / "results" / run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert (scores["mse"], scores["mae"]) == (metrics["mse"], metrics["mae"])
    for file in ("intervals.json", "intervals.npz"):
        (project / "results" / run.folder / file).unlink()
    metrics["mse"] *= 1.02
    (project / "results" / run.folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    with refused(run.folder, f"{metrics['mse']:g}", f"{metrics['mse'] / 1.02:g}"):
        calibrated(project, run)
    assert not list((project / "results" / run.folder).glob("intervals.*"))


def test_coverage_of_white_noise_is_close_to_the_nominal_level(project, run):
    scores, _ = calibrated(project, run)
    for percent, share in scores["coverage"].items():
        # 154 values per step, whose errors share the same two parts: a standard error of 0.03 to 0.04.
        assert share == pytest.approx(int(percent) / 100, abs=0.1)
        low, high = scores["coverage_interval"][percent]
        assert 0 <= low < share < high <= 1 and low < int(percent) / 100 < high


def test_no_test_row_enters_the_calibration_and_every_test_row_is_counted(project, run):
    _, before = calibrated(project, run)
    place = project / "results/data/ETTh1/series.npz"
    series = load_series(place)
    values = series.values.copy()
    values[320:] = values[320:] + 1000 * values[:240].std(axis=0)
    save_series(place, dataclasses.replace(series, values=values))
    metrics = project / "results" / run.folder / "metrics.json"
    document = json.loads(metrics.read_text(encoding="utf-8"))
    # The test error differs now and must be reproduced.
    with refused(run.folder, f"{document['mse']:g}") as told:
        calibrated(project, run)
    document["mse"] = max(map(float, re.findall(r"\d+\.\d+", str(told.value))))
    metrics.write_text(json.dumps(document), encoding="utf-8")
    scores, after = calibrated(project, run)
    assert np.array_equal(before["quantiles"], after["quantiles"])
    # The look-backs of later windows are in the shifted rows too, where the forecast follows the shift.
    assert scores["coverage"]["90"] < 0.9


def test_some_of_many_windows_are_chosen_evenly_and_this_is_recorded(project, run, monkeypatch):
    monkeypatch.setattr(calibration, "MOST_WINDOWS", 20)
    scores, arrays = calibrated(project, run)
    assert scores["calibration"] == {"part": "validation", "windows": 20, "of": WINDOWS}
    truth, forecast, s = forecasts(project, run, "validation")
    chosen = [round(place * (WINDOWS - 1) / 19) for place in range(20)]
    ordered = ((truth - forecast).abs() / s)[chosen].sort(dim=0).values
    assert np.allclose(arrays["quantiles"][KEPT.index(90)], ordered[rank(20, 90) - 1], atol=1e-6)


def test_residuals_kept_in_a_file_give_the_same_quantiles_and_the_file_is_removed(project, run, monkeypatch):
    _, before = calibrated(project, run)
    monkeypatch.setattr(calibration, "HELD_BYTES", 1)
    _, after = calibrated(project, run)
    assert np.array_equal(before["quantiles"], after["quantiles"])
    assert not list((project / "results" / run.folder).glob(".*"))


def test_too_few_windows_give_infinite_bounds_and_no_crps(project, run, monkeypatch):
    monkeypatch.setattr(calibration, "MOST_WINDOWS", 8)
    scores, arrays = calibrated(project, run)
    assert np.isinf(arrays["quantiles"][KEPT.index(90)]).all()
    assert np.isfinite(arrays["quantiles"][KEPT.index(80)]).all()
    assert scores["coverage"]["90"] == 1 and scores["width"]["90"] is None
    assert scores["crps"] is None and scores["pinball"] is None and scores["width"]["80"] > 0
    assert read_scores(project / "results" / run.folder / "intervals.json").crps is None


def test_intervals_of_other_weights_are_not_used(project, run):
    calibrated(project, run)
    finished = read_run(project / "results" / run.folder)
    assert read_intervals(finished).levels == KEPT
    weights = finished.folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert read_intervals(finished) is None


def test_damaged_interval_files_are_refused(project, run):
    calibrated(project, run)
    finished = read_run(project / "results" / run.folder)
    widths = finished.folder / "intervals.npz"
    widths.write_bytes(b"torn")
    with refused(widths):
        read_intervals(finished)
    scores = finished.folder / "intervals.json"
    scores.write_text("{}", encoding="utf-8")
    with refused(scores, "coverage"):
        read_intervals(finished)


def test_a_run_on_m4_is_refused(project, run):
    place = project / "results" / run.folder
    other = dataclasses.replace(run, task="short-term")
    document = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
    document["run"]["task"], document["identity"] = "short-term", other.identity
    (place / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
    with refused(place, "M4"):
        calibrated(project, run)


def test_batches_do_not_change_the_coverage():
    draw = torch.Generator().manual_seed(0)
    forecast, truth = torch.randn(7, 4, 2, generator=draw), torch.randn(7, 4, 2, generator=draw)
    s = torch.rand(7, 1, 2, generator=draw)
    q = torch.rand(len(KEPT), 4, 2, generator=draw).sort(dim=0).values
    whole, parts = Coverage(q), Coverage(q)
    whole.add(forecast, truth, s)
    for batch in (slice(0, 5), slice(5, 7)):
        parts.add(forecast[batch], truth[batch], s[batch])
    assert np.array_equal(whole.of_windows(), parts.of_windows()) and whole.windows == parts.windows == 7
    assert whole.losses() == pytest.approx(parts.losses()) and whole.widths() == pytest.approx(parts.widths())


def test_fewer_windows_than_thirds_still_have_a_coverage():
    found = calibration._coverages(np.array([[0.5, 0.75, 1.0]]), np.ones((4, 3)), horizon=2, stride=1.0)
    assert found["coverage"] == {"50": 0.5, "80": 0.75, "90": 1.0}
    assert found["coverage_of_thirds"] == {"50": [0.5] * 3, "80": [0.75] * 3, "90": [1.0] * 3}
    assert set(found["coverage_interval"].values()) == {None}
