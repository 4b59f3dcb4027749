"""An external family of language models: one record, which an installed package offers."""

import sys

import pytest
import torch
from transformers import Starcoder2Config, Starcoder2Model

from tests.refusal import refused
from timellama.backbones import families
from timellama.backbones.blocks import load_backbone
from timellama.backbones.catalogue import BackboneEntry, folder_digest, prepare
from timellama.backbones.prepared import load_prepared
from timellama.backbones.weights import byte_tokenizer

RECORD = '''"""Starcoder2: rotary positions, layer norms and no gate."""

from timellama.backbones.families import LINEARS, Family

STARCODER2 = Family(
    name="starcoder2",
    blocks="layers",
    linears={letter: LINEARS[letter] for letter in "QKVO"} | {"U": "mlp.c_fc", "D": "mlp.c_proj"},
    norms=("input_layernorm", "post_attention_layernorm"),
    last_norm="norm",
    embedding="embed_tokens.weight",
    epsilon="norm_epsilon",
)
NOTHING = 1
'''
SIZES = {"vocab_size": 257, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "sliding_window": None}
TOKENS = {"bos_token_id": 256, "eos_token_id": 256}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package whose entry point is an object in the record's module."""

    def installed(name: str) -> None:
        (tmp_path / "visiting_family.py").write_text(RECORD, encoding="utf-8")
        about = tmp_path / "visiting_family-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Name: visiting-family\nVersion: 1.0\n", encoding="utf-8")
        points = f"[timellama.families]\nstarcoder2 = visiting_family:{name}\n"
        (about / "entry_points.txt").write_text(points, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        families.every_family.cache_clear()

    yield installed
    sys.modules.pop("visiting_family", None)
    families.every_family.cache_clear()


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    made = Starcoder2Model(Starcoder2Config(**SIZES, **HEADS, **TOKENS)).eval()
    with torch.no_grad():  # new biases are 0 and norms 1, which would hide an omitted part
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    made.save_pretrained(tmp_path / "model")
    (tmp_path / "model/tokenizer.json").write_text(byte_tokenizer(), encoding="utf-8")
    return made


def entry_of(folder) -> BackboneEntry:
    absent = {"bytes": None, "archive_sha256": None, "files": None, "licence_page": None, "config": None}
    pinned = {"source": str(folder), "pin": folder_digest(folder), "licence": "none needed"}
    return BackboneEntry(
        name="tiny-starcoder2", kind="folder", width=32, blocks=3, modules=tuple("QKVOUD"), **pinned, **absent
    )


@pytest.mark.parametrize("blocks", [1, 3])
def test_its_blocks_give_the_same_as_transformers(install, model, tmp_path, blocks):
    install("STARCODER2")
    source = tmp_path / "model"
    prepare(entry_of(source), blocks=blocks, source=source, folder=tmp_path / "prepared")
    assert load_prepared(tmp_path / "prepared").model_type == "starcoder2"
    backbone = load_backbone(tmp_path / "prepared", dtype=torch.float32)
    assert (backbone.letters, len(backbone.layers)) == ("QKVOUD", blocks)
    h = torch.randn(2, 5, 32)
    model.layers = model.layers[:blocks]
    with torch.no_grad():
        expected = model(inputs_embeds=h, use_cache=False).last_hidden_state
        torch.testing.assert_close(backbone(h, causal=True), expected, rtol=1e-5, atol=1e-5)


def test_the_family_is_unknown_without_the_package(model, tmp_path):
    with refused(tmp_path / "model", "model_type", "starcoder2", "llama"):
        prepare(entry_of(tmp_path / "model"), blocks=1, source=tmp_path / "model", folder=tmp_path / "prepared")


def test_an_object_that_is_not_a_family_is_refused(install):
    install("NOTHING")
    with refused("timellama.families", "visiting_family:NOTHING", "timellama.backbones.families.Family"):
        families.every_family()
