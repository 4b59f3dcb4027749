"""Every method builds from a plain run, takes every option it has, and maps [B, T, N] to [B, H, N]."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from timellama.build import METHODS, build, model_class
from timellama.data.backbones import load_backbones, prepare
from timellama.specs import OPTIONS, WITH_BACKBONE, Backbone, Run

# Options that training and the prompt use, not the model's constructor.
ELSEWHERE = {"time-llama": {"balance_weight", "prompt"}}


@pytest.fixture(scope="module")
def tiny(root, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("backbone") / "tiny"
    entry = load_backbones(root / "config/backbones.yaml")["tiny-gpt2"]
    prepare(entry, blocks=2, source=None, folder=folder)
    return folder


@pytest.fixture
def run_of(sample_run) -> Callable[[str], Run]:
    def make(method: str) -> Run:
        own = {"method": method, "variant": method, "options": OPTIONS[method](), "context": 96, "horizon": 24}
        own["backbone"] = Backbone(name="tiny-gpt2", blocks=2, pin="0") if method in WITH_BACKBONE else None
        return dataclasses.replace(sample_run, **own)

    return make


@pytest.mark.parametrize("method", METHODS)
def test_a_method_builds_and_forecasts(method, tiny, run_of):
    torch.manual_seed(0)
    model = build(run_of(method), backbone_folder=tiny).eval()
    with torch.no_grad():
        y = model(torch.randn(2, 96, 7))
    assert y.shape == (2, 24, 7) and torch.isfinite(y).all()


@pytest.mark.parametrize("method", METHODS)
def test_every_option_reaches_the_constructor(method):
    options = {field.name for field in dataclasses.fields(OPTIONS[method])} - ELSEWHERE.get(method, set())
    parameters = inspect.signature(model_class(method)).parameters
    assert options <= set(parameters)
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters.values()), "no second defaults"


def test_every_method_has_options_and_the_other_way_round():
    assert set(METHODS) == set(OPTIONS)


def test_equal_seeds_give_equal_weights(tiny, run_of):
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build(run_of("time-llama"), backbone_folder=tiny).head.weight)
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_a_method_with_a_language_model_needs_its_folder(run_of):
    with pytest.raises(ValueError, match="'time-llama' needs the prepared folder of backbone 'tiny-gpt2'"):
        build(run_of("time-llama"), backbone_folder=None)
