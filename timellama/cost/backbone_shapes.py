"""The sizes of a language model whose files are not here, so that its cost can be counted before it is fetched.

The catalogue's entry says width, blocks and modules; what else the operations depend on (heads, inner width,
vocabulary) is in the model's own `config.json`. For the catalogue's backbones it stands here as published there, cut to
what the sizes need. A prepared backbone holds its own.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellama.backbones.catalogue import BackboneEntry
from timellama.backbones.families import family_of
from timellama.core.errors import InputError
from timellama.core.layout import CONFIG

# As in each model's `config.json` (SmolLM2-135M: the metadata of its GGUF file), held by tests/test_counting.py against
# the published numbers of parameters. What is not named is transformers' default for the family. A model's own file,
# once it is here, goes before this.
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


@dataclass(frozen=True, kw_only=True)
class BackboneShape:
    """The first L blocks without their numbers: `architecture` as `model.backbone.Architecture` holds it, the shape of
    each tensor by transformers' name, and the embedding table's [V, D]."""

    architecture: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    vocabulary: int
    width: int


def backbone_config(entry: BackboneEntry, *, places: list[Path]) -> dict[str, Any]:
    """transformers' configuration of the whole model: the entry's own, that of the first of `places` (folders) that
    has one, or the published one. Raises InputError where none is known."""
    if entry.config:
        return dict(entry.config)
    if entry.kind == "folder":
        places = [Path(entry.source).expanduser(), *places]
    for folder in places:
        if (folder / CONFIG).is_file():
            return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if entry.name in PUBLISHED:
        return dict(PUBLISHED[entry.name])
    raise InputError(
        f"the sizes of backbone {entry.name!r} are not known before it is prepared: run "
        f"`snakemake -j1 results/backbones/{entry.name}/x1-pretrained/backbone.json` once, then plan again"
    )


def backbone_shape(entry: BackboneEntry, *, blocks: int, places: list[Path]) -> BackboneShape:
    """The shape of the first `blocks` blocks of an entry. Raises InputError as `backbone_config` does, and where
    transformers refuses the configuration."""
    from timellama.backbones import weights as backbone_parts

    config = backbone_config(entry, places=places)
    config[backbone_parts.depth_key(config)] = blocks
    config.pop("layer_types", None)  # one a block; transformers fills them in
    named = family_of(config, where=entry.name).embedding
    state = backbone_parts.empty_model(config, where=entry.name).state_dict()
    return BackboneShape(
        architecture=backbone_parts.architecture(config, where=entry.name),
        tensors={name: tuple(tensor.shape) for name, tensor in state.items() if name != named},
        vocabulary=state[named].shape[0],
        width=entry.width,
    )
