"""The blocks compute the same as transformers' own blocks, for every family, and attention is as requested."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    AutoModel,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from tests.refusal import refused
from timellama.backbones.blocks import ACTIVATIONS, Backbone, load_backbone
from timellama.backbones.families import FAMILIES
from timellama.backbones.weights import architecture

SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "head_dim": 8,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
CONFIGS = {
    "llama": LlamaConfig(**SMALL),
    "llama3": LlamaConfig(**SMALL, rope_parameters=LLAMA3_ROPE),
    "mistral": MistralConfig(**SMALL, sliding_window=None),
    "qwen2": Qwen2Config(**SMALL),
    "qwen3": Qwen3Config(**SMALL),
    "gemma": GemmaConfig(**SMALL),
    "gpt2": GPT2Config(vocab_size=64, n_embd=32, n_layer=3, n_head=4, n_positions=64),
}


def reference(config: PretrainedConfig) -> torch.nn.Module:
    """transformers' own model with all weights, including norms and biases, away from their initial constants."""
    torch.manual_seed(0)
    model = AutoModel.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def saved(model: torch.nn.Module, folder) -> None:
    """Writes what `load_backbone` reads."""
    embedding = {id(p) for p in model.get_input_embeddings().parameters()}
    described = architecture(model.config.to_dict(), where="the test's model")
    (folder / "backbone.json").write_text(json.dumps({"architecture": described}))
    weights = {n: p.detach().clone() for n, p in model.named_parameters() if id(p) not in embedding}
    save_file(weights, folder / "blocks.safetensors")


@pytest.mark.parametrize("name", CONFIGS)
def test_causal_blocks_equal_transformers(name, tmp_path):
    model = reference(CONFIGS[name])
    saved(model, tmp_path)
    h = torch.randn(2, 11, 32)
    with torch.no_grad():
        expected = model(inputs_embeds=h, use_cache=False).last_hidden_state
        ours = load_backbone(tmp_path, dtype=torch.float32)(h, causal=True)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_tokens_after_remembered_ones_equal_those_of_the_whole_sequence(name, backbone_of):
    backbone = backbone_of(reference(CONFIGS[name]))
    first, rest = torch.randn(1, 4, 32), torch.randn(2, 7, 32)
    with torch.no_grad():
        whole = backbone(torch.cat([first.expand(2, -1, -1), rest], dim=1), causal=True)
        behind = backbone(rest, causal=True, before=backbone.remember(first))
    torch.testing.assert_close(behind, whole[:, 4:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_bidirectional_blocks_equal_transformers_with_an_open_mask(name, backbone_of):
    model = reference(CONFIGS[name])
    h = torch.randn(2, 9, 32)
    open_mask = torch.zeros(2, 1, 9, 9)
    with torch.no_grad():
        expected = model(inputs_embeds=h, attention_mask=open_mask, use_cache=False).last_hidden_state
        ours = backbone_of(model)(h, causal=False)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_causal_attention_ignores_later_tokens(name, backbone_of):
    backbone = backbone_of(reference(CONFIGS[name]))
    h = torch.randn(1, 8, 32)
    changed = h.clone()
    changed[:, 5:] += torch.randn(3, 32)
    with torch.no_grad():
        causal, full = ((backbone(h, causal=c) - backbone(changed, causal=c)).abs().amax((0, 2)) for c in (True, False))
    assert causal[:5].max() == 0 and causal[5:].min() > 1e-3
    assert full.min() > 1e-4


def test_sizes_name_every_linear_module(backbone_of):
    sizes = backbone_of(reference(CONFIGS["llama"])).sizes()
    assert sizes == {
        "Q": (32, 32),
        "K": (32, 16),
        "V": (32, 16),
        "O": (32, 32),
        "G": (32, 48),
        "U": (32, 48),
        "D": (48, 32),
    }
    sizes = backbone_of(reference(CONFIGS["gpt2"])).sizes()
    assert sizes == {"Q": (32, 32), "K": (32, 32), "V": (32, 32), "O": (32, 32), "U": (32, 128), "D": (128, 32)}


def test_everything_is_frozen_and_the_norms_can_be_named(backbone_of):
    backbone = backbone_of(reference(CONFIGS["gpt2"]))
    assert not any(p.requires_grad for p in backbone.parameters())
    # Two LayerNorms per block and the last one, with weight and bias each, and the table of positions.
    assert len(backbone.norm_parameters()) == 2 * (2 * 3 + 1) + 1
    llama = backbone_of(reference(CONFIGS["llama"]))
    assert len(llama.norm_parameters()) == 2 * 3 + 1


@pytest.mark.parametrize(("changed", "known"), [({"family": "opt"}, FAMILIES), ({"activation": "relu"}, ACTIVATIONS)])
def test_an_unknown_family_or_activation_is_refused_with_the_known_ones(backbone_of, changed, known):
    [(key, value)] = changed.items()
    llama = backbone_of(reference(CONFIGS["llama"])).architecture
    with refused(key, f"'{value}'", *known, error=ValueError):
        Backbone(architecture=dataclasses.replace(llama, **changed), weights={})


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(n_embd=32, n_layer=1, n_head=4, scale_attn_by_inverse_layer_idx=True),
        LlamaConfig(**SMALL, rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0}),
    ],
)
def test_attention_that_the_blocks_do_not_support_is_refused(config):
    with refused("my model"):
        architecture(config.to_dict(), where="my model")


def test_more_tokens_than_positions_are_refused(backbone_of):
    with refused(65, "tokens", "positions", 64, error=ValueError):
        backbone_of(reference(CONFIGS["gpt2"]))(torch.randn(1, 65, 32), causal=True)
