"""AdaLoRA: every step follows the schedule, ranks follow the budget, frozen weights stay, weights can be reloaded."""

import copy

import pytest
import torch

from tests.refusal import refused
from timellama.data.windows import SplitWindows
from timellama.experiments.run import Training
from timellama.methods.time_llama.adalora import AFTER, BEFORE, PENALTY_WEIGHT
from timellama.training.train import train, trainable_state

MODULES = {"llama": 2 * 7, "gpt2": 2 * 6}
RANK, FIRST = 3, 5  # the fixture's rank, and one and a half times that rank, rounded up


def values(model) -> list[torch.Tensor]:
    """The singular values of each matrix."""
    return [p for name, p in model.named_parameters() if "lora_E" in name]


def frozen(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}


def trained(model, *, steps: int, **changed):
    rows = torch.randn(60, 5, generator=torch.Generator().manual_seed(4)).cumsum(0)
    windows = SplitWindows(rows=rows, context=24, horizon=8)
    settings = {"learning_rate": 0.01, "batch_size": 4, "epochs": 99, "max_steps": steps, "patience": 99}
    return train(
        model,
        windows=windows,
        validation=windows,
        training=Training(**(settings | {"validations_per_epoch": 1, "least_validations": 1} | changed)),
        balance_weight=0.01,
        seed=0,
        device="cpu",
        precision="float32",
    )


@pytest.mark.parametrize("family", MODULES)
def test_a_new_adalora_equals_the_frozen_model(make_model, x, family):
    adapted, plain = (make_model(family, adapter=adapter).eval() for adapter in ("adalora", "none"))
    plain.load_state_dict(adapted.state_dict(), strict=False)
    torch.testing.assert_close(adapted(x), plain(x))
    assert len(values(adapted)) == MODULES[family] and all(len(e) == FIRST for e in values(adapted))


@pytest.mark.parametrize("family", MODULES)
def test_the_update_of_a_linear_layer_matches_a_hand_computed_one(make_model, family):
    model = make_model(family, adapter="adalora")
    layer = model.backbone.layers[1].linears["D"]
    width_in = 48 if family == "llama" else 128
    torch.nn.init.normal_(layer.lora_E["default"])
    x = torch.randn(2, 3, width_in)
    a, e, b = (part["default"] for part in (layer.lora_A, layer.lora_E, layer.lora_B))
    expected = layer.base_layer(x) + x @ a.T @ torch.diag(e[:, 0]) @ b.T
    torch.testing.assert_close(model.backbone.linear(1, "D", x)[0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", MODULES)
def test_training_prunes_to_the_budget_and_leaves_frozen_weights_alone(make_model, family):
    model = make_model(family, adapter="adalora")
    before = frozen(model)
    steps, ranks = 20, []
    original = model.after_step
    model.after_step = lambda **given: (
        original(**given),
        ranks.append(sum(int((e != 0).sum()) for e in values(model))),
    )
    result = trained(model, steps=steps)
    assert result.steps == steps == len(ranks)
    first, last, start, end = FIRST * MODULES[family], RANK * MODULES[family], int(BEFORE * steps), int(AFTER * steps)
    for step, rank in enumerate(ranks, start=1):
        share = max(0.0, 1 - (step - start) / (steps - end - start)) if step > start else 1.0
        assert rank == int((first - last) * share**3 + last), f"step {step}: a cubic budget (equation 12)"
    assert ranks[:start] == [first] * start and ranks[steps - end - 1 :] == [last] * (end + 1)
    assert before and all(torch.equal(p, before[name]) for name, p in model.named_parameters() if name in before)


def test_the_best_weights_are_restored_with_their_ranks(make_model, x):
    model = make_model(adapter="adalora")
    seen = []
    original = model.after_step

    def after_step(**given):
        original(**given)
        seen.append(copy.deepcopy(trainable_state(model)))

    model.after_step = after_step
    result = trained(model, steps=12, validations_per_epoch=99)
    best = seen[result.best_step - 1]
    now = trainable_state(model)
    assert now.keys() == best.keys() and all(torch.equal(now[name], best[name]) for name in now)
    again = make_model(adapter="adalora").eval()
    again.load_state_dict(now, strict=False)
    assert torch.equal(again(x), model.eval()(x)), "the saved weights are the complete result"
    assert not any("base_layer" in name or "ranknum" in name for name in now)


def test_the_penalty_matches_a_hand_computed_one(make_model):
    model = make_model(adapter="adalora")
    distances = []
    for name, p in model.named_parameters():
        if "lora_A" in name:
            distances.append((p @ p.T - torch.eye(FIRST)).square().sum().sqrt())
        elif "lora_B" in name:
            distances.append((p.T @ p - torch.eye(FIRST)).square().sum().sqrt())
    assert len(distances) == 2 * MODULES["llama"]
    torch.testing.assert_close(model.penalty(), PENALTY_WEIGHT * sum(distances) / len(distances))
    assert make_model().penalty() is None


def test_the_penalty_affects_training(make_model, monkeypatch):
    model, without = make_model(adapter="adalora"), make_model(adapter="adalora")
    monkeypatch.setattr(without, "penalty", lambda: None)
    trained(model, steps=4), trained(without, steps=4)
    with_penalty, alone = (next(p for n, p in m.named_parameters() if "lora_A" in n) for m in (model, without))
    assert not torch.equal(with_penalty, alone)


@pytest.mark.parametrize("steps", [1, 2])
def test_too_few_steps_are_refused(make_model, steps):
    with refused(steps, 3, "max_steps", error=ValueError):
        trained(make_model(adapter="adalora"), steps=steps)


def test_three_steps_are_enough(make_model):
    model = make_model(adapter="adalora")
    assert trained(model, steps=3).steps == 3
    assert sum(int((e != 0).sum()) for e in values(model)) == RANK * MODULES["llama"]


@pytest.mark.parametrize("family", MODULES)
def test_with_bfloat16_weights_the_same_parameters_train_in_float32(make_model, make_backbone, family):
    plain = make_model(family, adapter="adalora")
    half = make_model(family, adapter="adalora", backbone=make_backbone(family).bfloat16())
    trained_ones = [{n: p.dtype for n, p in m.named_parameters() if p.requires_grad} for m in (plain, half)]
    assert trained_ones[0] == trained_ones[1] and set(trained_ones[1].values()) == {torch.float32}
