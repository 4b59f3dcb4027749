"""Equations 1, 7 and 9 to 11: LoRA, gates, router, balance loss."""

import pytest
import torch

from tests.refusal import refused
from timellama.methods.time_llama.dynamic_lora import BlockAdapter, LoRA, Router, Routing, balance_loss


def router(**changed) -> Router:
    torch.manual_seed(0)
    options = {"active": 2, "activation": "tanh", "pooling": "last", "gate_gradient": "literal"}
    return Router(**({"width": 6, "experts": 4} | options | changed))


def test_lora_starts_at_zero_so_training_starts_from_the_frozen_model():
    lora = LoRA(width_in=3, width_out=2, rank=2)
    assert lora.a.shape == (3, 2) and lora.a.abs().max() > 0
    assert lora.b.shape == (2, 2) and lora.b.abs().max() == 0


def test_gates_choose_the_n_most_probable_modules_per_sample():
    route = router()
    h = torch.randn(5, 3, 6)
    p, gates = route(h)
    by_hand = torch.softmax(torch.tanh(h[:, -1]) @ route.weight.weight.T, dim=-1)
    torch.testing.assert_close(p, by_hand)
    for row, gate in zip(by_hand, gates, strict=True):
        assert set(gate.nonzero().flatten().tolist()) == set(row.argsort(descending=True)[:2].tolist())
    assert len({tuple(g.tolist()) for g in gates}) > 1, "the decision is per sample"


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("last", lambda h: h[:, -1]),
        ("first", lambda h: h[:, 0]),
        ("mean", lambda h: h.mean(1)),
        ("max", lambda h: h.max(1).values),
    ],
)
def test_each_pooling_matches_its_definition(pooling, pool):
    h = torch.randn(5, 3, 6)
    route = router(pooling=pooling)
    torch.testing.assert_close(route(h).probabilities, torch.softmax(route.weight(torch.tanh(pool(h))), dim=-1))


def test_literal_gate_gives_the_router_no_gradient_from_the_forecast():
    route = router(gate_gradient="literal")
    _, gates = route(torch.randn(5, 3, 6))
    assert not gates.requires_grad


def test_straight_through_is_binary_forward_and_p_backward():
    route, h = router(gate_gradient="straight-through"), torch.randn(5, 3, 6)
    weights = torch.randn(5, 4)
    p, gates = route(h)
    assert set(gates.detach().round(decimals=6).unique().tolist()) == {0.0, 1.0}
    (gates * weights).sum().backward()
    ours = route.weight.weight.grad.clone()
    route.zero_grad()
    (route(h).probabilities * weights).sum().backward()
    torch.testing.assert_close(ours, route.weight.weight.grad)


def test_the_scaled_gate_is_e_times_p_for_the_chosen_modules():
    p, gates = router(gate_gradient="scaled")(torch.randn(5, 3, 6))
    torch.testing.assert_close(gates, torch.where(gates > 0, p * 4, 0.0))
    assert (gates > 0).sum(dim=1).tolist() == [2] * 5
    uniform = router(gate_gradient="scaled")
    torch.nn.init.zeros_(uniform.weight.weight)
    torch.testing.assert_close(uniform(torch.randn(5, 3, 6)).gates.sum(dim=1), torch.full((5,), 2.0))


def test_the_balance_loss_matches_a_hand_computed_one():
    p = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]])
    # f = (3/4, 1/4, 0), pbar = (1.9, 1.6, 0.5) / 4.
    expected = 3 * (0.75 * 0.475 + 0.25 * 0.4)
    gates = torch.zeros(4, 3)
    torch.testing.assert_close(balance_loss([Routing(p, gates)]), torch.tensor(expected))
    torch.testing.assert_close(balance_loss([Routing(p, gates)] * 2), torch.tensor(2 * expected))
    even = torch.full((4, 3), 1 / 3)
    torch.testing.assert_close(balance_loss([Routing(even, gates)]), torch.tensor(1.0))


def test_a_static_adapter_has_every_gate_at_one_and_the_same_code_path():
    torch.manual_seed(0)
    sizes = {"Q": (6, 6), "K": (6, 2), "V": (6, 2)}
    adapter = BlockAdapter(sizes=sizes, rank=2, router=None)
    for lora in adapter.lora.values():
        torch.nn.init.normal_(lora.b)
    x = torch.randn(2, 3, 6)
    p, gates = adapter.route(x)
    assert torch.equal(gates, torch.ones(2, 3)) and torch.allclose(p.sum(dim=1), torch.ones(2))
    frozen = tuple(torch.randn(6, out) for _, out in sizes.values())
    outputs = adapter("QKV", x, (frozen, (None, None, None)), gates)
    for name, weight, after in zip(sizes, frozen, outputs, strict=True):
        torch.testing.assert_close(after, x @ weight + x @ adapter.lora[name].a @ adapter.lora[name].b)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"active": 5}, ("active", 5, 1, 4)),
        ({"active": 0}, ("active", 0, 1, 4)),
        ({"pooling": "median"}, ("pooling", "'median'", "mean", "max", "last")),
        ({"activation": "swish"}, ("router_activation", "'swish'", "gelu", "tanh")),
        ({"gate_gradient": "magic"}, ("gate_gradient", "'magic'", "literal")),
    ],
)
def test_impossible_options_are_refused(changed, named):
    with refused(*named, error=ValueError):
        router(**changed)
