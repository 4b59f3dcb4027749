"""The catalogue of backbones, what is fetched for an entry, backbones made here, and prompts read from a folder."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, LlamaConfig, LlamaModel

from tests.refusal import refused
from timellama.backbones import catalogue as backbones
from timellama.backbones.catalogue import BackboneEntry, fetch_backbone, load_backbones, prepare
from timellama.backbones.catalogue_models import BACKBONES
from timellama.backbones.prepared import embedding_table, load_prepared, prompt_rows
from timellama.backbones.weights import byte_tokenizer
from timellama.core.errors import InputError
from timellama.core.schema import json_schema

FILES = {"backbone.json", "blocks.safetensors", "config.json", "embeddings.safetensors", "tokenizer.json"}
REST = "licence: MIT, width: 2, blocks: 1, modules: [Q]"  # what every entry needs
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def catalogue(root: Path) -> dict[str, BackboneEntry]:
    return load_backbones(root / "config/backbones.yaml")


@pytest.fixture(scope="module")
def tiny(catalogue, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "tiny-gpt2"
    prepare(catalogue["tiny-gpt2"], blocks=3, source=None, folder=folder)
    return folder


def digest(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_the_catalogue_has_the_papers_models_and_the_tiny_ones(catalogue):
    assert set(catalogue) >= {"SmolLM2-135M", "Llama-2-7B", "GPT-2-large", "tiny-gpt2", "tiny-llama"}


def test_every_key_of_the_file_is_a_field_of_an_entry():
    keys = {"name"}
    for form in json_schema(BACKBONES)["$defs"].values():
        keys |= set(form["properties"]) if "kind" in form["properties"] else set()
    assert keys == {field.name for field in dataclasses.fields(BackboneEntry)}


@pytest.mark.parametrize(
    ("name", "change", "place", "named"),
    [
        ("GPT-2", {"pin": "main"}, "pin", ("'main'", "^[0-9a-f]{40}$")),
        (
            "GPT-2",
            {"files": {"config.json": None, "tokenizer.json": None, "m.safetensors": "ab"}},
            "files.m.safetensors",
            ("'ab'", "^[0-9a-f]{64}$"),
        ),
        ("GPT-2", {"revision": "main"}, "revision", ("pin", "files")),
        ("tiny-gpt2", {"source": "somewhere"}, "source", ("pin", "config")),
        ("tiny-gpt2", {"config": {"model_type": "bert", "vocab_size": 300}}, "config.model_type", ("'bert'", "gpt2")),
        ("tiny-gpt2", {"config": {"model_type": "gpt2", "vocab_size": 300, "n": [1]}}, "config.n", ([1],)),
        ("SmolLM2-135M", {"width": 0}, "width", (0,)),
        ("SmolLM2-135M", {"modules": ["Q", "X"]}, "modules[1]", ("'X'", "Q, K, V, O, G, U, D")),
        ("SmolLM2-135M", {"modules": ["Q", "Q"]}, "modules", (["Q", "Q"],)),
    ],
)
def test_an_invalid_value_is_refused_with_its_location(root, tmp_path, name, change, place, named):
    content = yaml.safe_load((root / "config/backbones.yaml").read_text())
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({name: content[name] | change}))
    with refused("b.yaml", f"{name}.{place}", *named):
        load_backbones(tmp_path / "b.yaml")


def test_the_smollm2_entry_matches_the_list_of_real_files(shared, catalogue):
    entry = catalogue["SmolLM2-135M"]
    line = next(row for row in (shared / "data/SOURCES.csv").read_text().splitlines() if row.startswith("SmolLM2"))
    assert entry.pin in line and str(entry.bytes) in line and entry.archive_sha256 in line


def test_loading_the_catalogue_imports_neither_torch_nor_transformers(root):
    code = (
        "import sys; from pathlib import Path; from timellama.backbones.catalogue import load_backbones;"
        "assert load_backbones(Path('config/backbones.yaml'));"
        "print({'torch', 'transformers', 'tokenizers', 'safetensors', 'gguf'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ("key: value",)),
        ("a: [", ("line 2", "column 1")),
        ("a: 3", ("a", 3, "key: value")),
        ("a: {licence: MIT}", ("a.kind", "gguf", "hub", "folder", "random")),
        ("a: {kind: pickle}", ("a.kind", "pickle", "gguf", "hub", "folder", "random")),
        (f"a: {{kind: gguf, colour: red, {REST}}}", ("a.colour", "archive_sha256")),
        (f"a: {{kind: gguf, pin: {'a' * 64}, {REST}}}", ("a.source",)),
        (f"a: {{kind: folder, pin: 12, source: b, {REST}}}", ("a.pin", 12)),
        (f"a: {{kind: random, pin: x, config: {{model_type: gpt2, vocab_size: 300}}, {REST}}}", ("a.pin", "'x'")),
        (
            f"a: {{kind: hub, pin: {'a' * 40}, source: b, files: {{m.bin: null}}, {REST}}}",
            ("a.files.m.bin", "safetensors"),
        ),
        (
            f"a: {{kind: hub, pin: {'a' * 40}, source: b, files: {{config.json: null, tokenizer.json: null}}, {REST}}}",
            ("a.files", "safetensors"),
        ),
        (
            f"a: {{kind: hub, pin: {'a' * 40}, source: b, files: {{m.safetensors: null}}, {REST}}}",
            ("a.files.config.json",),
        ),
    ],
)
def test_an_invalid_catalogue_is_refused_by_name(tmp_path, text, named):
    (tmp_path / "b.yaml").write_text(text)
    with refused("b.yaml", *named):
        load_backbones(tmp_path / "b.yaml")


def test_a_missing_catalogue_is_refused(tmp_path):
    with refused(tmp_path / "b.yaml"):
        load_backbones(tmp_path / "b.yaml")


def test_a_prepared_folder_is_complete_and_describes_itself(tiny, catalogue):
    entry = catalogue["tiny-gpt2"]
    prepared = load_prepared(tiny)
    assert set(digest(tiny)) == FILES
    assert prepared.sha256 == {name: value for name, value in digest(tiny).items() if name != "backbone.json"}
    assert (prepared.name, prepared.pin, prepared.weights, prepared.seed) == ("tiny-gpt2", entry.pin, "random", 0)
    assert (prepared.blocks, prepared.blocks_available, prepared.width) == (3, 4, 32)
    assert (prepared.vocabulary, prepared.embedding_scale, prepared.modules) == (257, 1.0, entry.modules)
    assert AutoConfig.from_pretrained(tiny).n_layer == prepared.config["n_layer"] == 3
    assert not [path for path in tiny.parent.iterdir() if path != tiny]


@pytest.mark.parametrize(
    ("name", "first"), [("tiny-gpt2", "h.0.ln_1.weight"), ("tiny-llama", "layers.0.mlp.up_proj.weight")]
)
def test_a_prepared_folder_fills_the_base_model_exactly(catalogue, tmp_path, name, first):
    prepare(catalogue[name], blocks=2, source=None, folder=tmp_path / "b")
    weights = load_file(tmp_path / "b/blocks.safetensors")
    model = AutoModel.from_config(AutoConfig.from_pretrained(tmp_path / "b"))
    embedding = next(key for key in model.state_dict() if key not in weights)
    assert first in weights
    model.load_state_dict(weights | {embedding: embedding_table(tmp_path / "b")}, strict=True)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(tiny, catalogue, tmp_path):
    state = torch.get_rng_state()
    prepare(catalogue["tiny-gpt2"], blocks=3, source=None, folder=tmp_path / "same")
    prepare(catalogue["tiny-gpt2"], blocks=3, source=None, folder=tmp_path / "other", random_seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert digest(tmp_path / "same") == digest(tiny)
    for file in ("blocks.safetensors", "embeddings.safetensors"):
        assert digest(tmp_path / "other")[file] != digest(tiny)[file]
    assert load_prepared(tmp_path / "other").seed == 1


def test_every_byte_is_a_token_and_decodes_to_itself(tiny):
    tokenizer = Tokenizer.from_file(str(tiny / "tokenizer.json"))
    text = "25 °C\n\n日本 <|endoftext|>"
    ids = tokenizer.encode(text).ids
    assert len(ids) == len("25 °C\n\n日本 ".encode()) + 1
    assert ids[-1] == 256 and max(ids[:-1]) < 256
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert tokenizer.get_vocab_size() == 257


def test_prompt_rows_are_the_embeddings_of_its_tokens_in_order(tiny):
    ids = Tokenizer.from_file(str(tiny / "tokenizer.json")).encode("aba c").ids
    assert len(set(ids)) < len(ids) == 5
    assert torch.equal(prompt_rows(tiny, "aba c"), embedding_table(tiny)[ids])


def test_an_empty_prompt_has_no_rows(tiny):
    assert prompt_rows(tiny, "").shape == (0, 32)


def test_a_prompt_is_neither_truncated_nor_padded(tiny, tmp_path):
    copy = tmp_path / "b"
    copy.mkdir()
    for file in FILES:
        (copy / file).write_bytes((tiny / file).read_bytes())
    tokenizer = Tokenizer.from_str(byte_tokenizer())
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(copy / "tokenizer.json"))
    assert prompt_rows(copy, "abcdef").shape == (6, 32)


def test_the_models_special_tokens_are_kept(tiny, tmp_path):
    copy = tmp_path / "b"
    copy.mkdir()
    for file in FILES:
        (copy / file).write_bytes((tiny / file).read_bytes())
    content = json.loads((tiny / "tokenizer.json").read_text())
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [256], "tokens": ["<|endoftext|>"]}},
    }
    (copy / "tokenizer.json").write_text(json.dumps(content))
    assert torch.equal(prompt_rows(copy, "a")[0], embedding_table(copy)[256])
    assert prompt_rows(copy, "a").shape == (2, 32)


@pytest.mark.parametrize("file", sorted(FILES))
def test_an_incomplete_folder_is_refused(tiny, tmp_path, file):
    copy = tmp_path / "b"
    copy.mkdir()
    for name in FILES - {file}:
        (copy / name).write_bytes((tiny / name).read_bytes())
    with refused(copy, file):
        load_prepared(copy)


@pytest.mark.parametrize("content", ["{", '{"name": "a"}', "[]"])
def test_a_broken_record_is_refused(tiny, tmp_path, content):
    for name in FILES:
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    (tmp_path / "backbone.json").write_text(content)
    with refused(tmp_path / "backbone.json"):
        load_prepared(tmp_path)


def test_truncated_embeddings_are_refused(tiny, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    (tmp_path / "embeddings.safetensors").write_bytes((tiny / "embeddings.safetensors").read_bytes()[:-1])
    with refused(tmp_path / "embeddings.safetensors"):
        prompt_rows(tmp_path, "a")


@pytest.mark.parametrize("blocks", [0, 5])
def test_a_number_of_blocks_that_the_model_does_not_have_is_refused(catalogue, tmp_path, blocks):
    with refused("tiny-gpt2", "blocks", blocks, 1, 4):
        prepare(catalogue["tiny-gpt2"], blocks=blocks, source=None, folder=tmp_path / "b")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [{"width": 33}, {"blocks": 3}])
def test_a_catalogue_that_contradicts_the_model_is_refused(catalogue, tmp_path, change):
    entry = dataclasses.replace(catalogue["tiny-gpt2"], **change)
    with refused("tiny-gpt2", "width", entry.width, 32, "blocks", entry.blocks, 4):
        prepare(entry, blocks=2, source=None, folder=tmp_path / "b")


def test_a_failed_preparation_keeps_the_old_folder_and_leaves_nothing_behind(catalogue, tmp_path, monkeypatch):
    folder = tmp_path / "b"
    prepare(catalogue["tiny-gpt2"], blocks=1, source=None, folder=folder)
    before = digest(folder)

    def fail(path, content):
        raise OSError("no space left")

    monkeypatch.setattr(backbones, "_write_json", fail)
    with refused("no space left", error=OSError):
        prepare(catalogue["tiny-gpt2"], blocks=2, source=None, folder=folder)
    assert digest(folder) == before
    assert list(tmp_path.iterdir()) == [folder]
    monkeypatch.undo()
    (tmp_path / ".b.partial").mkdir()  # as left by a killed process
    (tmp_path / ".b.partial/rest").write_text("half")
    prepare(catalogue["tiny-gpt2"], blocks=2, source=None, folder=folder)
    assert load_prepared(folder).blocks == 2
    assert set(digest(folder)) == FILES and list(tmp_path.iterdir()) == [folder]


def test_a_folder_with_other_files_is_left_alone(catalogue, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with refused(tmp_path):
        prepare(catalogue["tiny-gpt2"], blocks=1, source=None, folder=tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> tuple[BackboneEntry, Path]:
    """A sharded repository on a mirror: an entry and the mirror's folder."""
    mirror = tmp_path_factory.mktemp("mirror")
    folder = mirror / "some/llama"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=24, num_hidden_layers=4, num_attention_heads=2
    )
    LlamaModel(config).save_pretrained(folder, max_shard_size="5KB")
    (folder / "tokenizer.json").write_text(byte_tokenizer())
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    entry = BackboneEntry(
        name="some-llama",
        kind="hub",
        licence="MIT",
        pin=COMMIT,
        width=16,
        blocks=4,
        modules=("Q",),
        source="some/llama",
        bytes=None,
        archive_sha256=None,
        files=files,
        licence_page="https://example.org/licence",
        config=None,
    )
    return entry, mirror


def test_only_the_shards_that_hold_the_first_blocks_are_fetched(repository, tmp_path):
    entry, mirror = repository
    given = {"mirrors": [str(mirror)], "cache": tmp_path / "cache", "progress": False}
    source = fetch_backbone(entry, blocks=1, weights="pretrained", folder=tmp_path / "raw", **given)
    index = json.loads((source / "model.safetensors.index.json").read_text())["weight_map"]
    shards = {file.name for file in source.glob("*.safetensors")}
    needed = {file for name, file in index.items() if not name.startswith(("layers.1", "layers.2", "layers.3"))}
    assert shards == needed < set(index.values())
    prepare(entry, blocks=1, source=source, folder=tmp_path / "b")
    whole = LlamaModel.from_pretrained(mirror / "some/llama").state_dict()
    weights = load_file(tmp_path / "b/blocks.safetensors")
    assert len(weights) == 10
    assert all(torch.equal(weights[name], whole[name]) for name in weights)


def test_no_weights_are_fetched_for_random_weights(repository, tmp_path):
    entry, mirror = repository
    given = {"mirrors": [str(mirror)], "cache": tmp_path / "cache", "progress": False}
    source = fetch_backbone(entry, blocks=2, weights="random", folder=tmp_path / "raw", **given)
    assert {file.name for file in source.iterdir()} == {"config.json", "tokenizer.json"}
    prepare(entry, blocks=2, source=source, folder=tmp_path / "b", random_seed=7)
    prepared = load_prepared(tmp_path / "b")
    assert (prepared.weights, prepared.seed, prepared.name) == ("random", 7, "some-llama")
    whole = LlamaModel.from_pretrained(mirror / "some/llama").state_dict()
    weights = load_file(tmp_path / "b/blocks.safetensors")
    assert set(weights) < set(whole)
    assert not torch.equal(weights["layers.0.mlp.up_proj.weight"], whole["layers.0.mlp.up_proj.weight"])
    assert not torch.equal(embedding_table(tmp_path / "b"), whole["embed_tokens.weight"])


def test_a_refused_request_to_a_gated_repository_says_how_to_get_access(repository, tmp_path, monkeypatch):
    entry, _ = repository
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setattr(backbones, "fetch", _refuse)
    with refused(
        "some/llama/config.json",
        403,
        "https://example.org/licence",
        "HF_TOKEN",
        "TIMELLAMA_MIRROR",
        f"hf download some/llama --revision {COMMIT}",
    ):
        fetch_backbone(
            entry, blocks=1, weights="pretrained", folder=tmp_path, mirrors=[], cache=tmp_path, progress=False
        )


def test_a_file_without_a_sha256_is_not_fetched(repository, tmp_path):
    entry, mirror = repository
    entry = dataclasses.replace(entry, files={**entry.files, "config.json": None})
    with refused(
        "some/llama/config.json", "sha256", f"hf download some/llama --revision {COMMIT}", "kind folder", "files"
    ):
        fetch_backbone(
            entry,
            blocks=1,
            weights="pretrained",
            folder=tmp_path,
            mirrors=[str(mirror)],
            cache=tmp_path,
            progress=False,
        )


def _refuse(artifact, target, *, mirrors, cache, progress):
    raise InputError(f"could not fetch {artifact.path}: HTTP 403")


def test_nothing_is_fetched_for_generated_or_local_backbones(catalogue, tmp_path, monkeypatch):
    given = {"mirrors": [], "cache": tmp_path / "cache", "progress": False, "folder": tmp_path / "raw"}
    assert fetch_backbone(catalogue["tiny-gpt2"], blocks=1, weights="pretrained", **given) is None
    entry = dataclasses.replace(catalogue["tiny-gpt2"], kind="folder", source=str(tmp_path))
    assert fetch_backbone(entry, blocks=1, weights="pretrained", **given) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    entry = dataclasses.replace(entry, source=f"~/{tmp_path.name}")
    assert fetch_backbone(entry, blocks=1, weights="pretrained", **given) == tmp_path
    assert not list(tmp_path.iterdir())
