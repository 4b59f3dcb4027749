"""What does not fit is split: hand-computed bounds, the same numbers from parts, and budgets in series."""

import dataclasses
import json

import pytest
import torch
import yaml

from tests import made_up
from tests.refusal import refused
from tests.test_train import H, Linear, T, windows
from timellama.cost.flops import count
from timellama.experiments.matrix import make_matrix
from timellama.experiments.memory import TRAINED, WHOLE, Fit, fit_of, pass_bytes, weight_bounds
from timellama.experiments.run import Training
from timellama.methods.dlinear import DLinearOptions
from timellama.methods.itransformer import ITransformerOptions
from timellama.methods.patchtst import PatchTSTOptions
from timellama.training import device
from timellama.training.train import train

GB = 1e9


def dlinear(sample_run, **training):
    settings = Training(**{"batch_size": 16, "evaluation_batch_size": 64} | training)
    given = {"options": DLinearOptions(), "training": settings, "backbone": None, "prompt": None}
    return dataclasses.replace(sample_run, method="dlinear", variates=10, context=512, horizon=96, **given)


def test_the_series_that_fit_match_a_hand_computed_number(sample_run):
    """One layer per variate, which keeps its T + H numbers; T H weights, two matrices."""
    run = dlinear(sample_run)
    assert weight_bounds(run, width=None) == (0, TRAINED * 2 * 512 * 96)
    series = (512 + 96) * 4
    assert pass_bytes(run, width=None, fit=WHOLE) == 64 * 10 * series  # forecasts of 64 windows; a step has 16
    free = 100 * series
    cut = fit_of(run, width=None, memory=TRAINED * 2 * 512 * 96 + free)
    assert cut == Fit(step_series=100, forecast_series=100)
    assert pass_bytes(run, width=None, fit=cut) == free
    assert fit_of(run, width=None, memory=0) == Fit(step_series=1, forecast_series=1)
    assert fit_of(run, width=None, memory=GB) == WHOLE


def test_a_method_over_all_variates_recomputes_its_layers_and_forecasts_fewer_windows(sample_run):
    given = {"options": ITransformerOptions(), "backbone": None, "prompt": None, "variates": 862}
    run = dataclasses.replace(sample_run, method="itransformer", **given)
    cut = fit_of(run, width=None, memory=0.3 * GB)
    assert cut.recompute and cut.step_series is None and cut.forecast_series is None
    assert 1 <= cut.forecast_windows < run.training.evaluation_batch_size
    assert pass_bytes(run, width=None, fit=cut) < pass_bytes(run, width=None, fit=WHOLE)


def test_a_forecast_has_as_many_windows_as_fit(sample_run):
    """iTransformer keeps scores of every pair of variates, so a window keeps more than its series would separately."""
    given = {"options": ITransformerOptions(), "backbone": None, "prompt": None, "variates": 862}
    run = dataclasses.replace(sample_run, method="itransformer", training=Training(batch_size=1), **given)
    memory = GB + sum(weight_bounds(run, width=None))
    cut = fit_of(run, width=None, memory=memory)
    assert cut.forecast_windows and not cut.recompute
    one = pass_bytes(run, width=None, fit=cut) / cut.forecast_windows
    assert cut.forecast_windows * one <= GB < (cut.forecast_windows + 1) * one


def test_available_memory_is_the_threads_share_of_what_the_process_may_use(monkeypatch):
    monkeypatch.setattr(device.provenance, "memory_bytes", lambda: 64 * 10**9)
    monkeypatch.setattr(device.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(device, "memory_limits", list)
    assert device.memory_at_hand("cpu", threads=2) == 0.5 * 64 * 10**9 / 4
    monkeypatch.setattr(device, "memory_limits", lambda: [(16 * 10**9, 10**9), (32 * 10**9, 0)])
    assert device.memory_at_hand("cpu", threads=2) == 0.5 * 16 * 10**9 / 4
    assert device.memory_at_hand("cpu", threads=16) == 0.5 * 16 * 10**9, "threads beyond the cores get no more"


def test_a_method_with_batch_statistics_splits_only_forecasts(sample_run):
    given = {"options": PatchTSTOptions(), "backbone": None, "prompt": None, "variates": 862}
    cut = fit_of(dataclasses.replace(sample_run, method="patchtst", **given), width=None, memory=GB)
    assert cut.recompute and cut.forecast_series and cut.step_series is None


def test_a_linear_method_with_weights_per_variate_is_not_split_by_variates(sample_run):
    run = dataclasses.replace(dlinear(sample_run), options=DLinearOptions(individual=True))
    cut = fit_of(run, width=None, memory=0)
    assert cut.step_series is None and cut.forecast_series is None and cut.forecast_windows == 1


def test_a_run_in_parts_has_the_errors_of_the_whole(sample_run, tmp_path):
    """It also says how much was computed at once."""
    run, series = made_up.small(sample_run), made_up.walk(tmp_path / "series.npz")
    whole = made_up.carry_out(run, tmp_path / "whole", series=series, kept=tmp_path / "kept")
    least = TRAINED * 2 * (16 + 1) * 4 + 4 * (16 + 4) * 4  # weights and biases, and four series of T + H numbers
    parts = made_up.carry_out(
        run, tmp_path / "parts", series=series, kept=tmp_path / "kept of parts", memory_gb=least / GB
    )
    assert whole["provenance"]["at_once"] == dataclasses.asdict(WHOLE)
    assert parts["provenance"]["at_once"] == dataclasses.asdict(Fit(step_series=4, forecast_series=4))
    for name in ("mse", "mae", "validation_loss"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-5)
    assert (parts["steps"], parts["n_windows"]) == (whole["steps"], whole["n_windows"])
    kept = json.loads((tmp_path / "parts/metrics.json").read_text(encoding="utf-8"))
    assert kept["provenance"]["at_once"]["step_series"] == 4


def test_the_plan_counts_the_memory_of_a_part_and_the_operations_of_the_whole(sample_run):
    run = dlinear(sample_run)
    whole = count(run, shape=None)
    parts = count(run, shape=None, memory=TRAINED * 2 * (512 + 1) * 96 + 10 * (512 + 96) * 4)
    assert parts.fit == Fit(step_series=10, forecast_series=10)
    assert (parts.step.flops, parts.forecast.flops) == (whole.step.flops, whole.forecast.flops)
    assert parts.step.bytes < whole.step.bytes and parts.forecast.bytes < whole.forecast.bytes / 10
    assert parts.whole_bytes == max(whole.step.bytes, whole.forecast.bytes) and whole.whole_bytes is None


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"batch_size": 16, "epochs": 1}, 7),  # 100 windows
        ({"batch_size": 16, "epochs": 1, "sampling": "variates"}, 19),  # 300 series
        ({"batch_size": 16, "max_series": 1000}, 21),  # 16 windows are 48 series
        ({"batch_size": 16, "max_series": 1000, "sampling": "variates"}, 63),
        ({"batch_size": 16, "max_series": 1000, "max_steps": 5}, 5),
    ],
)
def test_the_steps_of_a_budget_match_hand_computed_numbers(settings, steps):
    assert Training(**settings).steps(windows=100, variates=3).total == steps


def test_sampling_of_variates_sees_each_series_once_per_epoch():
    data, seen = windows(5), []

    class Watching(Linear):
        def forward(self, x):
            if self.training:
                seen.extend(x[..., 0].clone())
            return super().forward(x)

    train(
        Watching(),
        windows=data,
        validation=windows(3, seed=1),
        training=Training(sampling="variates", batch_size=4, epochs=1, patience=100),
        balance_weight=0.0,
        seed=0,
        device="cpu",
        precision="float32",
    )
    x, y = data.batch(torch.arange(5))
    every = x.transpose(1, 2).reshape(-1, T)
    assert len(seen) == 15
    assert sorted(map(tuple, torch.stack(seen).tolist())) == sorted(map(tuple, every.tolist()))
    contexts, targets = data.series(torch.tensor([4]))  # window 1, variate 1
    assert torch.equal(contexts[0, :, 0], x[1, :, 1]) and torch.equal(targets[0, :, 0], y[1, :, 1])
    assert targets.shape == (1, H, 1)


SINGLE = {"training": {"sampling": "variates"}}
SYNTHETIC = {"context": 96, "horizons": [24]}


def longs(**section) -> dict:
    return {"experiments": {"long_term": {"datasets": {"Synthetic": SYNTHETIC}, "methods": ["rival"]} | section}}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        (SINGLE, "training"),
        ({"methods": {"rival": SINGLE}}, "methods.rival.training"),
        ({"methods": {"rival": {"datasets": {"Synthetic": SINGLE}}}}, "methods.rival.datasets.Synthetic.training"),
        ({"overrides": {"itransformer": SINGLE}}, "overrides.itransformer.training"),
        ({"overrides": {"rival": SINGLE}}, "overrides.rival.training"),
        (
            {"overrides": {"rival": {"datasets": {"Synthetic": SINGLE}}}},
            "overrides.rival.datasets.Synthetic.training",
        ),
        (longs(datasets={"Synthetic": SYNTHETIC | SINGLE}), "experiments.long_term.datasets.Synthetic.training"),
        (longs(overrides={"rival": SINGLE}), "experiments.long_term.overrides.rival.training"),
    ],
)
def test_single_series_are_refused_for_a_method_over_all_variates_where_they_were_set(root, changes, place):
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8")) | longs() | changes
    rival = made_up.METHOD | {"method": "itransformer"} | changes.get("methods", {}).get("rival", {})
    with refused(f"'smoke', {place}: sampling", "'variates'", "'itransformer'", "'windows'") as told:
        make_matrix(config | {"methods": {"rival": rival}}, root=root)
    assert "alone=True" not in str(told.value), "its record says that it does not forecast each variate alone"


def test_single_series_that_the_catalogue_sets_are_named_there(root, tmp_path):
    (tmp_path / "config").mkdir()
    catalogue = yaml.safe_load((root / "config/methods.yaml").read_text(encoding="utf-8"))
    catalogue["rival"] = made_up.METHOD | SINGLE | {"method": "itransformer"}
    (tmp_path / "config/methods.yaml").write_text(yaml.safe_dump(catalogue), encoding="utf-8")
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8")) | longs()
    with refused("config/methods.yaml, rival.training: sampling", "'variates'"):
        make_matrix(config, root=tmp_path)
