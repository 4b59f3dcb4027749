"""The whole forward pass: the order of the equations, what is trained or frozen, which variates see each other."""

import functools

import pytest
import torch

from tests.refusal import refused
from timellama.methods.time_llama.tokens import instance_normalise


def wake(model) -> None:
    """Gives every W^B nonzero values, so that the adapters have an effect."""
    torch.manual_seed(3)
    for adapter in model.adapters:
        for lora in adapter.lora.values():
            torch.nn.init.normal_(lora.b, std=0.2)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_new_model_is_the_frozen_backbone_between_embedding_and_head(make_model, x, family):
    model = make_model(family).eval()
    normal = instance_normalise(x)
    h = model.backbone(model.align(model.embed(normal.values), model.prompt, None), causal=True)
    expected = normal.undo(model.head(h).transpose(1, 2))
    torch.testing.assert_close(model(x), expected)
    assert model(x).shape == (3, 8, 5)


@pytest.mark.parametrize("blocks", ["pretrained", "none"])
def test_scaled_tokens_enter_the_blocks_or_their_replacement(make_model, x, blocks):
    plain = {} if blocks == "pretrained" else {"blocks": "none", "adapter": "none", "positions": "none"}
    model = make_model(token_scale=20.0, **plain).eval()
    normal = instance_normalise(x)
    h = 20 * model.align(model.embed(normal.values), model.prompt, None)
    h = model.backbone(h, causal=True) if blocks == "pretrained" else h
    torch.testing.assert_close(model(x), normal.undo(model.head(h).transpose(1, 2)))


def test_a_zero_head_forecasts_the_mean_of_the_look_back(make_model, x):
    forecast = make_model(head_init="zero").eval()(x)
    torch.testing.assert_close(forecast, x.mean(dim=1, keepdim=True).expand_as(forecast))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_closed_gates_leave_the_frozen_output(make_model, x, family):
    model = make_model(family).eval()
    before = model(x)
    wake(model)
    assert (model(x) - before).abs().max() > 1e-3
    for adapter in model.adapters:
        adapter.route = functools.partial(_Closed, experts=len(adapter.lora))
    torch.testing.assert_close(model(x), before)


class _Closed(tuple):
    def __new__(cls, h, experts):
        return super().__new__(cls, (torch.full((len(h), experts), 1 / experts), torch.zeros(len(h), experts)))

    probabilities = property(lambda self: self[0])
    gates = property(lambda self: self[1])


def test_all_modules_active_equals_static_lora(make_model, x):
    dynamic, static = make_model(active=7).eval(), make_model(adapter="static").eval()
    wake(dynamic), wake(static)
    static.load_state_dict(dynamic.state_dict(), strict=False)
    torch.testing.assert_close(dynamic(x), static(x))


def test_one_optimiser_step_changes_everything_trainable_and_nothing_frozen(make_model, x):
    model = make_model(gate_gradient="straight-through", active=7)
    wake(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    forecast = model.forecast(x)
    (forecast.values.square().mean() + forecast.balance).backward()
    optimiser.step()
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    frozen = {name for name in before if name.startswith("backbone.")}
    assert changed == set(before) - frozen and frozen


def test_with_literal_gates_only_the_balance_loss_trains_the_router(make_model, x):
    for gate, receives in (("literal", False), ("straight-through", True), ("scaled", True)):
        model = make_model(gate_gradient=gate)
        wake(model)
        model(x).square().mean().backward()
        gradients = [p.grad for p in model.router_parameters()]
        assert all((g is not None and g.abs().max() > 0) == receives for g in gradients), gate
    model = make_model(gate_gradient="literal")
    model.forecast(x).balance.backward()
    assert all(p.grad.abs().max() > 0 for p in model.router_parameters())


def test_gates_depend_on_the_sample_and_not_on_the_batch(make_model, x):
    model = make_model().eval()
    wake(model)
    alone = torch.cat([model(sample[None]) for sample in x])
    torch.testing.assert_close(model(x), alone, atol=1e-5, rtol=1e-5)


def test_no_state_outlives_a_forward_pass(make_model, x):
    model = make_model().eval()
    wake(model)
    first = model(x[:1])
    model(x)
    assert torch.equal(model(x[:1]), first)


def test_shift_and_scale_of_the_input_carry_over_to_the_forecast(make_model, x):
    model = make_model().eval()
    torch.testing.assert_close(model(x * 4 + 7), model(x) * 4 + 7, atol=1e-3, rtol=1e-3)


def test_variates_have_an_order_under_causal_attention_but_not_under_bidirectional_without_positions(make_model, x):
    order = torch.tensor([3, 1, 4, 0, 2])
    free = make_model(attention="bidirectional", positions="none", pooling="mean").eval()
    wake(free)
    torch.testing.assert_close(free(x[:, :, order]), free(x)[:, :, order], atol=1e-5, rtol=1e-5)
    causal = make_model().eval()
    assert (causal(x[:, :, order]) - causal(x)[:, :, order]).abs().max() > 1e-3


def test_causal_attention_hides_later_variates(make_model, x):
    # The router pools the last token, so it is removed: only attention is under test.
    model = make_model(adapter="none").eval()
    changed = x.clone()
    changed[:, :, 4] = changed[:, :, 4].flip(1)
    torch.testing.assert_close(model(changed)[:, :, :4], model(x)[:, :, :4], atol=1e-6, rtol=1e-6)
    full = make_model(adapter="none", attention="bidirectional").eval()
    assert (full(changed) - full(x))[:, :, :4].abs().max() > 1e-5


def test_parameter_counts_match_the_formula(make_model):
    model = make_model()
    embed, align, head = 24 * 32 + 32, 5 * 32 * 32 + 32, 32 * 8 + 8
    pairs = [(32, 32), (32, 16), (32, 16), (32, 32), (32, 48), (32, 48), (48, 32)]
    per_block = sum(3 * (i + o) for i, o in pairs) + 32 * 7
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == embed + align + head + 2 * per_block
    assert len(make_model("gpt2").modules_routed) == 6


def test_without_alignment_the_prompt_has_no_effect(make_model, x):
    with_prompt, without = make_model().eval(), make_model(alignment="none").eval()
    for model, matters in ((with_prompt, True), (without, False)):
        before = model(x)
        model.prompt.add_(1.0)
        assert ((model(x) - before).abs().max() > 1e-4) == matters


@pytest.mark.parametrize(
    ("option", "value", "known"),
    [
        ("alignment", "add", ("cross-attention", "prefix", "none")),
        ("adapter", "full", ("dynamic", "none")),
        ("attention", "sparse", ("causal", "bidirectional")),
        ("positions", "random", ("backbone", "none")),
    ],
)
def test_unknown_options_are_refused(make_model, option, value, known):
    with refused(option, f"'{value}'", *known, error=ValueError):
        make_model(**{option: value})
