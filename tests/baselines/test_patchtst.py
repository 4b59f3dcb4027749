"""PatchTST: patches, parameter counts, and what channel independence and instance normalisation promise."""

import pytest
import torch

from tests.refusal import refused
from timellama.methods.patchtst.network import POSITION_RANGE, PatchTST

SMALL = {
    "patch_length": 8,
    "patch_stride": 4,
    "width": 8,
    "layers": 2,
    "heads": 2,
    "feed_forward": 16,
    "dropout": 0.1,
    "head_dropout": 0.0,
}
PUBLISHED = {
    "patch_length": 16,
    "patch_stride": 8,
    "width": 128,
    "layers": 3,
    "heads": 16,
    "feed_forward": 256,
    "dropout": 0.2,
    "head_dropout": 0.0,
}
ETTH1 = PUBLISHED | {"width": 16, "heads": 4, "feed_forward": 128, "dropout": 0.3}


def small() -> PatchTST:
    return PatchTST(context=33, horizon=6, **SMALL).eval()


@pytest.mark.parametrize(("context", "patches"), [(512, 64), (336, 42)])
def test_there_are_as_many_patches_as_in_the_paper(context, patches):
    """arXiv 2211.14730, section 4: PatchTST/64 reads 512 steps, PatchTST/42 reads 336."""
    network = PatchTST(context=context, horizon=96, **ETTH1).network
    assert network.model.patchifier.num_patches == patches


def test_patches_hold_the_normalised_look_back_padded_with_its_last_value():
    x = torch.randn(2, 32, 4)
    model = PatchTST(context=32, horizon=6, **SMALL).eval()
    seen = {}
    model.network.model.encoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    model(x)
    normal = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    normal = torch.cat([normal, normal[:, -1:].expand(-1, 4, -1)], dim=1)  # by one stride
    patches = torch.stack([normal[:, start : start + 8] for start in range(0, 32, 4) if start + 8 <= 36], dim=1)
    torch.testing.assert_close(seen["patch_input"], patches.permute(0, 3, 1, 2).flatten(0, 1)[:, None])


@pytest.mark.parametrize("settings", [PUBLISHED, ETTH1])
def test_parameter_count_in_the_published_settings(settings, checks):
    width, feed_forward, patches, horizon = settings["width"], settings["feed_forward"], 42, 96
    embedding = 16 * width + width + patches * width
    attention = 4 * (width * width + width)
    feed = width * feed_forward + feed_forward + feed_forward * width + width
    norms = 2 * 2 * width
    head = patches * width * horizon + horizon
    model = PatchTST(context=336, horizon=horizon, **settings)
    assert checks.trained_count(model) == embedding + settings["layers"] * (attention + feed + norms) + head


def test_forward_follows_the_reference_without_residual_scores():
    """Section 3.1 with the encoder layer written out: attention, add, batch norm, feed-forward, add, batch norm."""
    model, x = small(), torch.randn(2, 33, 4)
    network, encoder = model.network, model.network.model.encoder
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    for layer in encoder.layers:
        for norm in (layer.norm_sublayer1, layer.norm_sublayer3):
            torch.nn.init.normal_(norm.batchnorm.running_mean)
            torch.nn.init.uniform_(norm.batchnorm.running_var, 0.5, 2)

    def batch_norm(h, norm):
        norm = norm.batchnorm
        return (h - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias

    mean, deviation = x.mean(1, keepdim=True), (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    series = ((x - mean) / deviation).transpose(1, 2)
    series = torch.cat([series, series[..., -1:].expand(-1, -1, 4)], dim=2)
    # 37 steps hold 8 patches, one every 4 steps; the one step left over is the oldest.
    patches = torch.stack([series[..., start : start + 8] for start in range(1, 30, 4)], dim=2)
    h = encoder.embedder.input_embedding(patches) + encoder.positional_encoder.position_enc
    for layer in encoder.layers:
        attention = layer.self_attn
        q, k, v = attention.q_proj(h), attention.k_proj(h), attention.v_proj(h)
        heads = [
            (q[..., part] @ k[..., part].transpose(-1, -2) / 4**0.5).softmax(-1) @ v[..., part]
            for part in torch.arange(8).chunk(2)
        ]
        h = batch_norm(h + attention.out_proj(torch.cat(heads, -1)), layer.norm_sublayer1)
        fed = layer.ff[3](torch.nn.functional.gelu(layer.ff[0](h)))
        h = batch_norm(h + fed, layer.norm_sublayer3)
    y = network.head.projection(h.flatten(2)).transpose(1, 2) * deviation + mean
    with torch.no_grad():
        torch.testing.assert_close(model(x), y, rtol=1e-4, atol=1e-4)


def test_dropout_is_applied_to_positions_and_sublayers_but_not_to_attention_weights():
    network = PatchTST(context=33, horizon=6, **(SMALL | {"head_dropout": 0.25})).network
    rates = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    assert sorted(rates) == [0.1] * (1 + 2 * 3) + [0.25]
    assert all(layer.self_attn.dropout == 0 for layer in network.model.encoder.layers)


def test_variates_are_independent_and_keep_their_scale(checks):
    model, x = small(), torch.randn(5, 33, 4)
    assert model(x).shape == (5, 6, 4)
    assert checks.variates_that_change(model, x) == {0}
    checks.forecasts_keep_scale(model, x, tolerance=1e-3)


def test_the_batch_does_not_matter_in_evaluation(checks):
    checks.forecasts_ignore_the_batch(small(), torch.randn(5, 33, 4))


def test_gradient_reaches_every_parameter(checks):
    checks.gradient_reaches(small(), torch.randn(5, 33, 4))


def test_dropout_acts_only_in_training():
    model, x = small(), torch.randn(2, 33, 4)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


def test_initial_weights_are_torchs_and_positions_are_uniform():
    network = PatchTST(context=512, horizon=96, **PUBLISHED).network
    positions = network.model.encoder.positional_encoder.position_enc
    assert positions.requires_grad and positions.shape == (64, 128)
    assert 0.9 * POSITION_RANGE < positions.abs().max() <= POSITION_RANGE
    bound = (64 * 128) ** -0.5
    assert 0.9 * bound < network.head.projection.weight.abs().max() <= bound


def test_the_seed_determines_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in small().parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_sizes_that_do_not_fit_are_refused():
    with refused("context", 7, SMALL["patch_length"], "patch_length"):
        PatchTST(context=7, horizon=6, **SMALL)
    with refused("width", SMALL["width"], "heads", 3):
        PatchTST(context=33, horizon=6, **(SMALL | {"heads": 3}))
