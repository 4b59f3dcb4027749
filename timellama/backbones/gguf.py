"""The first L blocks of a Llama-like model in a GGUF file, dequantised to float32.

Only the tensors of these blocks are dequantised: six blocks of SmolLM2-135M take 6 s with the tokenizer, and 15 s with
transformers' own reader (two AMD cores). `accelerate` is not needed. The numbers are the same
(tests/data/test_backbones_gguf.py).

Reference: ggml-org/llama.cpp, gguf-py and convert_hf_to_gguf.py (LlamaModel.permute: rows of Q and K are stored in
pairs for llama.cpp's rotary positions), and transformers 5, modeling_gguf_pytorch_utils.py.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, ReaderTensor, dequantize
from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerFast

from timellama.backbones.weights import CheckpointWeights, checked, cut_config
from timellama.core.errors import InputError

TENSORS = {  # gguf-py, tensor_mapping.py, block mappings of the architecture "llama"
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
SPLITS = ("gpt-2", "smollm")  # ways of splitting a text before merging that `gguf_tokenizer` is known to rebuild


def gguf_config(source: Path) -> tuple[dict[str, Any], GGUFReader]:
    """The transformers configuration of a GGUF file, with all its blocks, and the open file.

    Raises InputError for a corrupt file, an architecture other than llama, or scaled positions.
    """
    if not source.is_file():
        raise InputError(f"{source} is missing; fetch the backbone again")
    try:
        reader = GGUFReader(source)
        fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("tokenizer.")}
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise InputError(f"{source} is truncated or not GGUF ({error}); delete it and fetch it again") from error
    architecture = fields.get("general.architecture")
    if architecture != "llama":
        raise InputError(
            f"{source}: architecture {architecture!r}; only 'llama' is read from GGUF. Use its safetensors (kind hub)"
        )
    scaling = [name for name in fields if name.startswith("llama.rope.scaling.")]
    scaling += [t.name for t in reader.tensors if t.name.startswith("rope_freqs")]
    if scaling:
        raise InputError(f"{source}: {scaling[0]} scales the positions, which is not read from GGUF; use kind hub")
    try:
        heads = fields["llama.attention.head_count"]
        config = {
            "architectures": ["LlamaModel"],
            "model_type": "llama",
            "vocab_size": _tensor(reader, "token_embd.weight", source).data.shape[0],
            "hidden_size": fields["llama.embedding_length"],
            "intermediate_size": fields["llama.feed_forward_length"],
            "num_hidden_layers": fields["llama.block_count"],
            "num_attention_heads": heads,
            "num_key_value_heads": fields.get("llama.attention.head_count_kv", heads),
            "head_dim": fields.get("llama.rope.dimension_count", fields["llama.embedding_length"] // heads),
            "max_position_embeddings": fields["llama.context_length"],
            "rms_norm_eps": fields["llama.attention.layer_norm_rms_epsilon"],
            # llama.cpp's base where the file has none
            "rope_parameters": {"rope_type": "default", "rope_theta": fields.get("llama.rope.freq_base", 10000.0)},
        }
    except KeyError as error:
        raise InputError(f"{source} lacks the field {error}; it is not a complete Llama model") from error
    return config, reader


def gguf_weights(source: Path, *, blocks: int) -> CheckpointWeights:
    """The first `blocks` blocks of a GGUF file, float32.

    Raises InputError as `gguf_config`, `cut_config`, `gguf_tokenizer` and `checked` do, and for unknown tensors.
    """
    whole, reader = gguf_config(source)
    config = cut_config(whole, blocks=blocks, where=source)
    kinds: dict[str, set[str]] = {"blocks": set(), "embedding": set()}

    def read(name: str, part: str) -> np.ndarray:
        tensor = _tensor(reader, name, source)
        kinds[part].add(tensor.tensor_type.name)
        return dequantize(tensor.data, tensor.tensor_type)

    weights = {"norm.weight": read("output_norm.weight", "blocks")}
    for block in range(blocks):
        for stored, name in TENSORS.items():
            weight = read(f"blk.{block}.{stored}.weight", "blocks")
            if stored in ("attn_q", "attn_k"):
                heads = config["num_attention_heads" if stored == "attn_q" else "num_key_value_heads"]
                weight = unpermute(weight, heads=heads)
            weights[f"layers.{block}.{name}.weight"] = weight
    known = {f"blk.{block}.{stored}.weight" for block in range(blocks) for stored in TENSORS}
    own = {t.name for t in reader.tensors if any(t.name.startswith(f"blk.{block}.") for block in range(blocks))}
    if own - known:
        raise InputError(f"{source}: tensor {min(own - known)} is not part of a plain Llama block; use kind hub")
    embedding = read("token_embd.weight", "embedding")
    note = ", ".join(f"{part} {' and '.join(sorted(names))}" for part, names in kinds.items())
    weights = CheckpointWeights(
        config=config,
        available=whole["num_hidden_layers"],
        blocks={name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()},
        embedding=torch.from_numpy(np.array(embedding)),
        tokenizer=gguf_tokenizer(source, reader),
        note=f"GGUF, {note}; dequantised to float32",
    )
    return checked(weights, where=source)


def unpermute(weight: np.ndarray, *, heads: int) -> np.ndarray:
    """Undo llama.cpp's order of the rows of Q or K: weight [heads * d, D] -> the same rows in transformers' order.

    llama.cpp turns neighbouring rows 2i, 2i + 1 of a head by one angle; transformers turns rows i and i + d / 2.
    """
    return weight.reshape(heads, -1, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def gguf_tokenizer(source: Path, reader: GGUFReader) -> str:
    """The text of `tokenizer.json`, from the tokenizer's fields of a GGUF file.

    transformers rebuilds it. It does not know SmolLM's way of splitting, which separates every digit (llama.cpp,
    LLAMA_VOCAB_PRE_TYPE_SMOLLM); without it "  5" would become tokens other than those the model was trained on.
    Raises InputError for a tokenizer that would be rebuilt wrongly.
    """
    model, split = (
        reader.fields[name].contents() if name in reader.fields else None
        for name in ("tokenizer.ggml.model", "tokenizer.ggml.pre")
    )
    if model != "gpt2" or split not in SPLITS:
        raise InputError(
            f"{source}: tokenizer {model!r} with splitting {split!r} is not read from GGUF, only 'gpt2' with one of "
            f"{', '.join(SPLITS)}; use the model's safetensors and tokenizer.json (kind hub)"
        )
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    backend = tokenizer.backend_tokenizer
    if split == "smollm":
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    return backend.to_str()


def _tensor(reader: GGUFReader, name: str, source: Path) -> ReaderTensor:
    """The tensor of that name, still quantised. Raises InputError if there is none."""
    for tensor in reader.tensors:
        if tensor.name == name:
            return tensor
    raise InputError(f"{source} lacks the tensor {name}; it is not a complete Llama model")
