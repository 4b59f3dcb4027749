"""The statsforecast plug-in: its seasonal naive equals ours, each series is fitted alone, and its extra is named."""

import copy
import sys

import numpy as np
import pytest
import torch
import yaml

from tests.refusal import refused
from timellama.experiments.matrix import make_matrix
from timellama.methods.naive.network import SeasonalNaive
from timellama.methods.registry import method_of
from timellama.methods.series_method import reads_whole_series
from timellama.training.build import build, model_class
from timellama.training.step_of import step_of

MODULE = "timellama.methods.plugins.statsforecast"
RECORDS = ("SEASONAL_NAIVE", "AUTO_ETS", "AUTO_THETA", "AUTO_ARIMA")


@pytest.fixture
def library():
    pytest.importorskip("statsforecast")


def config(root, experiment: dict, *, name: str) -> dict:
    smoke = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    entry = {"options": {}, "training": {}, "datasets": {}, "source": "x", "floor": False, "citation": "x"}
    methods = {
        record.lower().replace("_", "-"): entry | {"label": record, "method": f"{MODULE}:{record}"}
        for record in RECORDS
    }
    return smoke | {"overrides": {}, "training": {}, "methods": methods, "experiments": {name: experiment}}


def test_its_seasonal_naive_equals_ours(library) -> None:
    x = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(0))
    theirs = model_class(f"{MODULE}:SEASONAL_NAIVE")(horizon=31, season=24)
    assert torch.equal(theirs(x), SeasonalNaive(context=50, horizon=31, season=24)(x))


@pytest.mark.parametrize("record", RECORDS)
def test_each_series_is_fitted_by_itself(record, root, library) -> None:
    section = {
        "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
        "methods": [record.lower().replace("_", "-")],
    }
    [run] = [
        run
        for run in make_matrix(config(root, section, name="long_term"), root=root).experiment("long_term")
        if run.method == f"{MODULE}:{record}"
    ]
    assert run.training is None and run.seed == 0
    model = build(run, backbone_folder=None)
    hours = torch.arange(2 * 96).reshape(2, 96, 1)
    x = torch.cat([5 + torch.sin(hours * torch.pi / 12), 3 + torch.cos(hours * torch.pi / 12)], dim=2)
    x = x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    made = model(x)
    assert made.shape == (2, 24, 2) and torch.isfinite(made).all()
    ahead = (x[:, :24] - made).abs().mean()  # the season continues, since 96 is four of its periods
    assert ahead < 0.3
    alone = torch.cat([model(x[:1, :, 1:]), model(x[1:, :, 1:])])
    assert torch.equal(alone, made[..., 1:])


def test_whole_series_are_read_on_m4(root) -> None:
    section = {"datasets": {"M4-Hourly": {"context": 96, "horizons": [48]}}, "methods": ["auto-theta"]}
    runs = make_matrix(config(root, section, name="short_term"), root=root).experiment("short_term")
    [run] = [run for run in runs if run.variant == "auto-theta"]
    assert reads_whole_series(method_of(run.method)) and "whole_series" in step_of(run)


def test_orders_can_be_set_as_options(root, library) -> None:
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["auto-arima"]}
    given = copy.deepcopy(config(root, section, name="long_term"))
    given["methods"]["auto-arima"]["options"] = {"order": 1, "seasonal_order": 0}
    [run] = [run for run in make_matrix(given, root=root).experiment("long_term") if run.variant == "auto-arima"]
    model = build(run, backbone_folder=None).model
    assert (model.max_p, model.max_q, model.max_P, model.max_Q) == (1, 1, 0, 0) and model.approximation


def test_without_the_library_the_error_names_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with refused("AutoETS", "pip install 'timellama[statsforecast]'"):
        model_class(f"{MODULE}:AUTO_ETS")(horizon=4, season=2)


def test_a_series_that_cannot_be_fitted_is_reported(library) -> None:
    model = model_class(f"{MODULE}:AUTO_ETS")(horizon=4, season=2)
    with refused("AutoETS", "3 values", "from 1 to 3", "NotImplementedError"):
        model.of_series(np.array([1.0, 2.0, 3.0]))
