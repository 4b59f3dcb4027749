"""Counted costs match real passes: operations are compared with torch's counter, sizes with the module."""

import dataclasses
import math

import pytest
import torch

from timellama.backbones.catalogue import load_backbones
from timellama.cost.backbone_shapes import PUBLISHED, BackboneShape, backbone_shape
from timellama.cost.efficiency import operations
from timellama.cost.flops import assumed, build_shape, count, one_step
from timellama.experiments.run import Backbone, Training
from timellama.methods.registry import method_of
from timellama.methods.time_llama import TimeLlamaOptions
from timellama.methods.time_llama.prompts import Statistics


@pytest.fixture(scope="module")
def shape(root) -> BackboneShape:
    return backbone_shape(load_backbones(root / "config/backbones.yaml")["tiny-llama"], blocks=2, places=[])


@pytest.fixture(scope="module")
def run_of(sample_run):
    def run_of(method: str, **changed):
        options = {"time-llm": {"features": 8, "width": 8, "prototypes": 16}}.get(method, {})
        with_backbone = method in ("time-llama", "time-llm", "gpt4ts")
        chosen = {
            "variant": method,
            "method": method,
            "options": method_of(method).options(**options),
            "context": 96,
            "horizon": 24,
            "variates": 3,
            "training": Training(batch_size=2, evaluation_batch_size=4),
            "backbone": Backbone(name="tiny-llama", blocks=2, pin="0") if with_backbone else None,
            "prompt": "a description of forty characters length" if with_backbone else None,
        }
        return dataclasses.replace(sample_run, **chosen | changed)

    return run_of


METHODS = ("time-llama", "time-llm", "gpt4ts", "patchtst", "dlinear", "itransformer", "rlinear", "timesnet")


@pytest.mark.parametrize("method", METHODS)
def test_a_counted_forecast_has_the_operations_of_a_real_one(run_of, shape, method):
    run = run_of(method)
    costs = count(run, shape=shape if run.backbone else None)
    with assumed(run):
        model = build_shape(run, shape=shape if run.backbone else None, device="cpu").eval()
        x = torch.randn(4, run.context, run.variates)
        with torch.no_grad():
            flops, _ = operations(lambda: model.forecast(x))
    assert costs.forecast.flops == flops > 0
    assert costs.step.flops > costs.forecast.flops / 4
    assert costs.trained == sum(p.numel() for p in model.parameters() if p.requires_grad) > 0
    kept = [*(p for p in model.parameters() if not p.requires_grad), *model.buffers()]
    assert costs.frozen == sum(each.numel() for each in kept)


@pytest.mark.parametrize("method", ("dlinear", "patchtst", "time-llama"))
def test_a_counted_step_has_the_operations_of_a_real_one(run_of, shape, method):
    """The two are equal without attention's backward pass, which the CPU's kernel hides from torch's counter."""
    run = run_of(method)
    if method == "time-llama":
        run = dataclasses.replace(
            run, options=TimeLlamaOptions(blocks="none", adapter="none", positions="none", alignment="none")
        )
    model = build_shape(run, shape=shape if run.backbone else None, device="cpu").train()
    x, y = torch.randn(2, run.context, run.variates), torch.randn(2, run.horizon, run.variates)
    flops, _ = operations(lambda: one_step(run, model, x, y))
    counted = count(run, shape=shape if run.backbone else None).step.flops
    if method == "patchtst":
        assert 0.85 < flops / counted <= 1
    else:
        assert counted == flops > 0


def test_costs_of_one_linear_layer_match_hand_computed_values(run_of):
    """RLinear: [B N, T] times [T, H], forward 2 B N T H; backward the same again, for the weight only."""
    costs = count(run_of("rlinear"), shape=None)
    assert costs.forecast.flops == 2 * 4 * 3 * 96 * 24
    assert costs.trained == 96 * 24 + 24 and costs.frozen == 0
    assert costs.step.flops >= 2 * (2 * 2 * 3 * 96 * 24)


def test_memory_grows_with_the_batch_and_counts_what_lives_at_once(run_of):
    small, large = (
        count(run_of("dlinear", training=Training(batch_size=b, evaluation_batch_size=4)), shape=None) for b in (2, 16)
    )
    assert large.forecast == small.forecast
    values = 96 * 3 * 4  # bytes of one copy of a window
    assert values < (large.step.bytes - small.step.bytes) / 14 < 8 * values


@pytest.mark.parametrize("method", METHODS)
def test_memory_grows_with_the_variates_at_most_as_the_sweep_extrapolates(run_of, shape, method):
    """From one number of variates to twice as many, both large enough to dominate what is alive."""
    once, twice = (
        count(run_of(method, variates=n), shape=shape if run_of(method).backbone else None).step.bytes
        for n in (120, 240)
    )
    power = method_of(method).power
    assert twice / once < 1.15 * 2**power
    assert twice / once > 1.5 or power == 0  # attention over variates does not write its scores out: 2, not 4


def test_time_llms_prompts_count_with_their_length(run_of, shape):
    short, long = (count(run_of("time-llm", prompt="." * n), shape=shape).forecast.flops for n in (40, 440))
    assert long > short
    assert math.ceil((40 + Statistics.extra) / 4) == 48


def test_backbones_of_the_catalogue_have_their_published_sizes(root):
    """Parameters of whole models as their publishers state them, in billions."""
    billions = {
        "Llama-2-7B": 6.738,
        "Llama-7B": 6.738,
        "Llama-3.2-1B": 1.236,
        "Gemma-2B": 2.506,
        "GPT-2-large": 0.774,
        "GPT-2": 0.1244,
        "Qwen2.5-0.5B": 0.494,
        "SmolLM2-135M": 0.1345,
    }
    entries = load_backbones(root / "config/backbones.yaml")
    assert set(billions) == set(PUBLISHED) == {n for n, e in entries.items() if e.kind in ("hub", "gguf")}
    for name, expected in billions.items():
        found = backbone_shape(entries[name], blocks=entries[name].blocks, places=[])
        tables = 2 if name in ("Llama-2-7B", "Llama-7B") else 1
        numbers = sum(math.prod(size) for size in found.tensors.values()) + tables * found.vocabulary * found.width
        assert numbers / 1e9 == pytest.approx(expected, rel=2e-3), name
