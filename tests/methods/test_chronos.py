"""Chronos models as methods that train nothing: parity with the library, and the pin of their files."""

import json
import shutil
import sys
from importlib.util import find_spec

import pytest
import torch
import yaml

from tests import made_up
from tests.methods import tiny_chronos
from tests.refusal import refused
from timellama.experiments.matrix import make_matrix
from timellama.methods.plugins import chronos
from timellama.methods.registry import trains

needs_library = pytest.mark.skipif(find_spec("chronos") is None, reason="needs the extra chronos")
PLACE = "timellama.methods.plugins.chronos:METHOD"
NO_PIN = "0" * 64


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict:
    """A folder for each kind of model."""
    base = tmp_path_factory.mktemp("chronos")
    return {name: tiny_chronos.saved(name, base) for name in tiny_chronos.MODELS}


def network(folder, horizon: int = 40):
    return chronos.network(horizon=horizon, model=str(folder), pin=chronos.digest_of(folder)).eval()


def windows(batch: int = 3, variates: int = 4) -> torch.Tensor:
    return torch.randn(batch, 96, variates, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)


@needs_library
@pytest.mark.parametrize("horizon", [12, 40])
@pytest.mark.parametrize("name", tiny_chronos.MODELS)
def test_the_forecast_equals_the_librarys_own_median(folders, name, horizon):
    """40 steps are more than any of the three models forecasts at once."""
    from chronos import BaseChronosPipeline

    pipeline = BaseChronosPipeline.from_pretrained(folders[name], dtype=torch.float32)
    x = windows()
    series = [x[window, :, variate] for window in range(3) for variate in range(4)]
    torch.manual_seed(0)
    quantiles, _ = pipeline.predict_quantiles(series, prediction_length=horizon, quantile_levels=[0.1, 0.5, 0.9])
    theirs = torch.stack([each.squeeze(0)[:, 1] for each in quantiles]).view(3, 4, horizon).transpose(1, 2)
    with torch.inference_mode():
        ours = network(folders[name], horizon)(x)
    assert ours.shape == (3, horizon, 4) and ours.std() > 1e-3
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


@needs_library
@pytest.mark.parametrize("name", ["bolt", "chronos-2"])
def test_each_variate_of_each_window_is_forecast_independently(folders, name, monkeypatch):
    x, model = windows(), network(folders[name])
    with torch.inference_mode():
        whole = model(x)
        each = [model(variate) for window in x.split(1) for variate in window.split(1, dim=2)]
        monkeypatch.setattr(chronos, "SERIES", 5)
        in_parts = model(x)
    alone = torch.cat(each).view(3, 4, 40).transpose(1, 2)
    torch.testing.assert_close(alone, whole, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(in_parts, whole, atol=1e-3, rtol=1e-4)


@needs_library
def test_samples_are_reproducible_and_do_not_disturb_the_runs_random_state(folders):
    x, model = windows(), network(folders["t5"])
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    with torch.inference_mode():
        first = model(x)
        assert torch.equal(torch.rand(1), expected)
        torch.testing.assert_close(model(x), first, atol=0, rtol=0)


@needs_library
def test_nothing_is_trained(folders):
    model = network(folders["bolt"])
    assert list(model.parameters()) and not any(parameter.requires_grad for parameter in model.parameters())
    assert not trains(PLACE) and trains("dlinear") and trains("nowhere_at_all:Method")


@needs_library
@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "more.json"])
def test_an_edit_of_the_folder_is_refused_and_changes_the_digest(folders, tmp_path, file):
    copy = shutil.copytree(folders["bolt"], tmp_path / "bolt")
    pin = chronos.digest_of(copy)
    assert pin == chronos.digest_of(folders["bolt"])
    with (copy / file).open("ab") as opened:
        opened.write(b" ")
    with refused(copy, pin, chronos.digest_of(copy)):
        chronos.network(horizon=12, model=str(copy), pin=pin)


@needs_library
@pytest.mark.parametrize("kept", ["config.json", "model.safetensors"])
def test_a_folder_without_a_complete_model_is_refused(folders, tmp_path, kept):
    (tmp_path / "half").mkdir()
    shutil.copy(folders["bolt"] / kept, tmp_path / "half")
    with refused(tmp_path / "half", "config.json", "model.safetensors"):
        network(tmp_path / "half")


@needs_library
def test_a_pickle_is_refused(folders, tmp_path):
    copy = shutil.copytree(folders["bolt"], tmp_path / "bolt")
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with refused(copy, "model.safetensors"):
        network(copy)


@needs_library
def test_code_that_comes_with_a_model_is_not_executed(folders, tmp_path):
    copy = shutil.copytree(folders["bolt"], tmp_path / "bolt")
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Config"}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "theirs.py").write_text("raise SystemExit('ran')\n")
    with refused(copy, "config.json"):
        network(copy)


@needs_library
def test_an_absent_model_is_reported(tmp_path):
    with refused(tmp_path / "absent"):
        chronos.network(horizon=12, model=str(tmp_path / "absent"), pin=NO_PIN)


@needs_library
def test_only_the_needed_files_of_a_commit_are_fetched_from_the_hub(folders, monkeypatch):
    import huggingface_hub

    asked = {}

    def fetched(model, **given):
        asked.update(given, model=model)
        return str(folders["bolt"])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    commit, hub = "a" * 40, "amazon/chronos-bolt-tiny"
    pin = f"{commit}-{chronos.digest_of(folders['bolt'])}"
    assert chronos.network(horizon=12, model=hub, pin=pin)(windows()).shape == (3, 12, 4)
    assert asked == {
        "model": hub,
        "revision": commit,
        "allow_patterns": ["*.json", "*.safetensors"],
    }

    with refused(f"{commit}-{NO_PIN}", pin):
        chronos.network(horizon=12, model=hub, pin=f"{commit}-{NO_PIN}")

    def fails(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with refused(commit, "no network", f"hf download {hub} --revision {commit}"):
        chronos.network(horizon=12, model=hub, pin=pin)


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "chronos", None)
    with refused("anything", "pip install 'timellama[chronos]'"):
        chronos.network(horizon=12, model="anything", pin=NO_PIN)


def test_the_pin_is_part_of_the_identity_and_the_seed_is_not(root):
    def runs(pin: str) -> list[str]:
        config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
        entry = made_up.METHOD | {"label": "C", "method": PLACE, "options": {"model": "a", "pin": pin}, "training": {}}
        section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["chronos"]}
        given = {"methods": {"chronos": entry}, "experiments": {"long_term": section}, "seeds": [3, 4]}
        found = make_matrix(config | given, root=root).every_run()
        return [folder for folder, run in found.items() if run.variant == "chronos"]

    [first], [second] = runs("0" * 64), runs("1" * 64)
    assert first != second
    with refused("smoke", "chronos.options.pin", "'main'"):
        runs("main")
