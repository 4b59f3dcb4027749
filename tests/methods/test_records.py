"""What a method's record says about it is true of its network."""

from pathlib import Path

import pytest
import torch
import yaml

from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.flops import build_shape
from timellama.experiments.matrix import make_matrix
from timellama.methods.registry import every_method
from timellama.methods.series_method import reads_whole_series

ROOT = Path(__file__).resolve().parents[2]
# Methods that read whole series have no look-back of a fixed length, and read only single series.
METHODS = [name for name, method in every_method().items() if not reads_whole_series(method)]


@pytest.fixture(scope="module")
def matrix():
    """A run of every method on the generated data set with a tiny language model."""
    config = yaml.safe_load((ROOT / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": METHODS}
    section["overrides"] = {"time-llm": {"options": {"features": 16}}}  # the tiny language model is 32 wide
    return make_matrix(config | {"seeds": [0], "experiments": {"long_term": section}}, root=ROOT)


@pytest.fixture
def built(matrix, request):
    """A method's run and its model with random weights."""
    [run] = [run for run in matrix.every_run().values() if run.variant == request.param]
    shape = None
    if run.backbone:
        shape = backbone_shape(matrix.backbones[run.backbone.name], blocks=run.backbone.blocks, places=[])
    torch.manual_seed(0)
    return run, build_shape(run, shape=shape, device="cpu").eval()


@pytest.mark.parametrize("built", METHODS, indirect=True)
def test_a_method_forecasts_each_variate_alone_if_and_only_if_its_record_says_so(built):
    run, model = built
    x = torch.randn(2, run.context, run.variates, generator=torch.Generator().manual_seed(1))
    other = x.clone()
    # Neither the first nor the last variate: Time-LlaMA's attention is causal.
    other[:, :, 1] = other[:, :, 1].flip(1) * 3
    with torch.inference_mode():
        kept = [i for i in range(run.variates) if i != 1]
        same = torch.allclose(model(other)[..., kept], model(x)[..., kept], rtol=1e-5, atol=1e-5)
    assert same == every_method()[run.method].forecasts_alone(run.options)


@pytest.mark.parametrize("built", METHODS, indirect=True)
def test_a_method_trains_if_and_only_if_it_has_something_to_train(built):
    run, model = built
    assert any(p.requires_grad for p in model.parameters()) == every_method()[run.method].trains
    assert (run.training is not None) == every_method()[run.method].trains
    assert (run.backbone is not None) == every_method()[run.method].backbone
