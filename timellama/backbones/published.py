"""The published sizes of the catalogue's language models, for counts that are made before a model is fetched.

The catalogue's entry gives width, blocks and modules; whatever else depends on a model (heads, inner width, vocabulary,
positions) is in its own `config.json`. Standard library only: planning reads this.
"""

from typing import Any

from timellama.backbones.catalogue import BackboneEntry

POSITIONS = ("max_position_embeddings", "n_positions")  # transformers' names; the second is GPT-2's

# As in each model's `config.json` (SmolLM2-135M: the metadata of its GGUF file); tests/test_counting.py checks them
# against the published numbers of parameters. Sizes that are missing are transformers' defaults for the family. Once a
# model's own file is fetched, it takes precedence.
PUBLISHED: dict[str, dict[str, Any]] = {
    "SmolLM2-135M": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
    },
    "Llama-2-7B": {
        "model_type": "llama",
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 4096,
    },
    "Llama-7B": {
        "model_type": "llama",
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 2048,
    },
    "Llama-3.2-1B": {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
    },
    "Gemma-2B": {
        "model_type": "gemma",
        "vocab_size": 256000,
        "hidden_size": 2048,
        "intermediate_size": 16384,
        "num_hidden_layers": 18,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "max_position_embeddings": 8192,
    },
    "GPT-2-large": {
        "model_type": "gpt2",
        "vocab_size": 50257,
        "n_embd": 1280,
        "n_layer": 36,
        "n_head": 20,
        "n_positions": 1024,
    },
    "GPT-2": {
        "model_type": "gpt2",
        "vocab_size": 50257,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
    },
    "Qwen2.5-0.5B": {
        "model_type": "qwen2",
        "vocab_size": 151936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
    },
}


def positions_of(entry: BackboneEntry) -> int | None:
    """How many tokens a language model has room for; None if that is unknown until it is prepared."""
    config = entry.config or PUBLISHED.get(entry.name, {})
    return next((config[name] for name in POSITIONS if name in config), None)
