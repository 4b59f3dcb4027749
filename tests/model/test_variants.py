"""Each variant written out: the prefix, the mixture of experts, the replacement of the blocks, what is trained."""

import math

import pytest
import torch

from tests.refusal import refused
from timellama.methods.time_llama.attention import AttentionLayer
from timellama.methods.time_llama.dynamic_lora import BlockAdapter
from timellama.methods.time_llama.mixture import Mixture
from timellama.methods.time_llama.tokens import instance_normalise

WITHOUT_BLOCKS = {"adapter": "none", "positions": "none"}
PAIRS = [(32, 32), (32, 16), (32, 16), (32, 32), (32, 48), (32, 48), (48, 32)]  # the tiny Llama's modules
EMBED, ALIGN, HEAD = 24 * 32 + 32, 5 * 32 * 32 + 32, 32 * 8 + 8
STATIC = sum(3 * (i + o) for i, o in PAIRS)
COUNTS = {
    "prefix": ({"alignment": "prefix"}, EMBED + HEAD + 2 * (STATIC + 32 * 7)),
    "no alignment": ({"alignment": "none"}, EMBED + HEAD + 2 * (STATIC + 32 * 7)),
    "frozen": ({"adapter": "none"}, EMBED + ALIGN + HEAD),
    "static": ({"adapter": "static"}, EMBED + ALIGN + HEAD + 2 * STATIC),
    "moelora": ({"adapter": "moelora"}, EMBED + ALIGN + HEAD + 2 * (STATIC + 32 * 7 * 3)),
    "adalora": ({"adapter": "adalora"}, EMBED + ALIGN + HEAD + 2 * sum(5 * (i + o + 1) for i, o in PAIRS)),
    "attention": ({"blocks": "attention", **WITHOUT_BLOCKS}, EMBED + ALIGN + HEAD + 4 * 32 * 32 + 2 * 32),
    "nothing": ({"blocks": "none", **WITHOUT_BLOCKS}, EMBED + ALIGN + HEAD),
    # Two norms per block and the last one, as well as the linear layers.
    "trained": (
        {"train_backbone": True},
        EMBED + ALIGN + HEAD + 2 * (STATIC + 32 * 7) + 2 * sum(i * o for i, o in PAIRS) + 5 * 32,
    ),
}


def wake(model) -> None:
    """Gives every W^B nonzero values, so that the adapters have an effect."""
    torch.manual_seed(3)
    for adapter in model.adapters:
        for lora in adapter.lora.values():
            torch.nn.init.normal_(lora.b, std=0.2)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_match_the_formula(make_model, name):
    changed, expected = COUNTS[name]
    model = make_model(**changed)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == expected


@pytest.mark.parametrize("name", COUNTS)
def test_gradients_reach_every_trainable_parameter_and_no_frozen_one(make_model, x, name):
    model = make_model(gate_gradient="straight-through", active=7, **COUNTS[name][0])
    wake(model)
    for parameter_name, parameter in model.named_parameters():
        if "lora_E" in parameter_name:
            torch.nn.init.normal_(parameter)
    forecast = model.forecast(x)
    loss = forecast.values.square().mean() + (forecast.balance if forecast.balance is not None else 0)
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        reached = parameter.grad is not None and parameter.grad.abs().max() > 0
        assert reached == parameter.requires_grad, parameter_name


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_a_prefix_is_the_prompt_concatenated_before_the_variates(make_model, x, family, attention):
    model = make_model(family, alignment="prefix", attention=attention, adapter="none").eval()
    normal = instance_normalise(x)
    sequence = torch.cat([model.prompt.expand(3, 5, 32), model.embed(normal.values)], dim=1)
    h = model.backbone(sequence, causal=attention == "causal")
    torch.testing.assert_close(model(x), normal.undo(model.head(h[:, 5:]).transpose(1, 2)))
    assert (model(x) - make_model(family, alignment="none", attention=attention, adapter="none")(x)).abs().max() > 1e-3


@pytest.mark.parametrize("pooling", ["first", "mean", "max", "last"])
def test_the_router_pools_the_variates_and_not_the_prefix(make_model, x, pooling):
    model = make_model(alignment="prefix", pooling=pooling).eval()
    pooled = []
    for adapter in model.adapters:
        adapter.router.register_forward_hook(lambda _, given, __: pooled.append(given[0]))
    model(x)
    assert [h.shape for h in pooled] == [(3, 5, 32)] * 2
    torch.testing.assert_close(pooled[0], model.embed(instance_normalise(x).values))


def test_an_empty_prefix_equals_no_prefix(make_model, x):
    empty, none = (make_model(alignment=a, prompt=torch.zeros(0, 32)).eval() for a in ("prefix", "none"))
    torch.testing.assert_close(empty(x), none(x), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("alignment", ["cross-attention", "prefix", "none"])
def test_without_mask_and_positions_the_variates_have_no_order(make_model, x, alignment):
    order = torch.tensor([3, 1, 4, 0, 2])
    model = make_model(alignment=alignment, attention="bidirectional", positions="none", pooling="mean").eval()
    wake(model)
    torch.testing.assert_close(model(x[:, :, order]), model(x)[:, :, order], atol=1e-5, rtol=1e-5)


def mixture(**changed) -> Mixture:
    torch.manual_seed(0)
    options = {"width": 6, "modules": 3, "rank": 4, "mixture_experts": 2, "activation": "tanh", "pooling": "last"}
    return Mixture(**(options | changed))


def test_a_mixture_is_the_weighted_sum_over_its_experts():
    gate, h, x = mixture(), torch.randn(2, 5, 6), torch.randn(2, 5, 6)
    sizes = {"Q": (6, 6), "K": (6, 2), "V": (6, 2)}
    adapter = BlockAdapter(sizes=sizes, rank=4, router=gate)
    for lora in adapter.lora.values():
        torch.nn.init.normal_(lora.b)
    frozen = tuple(torch.randn(6, out) for _, out in sizes.values())
    outputs = adapter("QKV", x, (frozen, (None, None, None)), adapter.route(h).gates)
    for index, name in enumerate(sizes):
        weights = torch.softmax(torch.tanh(h[:, -1]) @ gate.weight.weight[2 * index : 2 * index + 2].T, dim=-1)
        expected, lora = x @ frozen[index], adapter.lora[name]
        for expert in range(2):
            ranks = slice(2 * expert, 2 * expert + 2)
            expected += weights[:, expert, None, None] * (x @ lora.a[:, ranks] @ lora.b[ranks])
        torch.testing.assert_close(outputs[index], expected)


def test_equally_weighted_experts_equal_one_lora_that_is_their_mean():
    gate, x, frozen = mixture(), torch.randn(2, 5, 6), torch.randn(6, 3)
    torch.nn.init.zeros_(gate.weight.weight)
    adapter = BlockAdapter(sizes={"O": (6, 3)}, rank=4, router=gate)
    lora = adapter.lora["O"]
    torch.nn.init.normal_(lora.b)
    [output] = adapter("O", x, ((frozen,), (None,)), gate(torch.randn(2, 5, 6)).gates)
    torch.testing.assert_close(output, x @ frozen + x @ lora.a @ lora.b / 2)


def test_a_mixture_has_no_balance_loss_and_no_router_parameters(make_model, x):
    model = make_model(adapter="moelora")
    forecast = model.forecast(x)
    assert forecast.balance is None and forecast.routings == () and model.router_parameters() == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"mixture_experts": 3}, ("mixture_experts", 3, "rank", 4)),
        ({"mixture_experts": 0}, ("mixture_experts", 0, "rank", 4)),
        ({"pooling": "median"}, ("pooling", "'median'", "mean", "last")),
        ({"activation": "swish"}, ("router_activation", "'swish'", "tanh")),
    ],
)
def test_an_impossible_mixture_is_refused(changed, named):
    with refused(*named, error=ValueError):
        mixture(**changed)


@pytest.mark.parametrize("causal", [True, False])
def test_the_attention_layer_matches_its_equations(causal):
    torch.manual_seed(0)
    layer, h = AttentionLayer(width=6, heads=2), torch.randn(2, 4, 6)
    torch.nn.init.normal_(layer.norm.weight), torch.nn.init.normal_(layer.norm.bias)
    seen = torch.ones(4, 4).tril() if causal else torch.ones(4, 4)
    heads = []
    for k in range(2):
        q, key, v = (h @ part.weight[3 * k : 3 * k + 3].T for part in (layer.query, layer.key, layer.value))
        scores = (q @ key.mT / math.sqrt(3)).masked_fill(seen == 0, -math.inf)
        heads.append(torch.softmax(scores, dim=-1) @ v)
    summed = h + torch.cat(heads, dim=-1) @ layer.output.weight.T
    deviation = (summed.var(dim=-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    expected = (summed - summed.mean(dim=-1, keepdim=True)) / deviation * layer.norm.weight + layer.norm.bias
    torch.testing.assert_close(layer(h, causal=causal), expected)
    with refused("heads", 4, "width 6", error=ValueError):
        AttentionLayer(width=6, heads=4)


def test_the_blocks_are_replaced_as_requested(make_model, x):
    normal = instance_normalise(x)
    for blocks in ("attention", "none"):
        model = make_model(blocks=blocks, **WITHOUT_BLOCKS).eval()
        h = model.align(model.embed(normal.values), model.prompt, None)
        h = model.attend(h, causal=True) if blocks == "attention" else h
        torch.testing.assert_close(model(x), normal.undo(model.head(h).transpose(1, 2)))
        assert not any(name.startswith("backbone") for name, _ in model.named_parameters())


def test_without_blocks_no_variate_affects_another(make_model, x):
    model = make_model(blocks="none", **WITHOUT_BLOCKS).eval()
    changed = x.clone()
    changed[:, :, 0] = changed[:, :, 0].flip(1)
    difference = (model(changed) - model(x)).abs().amax(dim=(0, 1))
    assert difference[0] > 1e-3 and difference[1:].max() == 0


def test_training_the_backbone_changes_all_of_its_weights_in_one_step(make_model, x):
    model = make_model(train_backbone=True)
    before = {name: p.detach().clone() for name, p in model.backbone.named_parameters()}
    model(x).square().mean().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert before and not [n for n, p in model.backbone.named_parameters() if torch.equal(p, before[n])]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"blocks": "none"}, ("blocks", "'none'", "adapter", "positions", "train_backbone false")),
        ({"blocks": "attention", "adapter": "none"}, ("blocks", "'attention'", "adapter", "positions")),
        ({"blocks": "none", "train_backbone": True, **WITHOUT_BLOCKS}, ("blocks", "'none'", "train_backbone false")),
        ({"blocks": "none", "alignment": "prefix", **WITHOUT_BLOCKS}, ("alignment", "'prefix'", "blocks", "'none'")),
        ({"blocks": "lstm"}, ("blocks", "'lstm'", "pretrained", "attention", "none")),
    ],
)
def test_contradictory_options_are_refused(make_model, changed, named):
    with refused(*named, error=ValueError):
        make_model(**changed)
