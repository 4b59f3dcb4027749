"""The value of `compile` for each run, decided when planning, and what the records of methods say about their steps."""

from contextlib import nullcontext
from unittest import mock

import pytest
import torch
import yaml

from tests.refusal import refused
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.flops import build_shape, one_step
from timellama.experiments import compiling
from timellama.experiments.matrix import make_matrix
from timellama.experiments.run import Run
from timellama.methods.registry import every_method, method_of
from timellama.methods.series_method import reads_whole_series
from timellama.methods.time_llama.statistics_prompt import StatisticsPrompt

METHODS = [name for name, each in every_method().items() if each.trains and not reads_whole_series(each)]
READ_BACK = {"timesnet", "time-llm"}
STEPS = compiling.LEAST_STEPS


def planned(root, **changed) -> dict[str, Run]:
    """The runs of all methods on the generated data set, by variant, with 100 steps and DLinear with one fewer."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {
        "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
        "methods": [*METHODS, "time-llama-prompt-statistics", "time-llama-5"],
        "overrides": {"time-llm": {"options": {"features": 16}}},  # the tiny language model is 32 wide
    }
    # A Llama, since GPT-2 has six modules per block and the paper seven.
    config |= {"backbones": [{"name": "tiny-llama", "blocks": 2, "rank": 4}], "seeds": [0]}
    config |= {"training": {"max_steps": STEPS, "batch_size": 4}, "experiments": {"long_term": section}}
    config["overrides"] = {"dlinear": {"training": {"max_steps": STEPS - 1}}}
    for name, override in changed.pop("overrides", {}).items():
        config["overrides"].setdefault(name, {}).update(override)
    return {run.variant: run for run in make_matrix(config | changed, root=root).every_run().values()}


def test_off_is_the_default_and_leaves_identities_unchanged(root):
    plain, off = planned(root), planned(root, compile="off")
    assert {name: run.folder for name, run in plain.items()} == {name: run.folder for name, run in off.items()}
    assert all(run.compiled == "off" and "compiled" not in run.to_json() for run in plain.values())
    # YAML reads an unquoted `off` as false.
    assert planned(root, compile=False) == off


def test_on_cuda_a_step_is_a_graph_unless_the_method_reads_numbers_back(root):
    plain, on = planned(root), planned(root, compile="on", device="cuda")
    untrained = {name for name, run in plain.items() if run.training is None}
    eager = READ_BACK | {"time-llama-prompt-statistics"} | untrained
    assert {name for name, run in on.items() if run.compiled == "off"} == eager
    assert {run.compiled for name, run in on.items() if name not in eager} == {"graph"}
    assert on["dlinear"].digest != planned(root, device="cuda")["dlinear"].digest
    assert Run.from_json(on["dlinear"].to_json()) == on["dlinear"] and plain["dlinear"].compiled == "off"


def test_auto_is_a_graph_from_the_minimum_number_of_steps_and_off_on_a_cpu(root):
    auto = planned(root, compile="auto", device="cuda")
    assert auto["time-llama"].compiled == "graph" and auto["dlinear"].compiled == "off"
    assert {run.compiled for run in planned(root, compile="auto", device="cpu").values()} == {"off"}


def test_an_override_may_set_compile_for_a_single_method(root):
    own = planned(root, compile="on", device="cuda", overrides={"patchtst": {"compile": False}})
    assert own["patchtst"].compiled == "off" and own["time-llama"].compiled == "graph"


def test_on_without_a_compiler_is_one_error_message(root, monkeypatch):
    assert planned(root, compile=True, device="cpu")["timesnet"].compiled == "inductor"
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    with refused("compile", "'on'", "g++", "'off'"):
        planned(root, compile="on", device="cpu")


@pytest.mark.parametrize("name", [*METHODS, "time-llama-5"])
def test_a_step_reads_numbers_back_if_and_only_if_the_record_says_so(root, name):
    """Tensors on torch's meta device hold no numbers, so reading one back fails."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    run = planned(root)[name]
    shape = None
    if run.backbone:
        entry = make_matrix(config, root=root).backbones[run.backbone.name]
        shape = backbone_shape(entry, blocks=run.backbone.blocks, places=[])
    without = {"autocast": lambda *_, **__: nullcontext(), "is_autocast_enabled": lambda *_: False}  # meta has none
    with mock.patch.multiple("torch", **without):
        model = build_shape(run, shape=shape, device="meta").train()
        x, y = (torch.randn(4, rows, run.variates, device="meta") for rows in (run.context, run.horizon))
        try:
            one_step(run, model, x, y)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            reads = False
        except (RuntimeError, NotImplementedError) as error:
            assert "meta" in str(error).lower(), error
            reads = True
    assert reads == method_of(run.method).has_read_back(run.options)


def test_a_prompt_per_sample_reads_numbers_back():
    tokenise = lambda text: list(text.encode())  # noqa: E731
    table = torch.zeros(256, 4, device="meta")
    prompt = StatisticsPrompt(context=24, description="It.", tokenise=tokenise, embedding_table=table, scale=1.0)
    with pytest.raises((RuntimeError, NotImplementedError)):  # meta tensors hold no numbers
        prompt(torch.randn(2, 24, 3, device="meta"))
