"""GPT4TS against `transformers` itself, which parameters it trains, and their count in the published setting."""

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from tests.refusal import refused
from timellama.methods.gpt4ts.network import GPT4TS
from timellama.methods.patches import cut_patches, patch_count


@pytest.fixture
def model(language_model, backbone_of) -> GPT4TS:
    return GPT4TS(context=25, horizon=6, backbone=backbone_of(language_model), patch_length=8, patch_stride=4).eval()


def test_patches_match_hand_computed_values():
    assert cut_patches(torch.tensor([1, 2, 3, 4, 5, 6]), length=4, stride=2).tolist() == [
        [1, 2, 3, 4],
        [3, 4, 5, 6],
        [5, 6, 6, 6],
    ]
    for context, length, stride in ((512, 16, 8), (336, 16, 8), (512, 16, 16), (104, 24, 2), (12, 1, 1), (25, 8, 4)):
        patches = cut_patches(torch.randn(3, context), length=length, stride=stride)
        assert patches.shape == (3, patch_count(context=context, length=length, stride=stride), length)
    with refused("context", 7, 8, "patch_length"):
        patch_count(context=7, length=8, stride=4)


def test_the_forward_pass_equals_that_of_transformers(model, language_model):
    x = torch.randn(2, 25, 3)
    mean, deviation = x.mean(1, keepdim=True), (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    normal = (x - mean) / deviation
    expected = torch.empty(2, 6, 3)
    with torch.no_grad():
        for sample in range(2):
            for variate in range(3):
                series = torch.cat([normal[sample, :, variate], normal[sample, -1:, variate].expand(4)])
                patches = torch.stack([series[start : start + 8] for start in (0, 4, 8, 12, 16, 20)])
                h = language_model(inputs_embeds=model.embed(patches)[None]).last_hidden_state
                expected[sample, :, variate] = model.head(h.flatten())
        torch.testing.assert_close(model(x), expected * deviation + mean, rtol=1e-4, atol=1e-4)


def test_only_norms_positions_embedding_and_head_are_trained(model, language_model):
    trained = {name for name, p in model.backbone.named_parameters() if p.requires_grad}
    parts = ("weight", "bias") if isinstance(language_model, GPT2Model) else ("weight",)
    norms = {f"layers.{block}.norms.{norm}.{part}" for block in (0, 1) for norm in (0, 1) for part in parts}
    positions = {"position_table"} if isinstance(language_model, GPT2Model) else set()
    assert trained == norms | {f"norm.{part}" for part in parts} | positions
    own = {name for name, p in model.named_parameters() if p.requires_grad and not name.startswith("backbone.")}
    assert own == {"embed.weight", "embed.bias", "head.weight", "head.bias"}


def test_parameter_count_in_the_published_setting(checks, backbone_of):
    """GPT-2's first 6 blocks at look-back 336: 42 patches, 1024 positions (arXiv 2302.11939, ETTh1.sh)."""
    with torch.device("meta"):
        backbone = backbone_of(GPT2Model(GPT2Config(n_layer=6)))
        model = GPT4TS(context=336, horizon=96, backbone=backbone, patch_length=16, patch_stride=8)
    norms, positions = (6 * 2 + 1) * 2 * 768, 1024 * 768
    ends = 16 * 768 + 768 + 42 * 768 * 96 + 96
    assert checks.trained_count(model) == norms + positions + ends


def test_variates_are_independent_and_keep_scale_the_batch_is_ignored_and_gradients_arrive(checks, model):
    x = torch.randn(5, 25, 4)
    assert model(x).shape == (5, 6, 4)
    assert checks.variates_that_change(model, x) == {0}
    checks.forecasts_keep_scale(model, x, tolerance=1e-2)
    checks.forecasts_ignore_the_batch(model, x)
    checks.gradient_reaches(model, x)


def test_frozen_weights_get_no_gradient(model):
    model(torch.randn(2, 25, 3)).sum().backward()
    frozen = [p for p in model.backbone.parameters() if not p.requires_grad]
    assert frozen
    assert all(p.grad is None for p in frozen)


def test_norms_are_trained_in_full_precision_over_bfloat16_blocks(language_model, backbone_of):
    backbone = backbone_of(language_model.to(torch.bfloat16))
    model = GPT4TS(context=25, horizon=6, backbone=backbone, patch_length=8, patch_stride=4)
    trained = [p for p in model.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]
    assert {p.dtype for p in trained} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = (model(torch.randn(2, 25, 3)) - 1).square().mean()
    loss.backward()
    torch.optim.Adam(trained, lr=1e-4).step()
    assert all(((p - old).abs() > 5e-5).any() for p, old in zip(trained, before, strict=True))
