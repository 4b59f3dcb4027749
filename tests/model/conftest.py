"""A tiny random language model and a Time-LlaMA that uses it."""

from collections.abc import Callable

import pytest
import torch
from transformers import AutoModel, GPT2Config, LlamaConfig

from timellama.backbones.blocks import Backbone
from timellama.methods.time_llama.network import TimeLlama

WIDTH, CONTEXT, HORIZON = 32, 24, 8


@pytest.fixture
def make_backbone(backbone_of) -> Callable[[str], Backbone]:
    def make(family: str = "llama") -> Backbone:
        torch.manual_seed(0)
        config = {
            "llama": LlamaConfig(
                vocab_size=16,
                hidden_size=WIDTH,
                intermediate_size=48,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=64,
            ),
            "gpt2": GPT2Config(vocab_size=16, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=64),
        }[family]
        return backbone_of(AutoModel.from_config(config))

    return make


@pytest.fixture
def make_model(make_backbone) -> Callable[..., TimeLlama]:
    """Time-LlaMA with the harness's defaults; keyword arguments change single options."""

    def make(family: str = "llama", **changed: object) -> TimeLlama:
        backbone = make_backbone(family)
        torch.manual_seed(1)
        options = {
            "rank": 3,
            "heads": 4,
            "active": 4,
            "token_embedding": "linear",
            "token_scale": 1.0,
            "head_init": "uniform",
            "alignment": "cross-attention",
            "adapter": "dynamic",
            "mixture_experts": 3,
            "gate_gradient": "literal",
            "router_activation": "tanh",
            "pooling": "last",
            "attention": "causal",
            "positions": "backbone",
            "blocks": "pretrained",
            "train_backbone": False,
        }
        prompt = torch.randn(5, WIDTH)
        sizes = {"context": CONTEXT, "horizon": HORIZON, "backbone": backbone, "prompt": prompt}
        return TimeLlama(**(sizes | options | changed))

    return make


@pytest.fixture
def x() -> torch.Tensor:
    """A batch of 3 samples with 5 variates [3, 24, 5]."""
    return torch.randn(3, CONTEXT, 5, generator=torch.Generator().manual_seed(2)) * 3 + 1
