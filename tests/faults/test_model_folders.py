"""Invalid language model folders: the prepared model is unchanged, or an error names the folder and what is wrong."""

import dataclasses
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel

from tests.refusal import unnamed
from timellama.backbones.catalogue import folder_digest, load_backbones, prepare
from timellama.backbones.prepared import load_prepared, prompt_rows
from timellama.backbones.weights import byte_tokenizer
from timellama.core.errors import InputError

PROPERTY = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
TOKENS = {"bos_token_id": 256, "eos_token_id": 256, "pad_token_id": 256}
MODELS = {
    "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=257, n_embd=8, n_layer=2, n_head=2, n_positions=16, **TOKENS)),
    "llama": lambda: LlamaModel(
        LlamaConfig(
            vocab_size=257,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=16,
            **TOKENS,
        )
    ),
}
FILES = ("config.json", "model.safetensors", "tokenizer.json")
NO_VALUE = (None, "many", -1, 0, [], {}, 1.5, True, 10**9)


class Evil:
    """Unpickling it creates a file."""

    def __reduce__(self):
        return Path.touch, (Path("pwned"),)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A folder with a small model of each family, as transformers saves it."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, make in MODELS.items():
        make().save_pretrained(folder / name)
        (folder / name / "tokenizer.json").write_text(byte_tokenizer(), encoding="utf-8")
    return folder


@pytest.fixture(params=sorted(MODELS))
def model(request, saved, inside, root):
    """A copy of a model's folder, and a way to prepare it with the digest of its files as pin."""
    source = inside / "source"
    shutil.copytree(saved / request.param, source)
    entry = load_backbones(root / "config/backbones.yaml")["tiny-gpt2"]

    class Model:
        def restore(self):
            shutil.rmtree(source)
            shutil.copytree(saved / request.param, source)
            shutil.rmtree(inside / "made", ignore_errors=True)

        def prepare(self) -> Path:
            facts = {"kind": "folder", "pin": folder_digest(source), "source": str(source), "config": None}
            pinned = dataclasses.replace(entry, **facts, width=8, blocks=2)
            prepare(pinned, blocks=1, source=source, folder=inside / "made")
            return inside / "made"

        def refused(self) -> str:
            with pytest.raises(InputError) as caught:
                self.prepare()
            assert not (inside / "made").exists() and not (inside / "pwned").exists()
            # If the width or depth differs from the catalogue, the message has the entry's name.
            assert str(source) in str(caught.value) or "tiny-gpt2" in str(caught.value)
            return str(caught.value)

        def refused_or_usable(self) -> None:
            try:
                made = self.prepare()
            except InputError as error:
                assert str(source) in str(error) or "tiny-gpt2" in str(error)
                assert not (inside / "made").exists()
                return
            load_prepared(made)
            assert prompt_rows(made, "a").shape == (1, 8) and load_file(made / "blocks.safetensors")

    found = Model()
    found.source, found.before = source, {file: (source / file).read_bytes() for file in FILES}
    return found


@settings(max_examples=25, **PROPERTY)
@given(file=st.sampled_from(FILES), data=st.data())
def test_a_truncated_file_is_refused(model, file, data):
    model.restore()
    kept = data.draw(st.integers(0, len(model.before[file].rstrip()) - 1))
    (model.source / file).write_bytes(model.before[file][:kept])
    assert file in model.refused()


@settings(max_examples=30, **PROPERTY)
@given(file=st.sampled_from(FILES), data=st.data())
def test_a_file_with_changed_bytes_is_refused_or_usable(model, file, data):
    model.restore()
    content = bytearray(model.before[file])
    # The first bytes hold names, types and offsets.
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, min(2000, len(content)) - 1))] = data.draw(st.integers(0, 255))
    (model.source / file).write_bytes(content)
    model.refused_or_usable()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"[]", b"null", b'"a"', b"{}", "é".encode("latin-1")])
def test_a_file_with_unrelated_content_is_refused(model, file, content):
    (model.source / file).write_bytes(content)
    assert model.refused()


@pytest.mark.parametrize("file", FILES)
def test_a_pickle_under_any_name_is_refused_and_not_executed(model, file):
    (model.source / file).write_bytes(pickle.dumps(Evil()))
    assert model.refused()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_a_pickle_instead_of_safetensors_is_refused_and_the_error_says_how_to_convert_it(model, name):
    (model.source / "model.safetensors").unlink()
    (model.source / name).write_bytes(pickle.dumps(Evil()))
    told = model.refused()
    assert not unnamed(told, name, "AutoModel.from_pretrained(model).save_pretrained(folder)")


def test_each_invalid_value_of_the_configuration_is_refused_or_usable(model):
    config = json.loads(model.before["config.json"])
    assert len(config) > 10
    for key in config:
        for value in NO_VALUE:
            model.restore()
            (model.source / "config.json").write_text(json.dumps(config | {key: value}), encoding="utf-8")
            model.refused_or_usable()


@pytest.mark.parametrize("place", ["../precious.csv", "/dev/null", 3, None, ["a"], "", "."])
def test_an_index_that_points_elsewhere_is_refused(model, place):
    names = load_file(model.source / "model.safetensors").keys()
    index = {"weight_map": dict.fromkeys(names, place)}
    (model.source / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert model.refused()


def test_weights_of_another_architecture_are_refused(saved, model):
    other = next(name for name in MODELS if name not in str(model.before["config.json"]))
    shutil.copy(saved / other / "model.safetensors", model.source)
    assert not unnamed(model.refused(), "config.json")
