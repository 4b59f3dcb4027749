"""A checkpoint is used whole and by its own run, or not at all; generators resume where they were."""

import errno
import logging
import os
import pickle
import random

import numpy as np
import pytest
import torch

from timellama.training.steps.checkpoint import Checkpoint, generator_states, restore_generators

IDENTITY = {"run_digest": "ab", "threads": 1, "versions": {"torch": "2"}, "backbone_digest": None}
STATE = {
    "step": 3,
    "seconds": 0.1 + 0.2,
    "best": float("inf"),
    "rows": [{"loss": 1.5, "router": None}],
    "weights": {"a": torch.tensor([[1.0, -0.0], [float("nan"), 1e-45]]), "b": torch.arange(3, dtype=torch.uint8)},
}


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    made = Checkpoint(tmp_path, identity=IDENTITY)
    made.save(STATE)
    return made


def test_everything_is_restored_bit_for_bit(checkpoint):
    found = checkpoint.load()
    assert {k: v for k, v in found.items() if k != "weights"} == {k: v for k, v in STATE.items() if k != "weights"}
    for name, tensor in STATE["weights"].items():
        assert found["weights"][name].dtype == tensor.dtype
        assert found["weights"][name].numpy().tobytes() == tensor.numpy().tobytes()


def test_an_absent_checkpoint_loads_as_none_without_a_warning(tmp_path, caplog):
    assert Checkpoint(tmp_path / "absent", identity=IDENTITY).load() is None and not caplog.records


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"run_digest": "cd"}, "another run_digest"),
        ({"threads": 2, "versions": {"torch": "3"}}, "another threads, another versions"),
        ({"device": "cpu"}, "another device"),
    ],
)
def test_another_identity_is_refused_and_named(checkpoint, tmp_path, caplog, changed, named):
    assert Checkpoint(tmp_path, identity=IDENTITY | changed).load() is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING and f"with {named}: the training starts afresh" in record.message
    assert str(checkpoint.path) in record.message and checkpoint.load() is not None


def test_part_of_the_identity_is_not_enough(checkpoint, tmp_path):
    assert Checkpoint(tmp_path, identity={"run_digest": "ab"}).load() is None


def test_every_truncation_is_refused(checkpoint, caplog):
    content = checkpoint.path.read_bytes()
    lengths = sorted({*range(300), *range(300, len(content), 97), len(content) - 1})
    assert len(lengths) > 300
    for length in lengths:
        caplog.clear()
        checkpoint.path.write_bytes(content[:length])
        assert checkpoint.load() is None, f"{length} of {len(content)} bytes"
        assert [r.message.endswith("the training starts afresh") for r in caplog.records] == [True]


def test_every_changed_byte_is_refused(checkpoint):
    content = checkpoint.path.read_bytes()
    for place in range(0, len(content), 61):
        checkpoint.path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert checkpoint.load() is None, f"byte {place}"


def test_no_code_is_read_from_a_checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path, identity=IDENTITY)
    checkpoint.save({"code": print})
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load()


def test_a_full_disk_keeps_the_old_checkpoint_and_is_reported(checkpoint, monkeypatch, caplog):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("timellama.core.files.os.fsync", full)
    checkpoint.save(STATE | {"step": 4})
    assert "No space left" in caplog.text and checkpoint.load()["step"] == 3
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["checkpoint"]


def test_a_half_written_checkpoint_is_removed(checkpoint):
    (checkpoint.path.parent / ".checkpoint.abc").write_bytes(b"half")
    assert checkpoint.load()["step"] == 3
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["checkpoint"]
    checkpoint.remove()
    assert not checkpoint.path.exists()
    checkpoint.remove()


def test_generators_resume_where_they_were(tmp_path):
    def draw():
        return random.random(), random.gauss(), np.random.normal(), np.random.rand(), torch.rand(2).tolist()

    draw()  # an odd number of normal draws leaves one waiting
    checkpoint = Checkpoint(tmp_path, identity={})
    checkpoint.save(generator_states())
    expected = draw()
    assert draw() != expected
    restore_generators(checkpoint.load())
    assert draw() == expected
