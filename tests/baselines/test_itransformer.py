"""iTransformer against its equations, its parameter counts, and what attention between variates promises."""

import pytest
import torch
import torch.nn.functional as F

from tests.refusal import refused
from timellama.methods.itransformer.network import ITransformer

SMALL = {"width": 8, "layers": 2, "heads": 2, "feed_forward": 12, "dropout": 0.1}


def small() -> ITransformer:
    return ITransformer(context=24, horizon=6, calendar=0, **SMALL).eval()


def by_the_equations(model, x):
    """Equation 1 of the paper with attention, feed-forward and norms written out."""
    mean, variance = x.mean(1), x.var(1, correction=0)
    x = ((x - mean[:, None]) / (variance[:, None] + 1e-5).sqrt()).transpose(1, 2)
    h = x @ model.embed[0].weight.T + model.embed[0].bias
    for layer in model.layers:
        attention = layer.self_attn
        q, k, v = (h @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, dim=-1)
        heads = []
        for columns in torch.arange(8).chunk(2):
            scores = q[..., columns] @ k[..., columns].transpose(1, 2) / 4**0.5
            heads.append(scores.softmax(-1) @ v[..., columns])
        mixed = torch.cat(heads, -1) @ attention.out_proj.weight.T + attention.out_proj.bias
        h = F.layer_norm(h + mixed, (8,), layer.norm1.weight, layer.norm1.bias)
        fed = F.gelu(h @ layer.linear1.weight.T + layer.linear1.bias) @ layer.linear2.weight.T + layer.linear2.bias
        h = F.layer_norm(h + fed, (8,), layer.norm2.weight, layer.norm2.bias)
    h = F.layer_norm(h, (8,), model.norm.weight, model.norm.bias)
    y = (h @ model.project.weight.T + model.project.bias).transpose(1, 2)
    return y * (variance[:, None] + 1e-5).sqrt() + mean[:, None]


def test_forward_follows_the_equations():
    model, x = small(), torch.randn(3, 24, 5)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    with torch.no_grad():  # covers the fused kernels that torch uses here, too
        torch.testing.assert_close(model(x), by_the_equations(model, x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model(x), by_the_equations(model, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("context", "width", "layers", "feed_forward"), [(96, 256, 2, 256), (96, 512, 4, 512), (512, 128, 2, 128)]
)
def test_parameter_count_in_the_published_settings(checks, context, width, layers, feed_forward):
    attention = 4 * (width * width + width)
    feed = width * feed_forward + feed_forward + feed_forward * width + width
    expected = context * width + width + layers * (attention + feed + 4 * width) + 2 * width + width * 96 + 96
    settings = {"width": width, "layers": layers, "heads": 8, "feed_forward": feed_forward, "dropout": 0.1}
    assert checks.trained_count(ITransformer(context=context, horizon=96, calendar=0, **settings)) == expected


def test_variates_are_mixed_regardless_of_their_order(checks):
    model, x = small(), torch.randn(5, 24, 4)
    assert model(x).shape == (5, 6, 4)
    assert checks.variates_that_change(model, x) == {0, 1, 2, 3}
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(x[..., order]), model(x)[..., order])


def test_scale_is_kept_the_batch_is_ignored_and_gradients_arrive(checks):
    model, x = small(), torch.randn(5, 24, 4)
    checks.forecasts_keep_scale(model, x, tolerance=1e-3)
    checks.forecasts_ignore_the_batch(model, x)
    checks.gradient_reaches(model, x)


def test_the_same_weights_accept_any_number_of_variates():
    model = small()
    assert model(torch.randn(1, 24, 1)).shape == (1, 6, 1)
    assert model(torch.randn(1, 24, 9)).shape == (1, 6, 9)


def test_layers_start_from_different_weights():
    first, second = small().layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_heads_that_do_not_divide_the_width_are_refused():
    with refused("width", SMALL["width"], "heads", 3):
        ITransformer(context=24, horizon=6, calendar=0, **(SMALL | {"heads": 3}))
