"""An external family of language models, as docs/adding.md prints it: a record that an installed package offers."""

import sys

import pytest
import torch
from transformers import Starcoder2Config, Starcoder2Model

from tests import printed
from tests.refusal import refused
from timellama.backbones import families
from timellama.backbones.blocks import load_backbone
from timellama.backbones.catalogue import BackboneEntry, folder_digest, prepare
from timellama.backbones.prepared import load_prepared
from timellama.backbones.weights import byte_tokenizer

SIZES = {"vocab_size": 257, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "sliding_window": None}
TOKENS = {"bos_token_id": 256, "eos_token_id": 256}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs the page's package; `instead` replaces the record by an object that is not one."""

    def installed(*, instead: str | None = None) -> None:
        package = tmp_path / "my_package"
        package.mkdir()
        module = f"STARCODER2 = {instead}\n" if instead else printed.block("python", "STARCODER2 = Family")
        (package / "families.py").write_text(module, encoding="utf-8")
        printed.install(tmp_path, group="timellama.families")
        monkeypatch.syspath_prepend(str(tmp_path))
        families.every_family.cache_clear()

    yield installed
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]
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
    install()
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
    install(instead="1")
    with refused("timellama.families", "my_package.families:STARCODER2", "timellama.backbones.families.Family"):
        families.every_family()
