"""Parity of prepared folders with transformers' own models, for each family, and every way a folder can be invalid."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    GemmaConfig,
    GemmaForCausalLM,
    GemmaModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MistralConfig,
    MistralModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3Model,
)

from tests.refusal import refused
from timellama.backbones.catalogue import BackboneEntry, folder_digest, prepare
from timellama.backbones.prepared import embedding_table, load_prepared, prompt_rows
from timellama.backbones.weights import byte_tokenizer

SIZES = {
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 256,
    "eos_token_id": 256,
    "pad_token_id": 256,
}
GPT2_SIZES = {"vocab_size": 300, "n_embd": 16, "n_layer": 4, "n_head": 4, "n_positions": 64, "bos_token_id": 256}
FAMILIES = {
    "llama": lambda: LlamaModel(LlamaConfig(**SIZES, attention_bias=True)),
    "llama-head": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "mistral": lambda: MistralModel(MistralConfig(**SIZES, sliding_window=32)),
    "qwen2-head": lambda: Qwen2ForCausalLM(Qwen2Config(**{k: v for k, v in SIZES.items() if k != "head_dim"})),
    "qwen3": lambda: Qwen3Model(Qwen3Config(**SIZES)),
    "gemma": lambda: GemmaModel(GemmaConfig(**SIZES)),
    "gemma-head-bfloat16": lambda: GemmaForCausalLM(GemmaConfig(**SIZES)).to(torch.bfloat16),
    "gpt2": lambda: GPT2Model(GPT2Config(**GPT2_SIZES, eos_token_id=256)),
    "gpt2-head": lambda: GPT2LMHeadModel(GPT2Config(**GPT2_SIZES, eos_token_id=256)),
}


def save(folder: Path, family: str, shard: str = "1GB") -> torch.nn.Module:
    """A small model of the family with weights that are all distinct, saved by transformers; returns its base model."""
    torch.manual_seed(1)
    model = FAMILIES[family]()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # norms and biases too, or mixing them up would go unnoticed
    model.save_pretrained(folder, max_shard_size=shard)
    (folder / "tokenizer.json").write_text(byte_tokenizer())
    return model.base_model.eval()


def entry_for(folder: Path, **changes) -> BackboneEntry:
    return BackboneEntry(
        **{
            "name": "small",
            "kind": "folder",
            "licence": "MIT",
            "pin": folder_digest(folder),
            "width": 16,
            "blocks": 4,
            "modules": ("Q",),
            "source": str(folder),
            "bytes": None,
            "archive_sha256": None,
            "files": None,
            "licence_page": None,
            "config": None,
            **changes,
        }
    )


def prepare_from(source: Path, folder: Path, *, blocks: int = 3, random_seed: int | None = None) -> Path:
    prepare(entry_for(source), blocks=blocks, source=source, folder=folder, random_seed=random_seed)
    return folder


@pytest.mark.parametrize("shard", ["1GB", "10KB"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_blocks_equal_those_of_the_model(tmp_path, family, shard):
    model = save(tmp_path / "source", family, shard)
    assert (tmp_path / "source/model.safetensors.index.json").exists() == (shard == "10KB")
    folder = prepare_from(tmp_path / "source", tmp_path / "b")
    weights = load_file(folder / "blocks.safetensors")
    whole = model.state_dict()
    embedding = "wte.weight" if "gpt2" in family else "embed_tokens.weight"
    last = ("h.3.", "layers.3.")
    assert set(weights) == {name for name in whole if not name.startswith(last) and name != embedding}
    assert len(weights) >= 28
    for name, tensor in weights.items():
        assert tensor.dtype == whole[name].dtype and torch.equal(tensor, whole[name]), name
    assert torch.equal(embedding_table(folder), whole[embedding])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prepared_model_computes_the_same_as_the_first_blocks_of_the_whole_model(tmp_path, family):
    model = type(save(tmp_path / "source", family)).from_pretrained(tmp_path / "source", dtype=torch.float32).eval()
    folder = prepare_from(tmp_path / "source", tmp_path / "b")
    prepared = AutoModel.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32).eval()
    prepared.load_state_dict(state(folder, model), strict=True)
    text = "value 25, up"
    ids = torch.tensor([list(tokens(text))])
    with torch.no_grad():
        hidden = model(ids, output_hidden_states=True).hidden_states[3]
        norm = model.ln_f if "gpt2" in family else model.norm
        torch.testing.assert_close(prepared(ids).last_hidden_state, norm(hidden), rtol=0, atol=1e-6)
        rows = prompt_rows(folder, text)[None]  # embedded as the model itself does, including the scale
        assert rows.dtype == torch.float32
        embedded = model(ids, output_hidden_states=True).hidden_states[0]
        if "gpt2" in family:
            embedded = embedded - model.wpe.weight[: ids.shape[1]]
        torch.testing.assert_close(rows, embedded, rtol=1e-6, atol=1e-6)


def tokens(text: str) -> list[int]:
    return Tokenizer.from_str(byte_tokenizer()).encode(text).ids


def state(folder: Path, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    name = "wte.weight" if hasattr(model, "wte") else "embed_tokens.weight"
    return load_file(folder / "blocks.safetensors") | {name: embedding_table(folder)}


@pytest.mark.parametrize(("family", "scale"), [("gemma", 4.0), ("llama", 1.0), ("gpt2", 1.0)])
def test_only_gemma_scales_its_embeddings(tmp_path, family, scale):
    save(tmp_path / "source", family)
    folder = prepare_from(tmp_path / "source", tmp_path / "b")
    assert load_prepared(folder).embedding_scale == scale  # the square root of width 16
    assert torch.equal(prompt_rows(folder, "a"), embedding_table(folder)[tokens("a")] * scale)


def test_the_list_of_attention_kinds_is_cut_to_the_prepared_blocks(tmp_path):
    save(tmp_path / "source", "qwen3")
    config = json.loads((tmp_path / "source/config.json").read_text())
    assert len(config["layer_types"]) == 4
    folder = prepare_from(tmp_path / "source", tmp_path / "b")
    assert load_prepared(folder).config["layer_types"] == config["layer_types"][:3]


def test_preparing_twice_gives_the_same_bytes(tmp_path):
    save(tmp_path / "source", "llama", "10KB")
    one, two = prepare_from(tmp_path / "source", tmp_path / "1"), prepare_from(tmp_path / "source", tmp_path / "2")
    assert [f.name for f in sorted(one.iterdir())] == [f.name for f in sorted(two.iterdir())]
    for file in one.iterdir():
        assert file.read_bytes() == (two / file.name).read_bytes(), file.name


def test_random_weights_share_only_the_architecture_with_the_model(tmp_path):
    save(tmp_path / "source", "llama-head")
    learnt = prepare_from(tmp_path / "source", tmp_path / "learnt")
    drawn = prepare_from(tmp_path / "source", tmp_path / "drawn", random_seed=5)
    first, second = load_file(learnt / "blocks.safetensors"), load_file(drawn / "blocks.safetensors")
    assert {n: t.shape for n, t in first.items()} == {n: t.shape for n, t in second.items()}
    assert not any(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(second["norm.weight"], torch.ones(16))  # transformers' own initial value
    assert (load_prepared(learnt).weights, load_prepared(drawn).weights) == ("pretrained", "random")
    assert (learnt / "tokenizer.json").read_bytes() == (drawn / "tokenizer.json").read_bytes()


def stopped(tmp_path: Path, *named: object, **given) -> None:
    with refused(*named):
        prepare_from(tmp_path / "source", tmp_path / "b", **given)
    assert not (tmp_path / "b").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_a_missing_folder_is_refused(tmp_path):
    save(tmp_path / "source", "llama")
    entry = entry_for(tmp_path / "source")
    with refused("small", tmp_path / "nowhere"):
        prepare(entry, blocks=1, source=tmp_path / "nowhere", folder=tmp_path / "b")
    with refused(tmp_path / "nowhere"):
        folder_digest(tmp_path / "nowhere")


def test_changed_files_are_refused(tmp_path):
    save(tmp_path / "source", "llama")
    entry = entry_for(tmp_path / "source")
    weights = load_file(tmp_path / "source/model.safetensors")
    weights["norm.weight"][0] += 1
    save_file(weights, tmp_path / "source/model.safetensors")
    with refused("small", entry.pin, tmp_path / "source", folder_digest(tmp_path / "source")):
        prepare(entry, blocks=1, source=tmp_path / "source", folder=tmp_path / "b")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_refused(tmp_path, file):
    save(tmp_path / "source", "llama")
    (tmp_path / "source" / file).unlink()
    stopped(tmp_path, tmp_path / "source" / file)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_broken_file_is_refused(tmp_path, file):
    save(tmp_path / "source", "llama")
    (tmp_path / "source" / file).write_text("{")
    stopped(tmp_path, tmp_path / "source", file)


@pytest.mark.parametrize("keep", [4, 200, -1])
def test_truncated_weights_are_refused(tmp_path, keep):
    save(tmp_path / "source", "llama")
    path = tmp_path / "source/model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    stopped(tmp_path, path)


def test_a_missing_shard_is_refused(tmp_path):
    save(tmp_path / "source", "llama", "10KB")
    sorted((tmp_path / "source").glob("*.safetensors"))[0].unlink()
    stopped(tmp_path, "model-00001-of-00005.safetensors")


def test_an_index_that_lists_absent_tensors_is_refused(tmp_path):
    save(tmp_path / "source", "llama", "10KB")
    path = tmp_path / "source/model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["norm.weight"] = index["weight_map"]["embed_tokens.weight"]
    path.write_text(json.dumps(index))
    stopped(tmp_path, "norm.weight", "model-00001-of-00005.safetensors", "model.safetensors.index.json")


def test_an_index_without_a_map_is_refused(tmp_path):
    save(tmp_path / "source", "llama", "10KB")
    (tmp_path / "source/model.safetensors.index.json").write_text("{}")
    stopped(tmp_path, "model.safetensors.index.json", "weight_map")


def test_pickles_are_refused(tmp_path):
    model = save(tmp_path / "source", "llama")
    (tmp_path / "source/model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "source/pytorch_model.bin")
    stopped(
        tmp_path, tmp_path / "source", "pytorch_model.bin", "AutoModel.from_pretrained(model).save_pretrained(folder)"
    )


def test_a_folder_without_weights_is_refused(tmp_path):
    save(tmp_path / "source", "llama")
    (tmp_path / "source/model.safetensors").unlink()
    stopped(tmp_path, tmp_path / "source", "model.safetensors", "model.safetensors.index.json")


def test_another_architecture_is_refused(tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=300, **sizes)).save_pretrained(tmp_path / "source")
    stopped(tmp_path, "model_type", "bert", "llama", "mistral", "qwen2", "qwen3", "gemma", "gpt2")


def edit(tmp_path: Path, **changes) -> None:
    path = tmp_path / "source/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_more_blocks_than_the_model_has_are_refused(tmp_path):
    save(tmp_path / "source", "llama")
    entry = dataclasses.replace(entry_for(tmp_path / "source"), blocks=9)
    with refused(tmp_path / "source", "blocks", 5, 1, 4):
        prepare(entry, blocks=5, source=tmp_path / "source", folder=tmp_path / "b")


def test_a_configuration_without_its_depth_is_refused(tmp_path):
    save(tmp_path / "source", "llama")
    config = json.loads((tmp_path / "source/config.json").read_text())
    del config["num_hidden_layers"]
    (tmp_path / "source/config.json").write_text(json.dumps(config))
    stopped(tmp_path, tmp_path / "source", "num_hidden_layers", "config.json")


def test_shapes_that_do_not_fit_the_configuration_are_refused(tmp_path):
    save(tmp_path / "source", "llama")
    edit(tmp_path, intermediate_size=32)
    stopped(tmp_path, tmp_path / "source", "layers.0.mlp.down_proj.weight", (16, 24), (16, 32))


def test_names_that_do_not_fit_the_configuration_are_refused(tmp_path):
    save(tmp_path / "source", "llama-head")
    edit(tmp_path, attention_bias=True)
    stopped(tmp_path, tmp_path / "source", 12, 41, "layers.0.self_attn.q_proj.bias")


def test_a_configuration_that_transformers_refuses_is_refused(tmp_path):
    save(tmp_path / "source", "llama")
    edit(tmp_path, hidden_size="wide")
    stopped(tmp_path, tmp_path / "source", "hidden_size", "wide")


def test_quantised_weights_are_refused(tmp_path):
    save(tmp_path / "source", "llama")
    weights = load_file(tmp_path / "source/model.safetensors")
    weights["layers.0.mlp.up_proj.weight"] = weights["layers.0.mlp.up_proj.weight"].to(torch.int8)
    save_file(weights, tmp_path / "source/model.safetensors")
    stopped(tmp_path, tmp_path / "source", "layers.0.mlp.up_proj.weight", "torch.int8")


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    save(tmp_path / "source", "llama")
    tokenizer = json.loads(byte_tokenizer())
    tokenizer["model"]["vocab"]["beyond"] = 305
    (tmp_path / "source/tokenizer.json").write_text(json.dumps(tokenizer))
    stopped(tmp_path, tmp_path / "source", 305, 300, "tokenizer.json")
