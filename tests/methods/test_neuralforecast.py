"""neuralforecast's networks, trained by this project: parity with the library, and a run's identity."""

import dataclasses
import importlib.metadata
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
import yaml

from tests import made_up
from tests.refusal import refused
from timellama.cost.flops import count
from timellama.cost.workload import shape_run
from timellama.experiments.matrix import make_matrix
from timellama.experiments.memory import WHOLE, pass_bytes, weight_bounds
from timellama.methods.plugins import neuralforecast
from timellama.results.digests import code_of_run

needs_library = pytest.mark.skipif(find_spec("neuralforecast") is None, reason="needs the extra neuralforecast")
PLACE = "timellama.methods.plugins.neuralforecast:METHOD"
SIZES = {"context": 48, "horizon": 12, "variates": 3}
SMALL = {"NHITS": '{"mlp_units": [[16, 16], [16, 16], [16, 16]]}', "TiDE": '{"hidden_size": 16}'}
NEEDS_MORE = ("xLSTM",)  # a package that the library itself does not install


def made(model: str, settings: str = "{}", **sizes):
    torch.manual_seed(1)
    return neuralforecast.network(model=model, settings=settings, **SIZES | sizes)


def planned(root, **options) -> dict:
    """The runs of the smoke configuration's Synthetic, with one entry that has these options, and DLinear."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    entry = made_up.METHOD | {"label": "Nixtla", "method": PLACE, "options": options}
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["nixtla", "dlinear"]}
    matrix = make_matrix(config | {"methods": {"nixtla": entry}, "experiments": {"long_term": section}}, root=root)
    return {run.variant: run for run in matrix.every_run().values()}


@needs_library
@pytest.mark.parametrize("model", ["NHITS", "TiDE", "TSMixer", "PatchTST", "LSTM"])
def test_the_forecast_equals_the_librarys_own_prediction(model):
    import numpy as np
    import pandas as pd
    from neuralforecast import NeuralForecast, models

    steps, values = 200, np.random.default_rng(0).standard_normal((200, SIZES["variates"])).astype("float32")
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"v{number}" for number in range(SIZES["variates"])], steps),
            "ds": np.tile(np.arange(steps), SIZES["variates"]),
            "y": values.T.ravel(),
        }
    )
    of_all = {"n_series": SIZES["variates"]} if getattr(models, model).MULTIVARIATE else {}
    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    theirs = getattr(models, model)(h=12, input_size=48, max_steps=2, scaler_type="identity", **of_all, **quiet)
    library = NeuralForecast(models=[theirs], freq=1)
    library.fit(frame)
    predicted = library.predict()[model].to_numpy().reshape(SIZES["variates"], 12).T

    ours = made(model).eval()
    ours.module.load_state_dict(library.models[0].state_dict())
    with torch.inference_mode():
        forecast = ours(torch.from_numpy(values[-48:])[None])[0]
    assert forecast.std() > 1e-4
    torch.testing.assert_close(forecast, torch.from_numpy(predicted), atol=1e-5, rtol=1e-5)


@needs_library
@pytest.mark.parametrize(
    "model", [name for name in (*neuralforecast.ALONE, *neuralforecast.TOGETHER) if name not in NEEDS_MORE]
)
def test_the_forecast_of_a_window_does_not_depend_on_the_others(model):
    network = made(model).eval()
    x = torch.randn(3, SIZES["context"], SIZES["variates"], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole, again = network(x), network(x)
        by_window = torch.cat([network(window) for window in x.split(1)])
        assert whole.shape == (3, SIZES["horizon"], SIZES["variates"])
        assert torch.equal(whole, again)
        torch.testing.assert_close(by_window, whole, atol=1e-4, rtol=1e-4)
        if model in neuralforecast.ALONE:
            by_variate = torch.cat([network(variate) for variate in x.split(1, dim=2)], dim=2)
            torch.testing.assert_close(by_variate, whole, atol=1e-4, rtol=1e-4)
    network.train()(x).square().mean().backward()
    assert any(parameter.grad is not None for parameter in network.parameters())


@needs_library
def test_every_network_of_the_library_is_classified():
    from neuralforecast import models

    assert set(models.__all__) == {*neuralforecast.ALONE, *neuralforecast.TOGETHER, *neuralforecast.NEEDS}
    together = {name for name in models.__all__ if getattr(getattr(models, name), "MULTIVARIATE", False)}
    assert together == set(neuralforecast.TOGETHER)


@needs_library
def test_the_weights_depend_on_the_seed():
    def weights(seed: int):
        torch.manual_seed(seed)
        network = neuralforecast.network(model="TiDE", settings=SMALL["TiDE"], **SIZES)
        return torch.cat([parameter.flatten() for parameter in network.parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


@needs_library
def test_a_batch_of_one_window_can_be_trained_on_despite_batch_normalisation():
    network = made("TSMixer", '{"ff_dim": 8}').train()
    [norm, *_] = [each for each in network.modules() if isinstance(each, torch.nn.BatchNorm1d)]
    before = norm.running_mean.clone()
    network(torch.randn(1, 48, 3)).sum().backward()
    assert torch.equal(norm.running_mean, before)
    network(torch.randn(2, 48, 3))
    assert norm.training and not torch.equal(norm.running_mean, before)
    network.eval()(torch.randn(2, 48, 3))
    assert not norm.training


@needs_library
def test_settings_reach_the_network():
    assert (
        sum(p.numel() for p in made("TiDE", SMALL["TiDE"]).parameters())
        < 25_000
        < sum(p.numel() for p in made("TiDE").parameters())
    )
    assert len(made("NHITS", '{"n_freq_downsample": [2, 1, 1]}').module.blocks) == 3


@needs_library
@pytest.mark.parametrize(
    ("model", "settings", "named"),
    [
        ("TiDE", '{"hiden_size": 16}', ("'hiden_size'", "hidden_size?")),
        ("TiDE", '{"scaler_type": "robust"}', ("'scaler_type'", "hidden_size", "layernorm")),
        ("TiDE", '{"h": 3}', ("'h'", "hidden_size", "layernorm")),
        ("LSTM", '{"recurrent": true}', ("recurrent",)),
        ("NHITS", '{"activation": "nothing"}', ("context 48", "horizon 12", 3, "activation", "'nothing'", "ReLU")),
    ],
)
def test_an_invalid_setting_is_named(model, settings, named):
    with refused(model, "settings", *named):
        made(model, settings)


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuralforecast", None)
    with refused("NHITS", "pip install 'timellama[neuralforecast]'"):
        made("NHITS")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": "NHIT"}, ("model", "'NHIT'", "NHITS?")),
        ({"model": "DeepAR"}, ("model", "'DeepAR'")),
        ({"model": "TimesNet"}, ("model", "'TimesNet'", "timesnet")),
        ({}, ("model",)),
        ({"model": "NHITS", "settings": [1]}, ("settings", [1], "key: value")),
        ({"model": "NHITS", "settings": "hidden_size"}, ("settings", "'hidden_size'", "key: value")),
    ],
)
def test_an_invalid_option_is_named_when_the_runs_are_planned(root, options, named):
    with refused("smoke", f"nixtla.options.{named[0]}", *named[1:]):
        planned(root, **options)


def test_the_identity_holds_the_settings_regardless_of_their_order(root):
    def run(**settings):
        return planned(root, model="NHITS", settings=settings)["nixtla"]

    first = run(batch_normalization=True, dropout_prob_theta=0.1)
    assert first.folder == run(dropout_prob_theta=0.1, batch_normalization=True).folder
    assert first.folder != run(batch_normalization=True).folder
    assert first == type(first).from_json(first.to_json()) and hash(first) == hash(
        type(first).from_json(first.to_json())
    )
    assert first.settled(options=dataclasses.asdict(first.options), training={}).options == first.options


def test_another_version_of_the_library_changes_the_code_digest_of_its_runs_only(root, monkeypatch):
    runs, version = planned(root, model="NHITS"), importlib.metadata.version

    def codes(of_library: str):
        monkeypatch.setattr(
            importlib.metadata, "version", lambda name: of_library if name == "neuralforecast" else version(name)
        )
        return [code_of_run(runs[name]) for name in ("nixtla", "dlinear")]

    before, after = codes("3.3.0"), codes("3.4.0")
    assert before[0] != after[0] and before[1] == after[1]


def test_planning_loads_neither_torch_nor_the_library(root):
    asked = "{'torch', 'neuralforecast', 'numpy'} & sys.modules.keys()"
    code = (
        "import sys; from timellama.methods.registry import method_of; "
        f"method_of({PLACE!r}).options(model='NHITS'); print({asked})"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@needs_library
@pytest.mark.parametrize("model", ["NHITS", "GRU", "PatchTST", "TSMixer", "iTransformer"])
def test_the_planned_memory_is_enough_for_the_counted_one(root, model):
    run = planned(root, model=model)["nixtla"]
    costs = count(shape_run(run), shape=None)
    assert costs.trained <= weight_bounds(run, width=None)[1]
    assert max(costs.step.bytes, costs.forecast.bytes) <= pass_bytes(run, width=None, fit=WHOLE)
