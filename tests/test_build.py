"""Every method builds from a plain run, takes every option it has, and maps [B, T, N] to [B, H, N]."""

import dataclasses
import inspect

import pytest
import torch
import yaml
from torch import nn

from tests.refusal import refused
from timellama.backbones.prepared import embedding_table, load_prepared, prompt_rows, tokeniser
from timellama.methods.registry import every_method, method_of
from timellama.methods.time_llama import TimeLlamaOptions
from timellama.training.build import build, model_class, weight_bytes
from timellama.training.precision import autocast

VARIANTS = {
    *(f"time-llama-{number}" for number in range(1, 7)),
    *(f"time-llama-n{number}" for number in (1, 2, 3, 5, 6, 7)),
    *(f"time-llama-{name}" for name in ("mean", "max", "first", "st", "scaled", "bi", "bi-nopos")),
    *(f"time-llama-order-{seed}" for seed in (1, 2, 3)),
    *(f"time-llama-prompt-{kind}" for kind in ("generic", "empty", "other", "shuffled", "random", "statistics")),
    *(f"time-llama-{name}" for name in ("random-frozen", "random-trained", "attention", "none")),
    *(f"time-llama-{name}" for name in ("linear", "zero-head")),
    *(f"time-llama-scale-{scale}" for scale in (5, 20, 60, 100, 300)),
}


@pytest.mark.parametrize("method", every_method())
def test_a_method_builds_and_forecasts(method, tiny, run_of):
    torch.manual_seed(0)
    model = build(run_of(method), backbone_folder=tiny).eval()
    with torch.no_grad():
        y = model(torch.randn(2, 96, 7))
    assert y.shape == (2, 24, 7) and torch.isfinite(y).all()


@pytest.mark.parametrize("method", every_method())
def test_every_option_reaches_the_constructor(method):
    options = {field.name for field in dataclasses.fields(method_of(method).options)}
    parameters = inspect.signature(model_class(method)).parameters
    of_training = {method_of(method).balance_weight, method_of(method).column_order}
    assert options - of_training <= set(parameters)
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters.values()), "no second defaults"


def test_equal_seeds_give_equal_weights(tiny, run_of):
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build(run_of("time-llama"), backbone_folder=tiny).head.weight)
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_a_method_with_a_language_model_needs_its_folder(run_of):
    with refused("'time-llama'", "'tiny-gpt2'", error=ValueError):
        build(run_of("time-llama"), backbone_folder=None)


@pytest.fixture(scope="module")
def variants(root) -> dict[str, dict]:
    """The entries of config/methods.yaml that are Time-LlaMA with other options, not with its published schedule."""
    methods = yaml.safe_load((root / "config/methods.yaml").read_text(encoding="utf-8"))
    return {
        n: e
        for n, e in methods.items()
        if e["method"] == "time-llama" and n != "time-llama" and not e.get("as_published")
    }


def test_all_variants_exist_and_differ_in_what_they_run(variants):
    assert set(variants) == VARIANTS
    seen = [(TimeLlamaOptions(**entry["options"]), str(entry.get("backbone"))) for entry in variants.values()]
    assert len(set(seen)) == len(seen) and (TimeLlamaOptions(), "None") not in seen
    assert len({entry["label"] for entry in variants.values()}) == len(variants)
    assert {n for n, e in variants.items() if "backbone" in e} == {
        "time-llama-random-frozen",
        "time-llama-random-trained",
    }


@pytest.mark.parametrize("name", sorted(VARIANTS - {"time-llama-n7"}))
def test_a_variant_builds_and_forecasts(name, variants, tiny, run_of):
    torch.manual_seed(0)
    run = run_of("time-llama", **variants[name]["options"])
    run = dataclasses.replace(run, prompt="") if run.options.prompt == "empty" else run
    model = build(run, backbone_folder=tiny).eval()
    x = torch.randn(2, 96, 7)
    with torch.no_grad():
        y = model(x)
    assert y.shape == (2, 24, 7) and torch.isfinite(y).all()


@pytest.mark.parametrize("name", [*every_method(), *sorted(VARIANTS - {"time-llama-n7"})])
def test_every_method_and_variant_forecasts_nearly_the_same_and_trains_in_bfloat16(name, variants, tiny, run_of):
    run = run_of("time-llama", **variants[name]["options"]) if name in variants else run_of(name)
    run = dataclasses.replace(run, prompt="") if getattr(run.options, "prompt", None) == "empty" else run
    x = 5 + torch.randn(2, 96, 7)
    forecasts = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = build(dataclasses.replace(run, precision=precision), backbone_folder=tiny)
        with torch.no_grad(), autocast("cpu", precision):
            forecasts.append(model.eval()(x).float())
    exact, half = forecasts
    assert (half - exact).square().mean().sqrt() < 0.1 * exact.std()
    with autocast("cpu", "bfloat16"):
        loss = model.train()(x).square().mean()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if trained:
        loss.backward()
        assert all(p.dtype == torch.float32 and torch.isfinite(p.grad).all() for p in trained if p.grad is not None)
        assert any(p.grad is not None for p in trained)


def test_the_weights_of_a_model_include_the_embedding_table_that_a_prompt_reads(tiny, run_of):
    models = [build(run_of("time-llama", prompt=kind), backbone_folder=tiny) for kind in ("descriptive", "statistics")]
    described, stated = (weight_bytes(model, precision="float32") for model in models)
    table = embedding_table(tiny).numel()
    rows = len(prompt_rows(tiny, run_of("time-llama").prompt)) * load_prepared(tiny).width
    assert stated - described == 4 * (table - rows)
    assert weight_bytes(nn.Linear(3, 2).requires_grad_(False), precision="bfloat16") == 2 * (3 * 2 + 2)


def test_gpt2_has_no_seventh_module(variants, tiny, run_of):
    with refused("active", 7, 1, 6, error=ValueError):
        build(run_of("time-llama", **variants["time-llama-n7"]["options"]), backbone_folder=tiny)


def test_each_prompt_is_what_its_kind_says(tiny, run_of):
    text = "Load of two transformers, one row an hour."
    run = dataclasses.replace(run_of("time-llama"), prompt=text)

    def prompt(kind: str, given: str = text):
        options = TimeLlamaOptions(prompt=kind)
        return build(dataclasses.replace(run, options=options, prompt=given), backbone_folder=tiny).prompt

    assert torch.equal(prompt("descriptive"), prompt_rows(tiny, text))
    assert prompt("empty", "").shape == (0, load_prepared(tiny).width)
    first, table = prompt("random"), embedding_table(tiny).float()
    torch.manual_seed(99)
    again = prompt("random")
    assert torch.equal(first, again) and first.shape == prompt_rows(tiny, text).shape
    scale = load_prepared(tiny).embedding_scale
    assert all((row == table * scale).all(dim=1).any() for row in first), "each is a row of the table"
    assert not torch.equal(first, prompt("descriptive"))
    statistics, x = prompt("statistics"), torch.randn(1, 96, 7)
    embeddings, keep = statistics(x)
    (words,) = statistics.texts(x)
    assert words.startswith(text) and keep.all() and keep.shape == (1, len(tokeniser(tiny)(words)))
    torch.testing.assert_close(embeddings[0], prompt_rows(tiny, words))
