"""What an experiment does before and after training: the order of columns, the device, whole files."""

import json
import os
import platform

import numpy as np
import pytest

from tests import made_up
from tests.refusal import refused
from timellama.core.jobs.lock import locked
from timellama.data.series import Series
from timellama.experiments.run import Training
from timellama.results.read.run_files import read_windows
from timellama.training import run as experiment
from timellama.training.device import pick_device
from timellama.training.run import in_order

SERIES = Series(
    values=np.arange(21.0).reshape(3, 7),
    time=np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="datetime64[s]"),
    columns=("a", "b", "c", "d", "e", "f", "g"),
    raw_sha256="0",
)


def test_order_0_is_that_of_the_file_and_others_move_names_with_values():
    assert in_order(SERIES, 0) is SERIES
    moved = in_order(SERIES, 1)
    assert moved.columns != SERIES.columns and sorted(moved.columns) == sorted(SERIES.columns)
    for place, name in enumerate(moved.columns):
        assert np.array_equal(moved.values[:, place], SERIES.values[:, SERIES.columns.index(name)])
    assert in_order(SERIES, 1).columns == moved.columns != in_order(SERIES, 2).columns


def test_an_absent_device_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    with refused("device", "'cuda'", "auto", "cpu", error=ValueError):
        pick_device("cuda")


@pytest.fixture
def start(sample_run, tmp_path):
    """Carries out a small run of DLinear; arguments change its `source_digest` and so on."""
    run = made_up.small(sample_run, training=Training(batch_size=16, max_steps=12))
    given = {"series": made_up.walk(tmp_path / "series.npz"), "kept": tmp_path / "kept"}
    return lambda **changed: made_up.carry_out(run, tmp_path / "run", **given | changed)


def test_metrics_say_where_the_numbers_come_from(start, tmp_path):
    metrics = start()
    assert metrics == json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    of_windows = read_windows(tmp_path / "run" / "windows.npz")
    assert {len(errors) for errors in of_windows.values()} == {metrics["n_windows"]}
    assert {name: errors.mean() for name, errors in of_windows.items()} == pytest.approx(
        {name: metrics[name] for name in ("mse", "mae")}, rel=1e-6
    )
    origin = metrics["provenance"]
    assert origin["data_sha256"] == "ef" and origin["source_digest"] == "cd" and origin["backbone_digest"] is None
    assert metrics["identity"].endswith(origin["run_digest"]) and metrics["seed"] == 0 and origin["threads"] == 1
    assert origin["started"] <= origin["ended"] and origin["resumed_at"] == []
    assert origin["versions"]["torch"] and origin["versions"]["python"] and "git_commit" in origin
    hardware = origin["hardware"]
    assert hardware["host_class"].startswith(f"{hardware['processor']}, {hardware['cores']} cores")
    assert hardware["host_class"].endswith(f"{hardware['memory_gib']} GiB, cpu") and hardware["memory_gib"] >= 1
    assert platform.node() not in json.dumps(metrics)
    assert not (tmp_path / "kept").exists()


def test_the_commit_is_that_of_the_code_that_started(start, monkeypatch):
    head = ["before"]
    monkeypatch.setattr(experiment.provenance, "commit", lambda: {"git_commit": head[0], "git_dirty": False})
    evaluate = experiment.evaluate

    def committed_meanwhile(*given, **named):
        head[0] = "after"
        return evaluate(*given, **named)

    monkeypatch.setattr(experiment, "evaluate", committed_meanwhile)
    assert start()["provenance"]["git_commit"] == "before" and head == ["after"]


def test_a_finished_training_is_kept_for_its_test_but_not_for_other_code(start, tmp_path, monkeypatch, caplog):
    def broken(*_, **__):
        raise OSError("no space left")

    expected = start()
    monkeypatch.setattr(experiment, "evaluate", broken)
    with refused("no space left", error=OSError):
        start()
    monkeypatch.undo()
    assert start(source_digest="12")["provenance"]["resumed_at"] == []
    assert "was made with another source_digest: the training starts afresh" in caplog.text
    assert not (tmp_path / "kept").exists()

    monkeypatch.setattr(experiment, "evaluate", broken)
    with refused("no space left", error=OSError):
        start()
    monkeypatch.undo()
    again = start()
    assert again["provenance"]["resumed_at"] == [12]
    seconds = again["seconds"]
    assert seconds["total"] > seconds["train"] + seconds["evaluate"] > 0, "with the training before the interruption"
    assert {name: again[name] for name in ("mse", "mae", "best_step")} == {
        name: expected[name] for name in ("mse", "mae", "best_step")
    }


def test_a_run_that_another_process_computes_is_left_alone(start, tmp_path):
    with locked(tmp_path / "kept", purpose="it"), refused(os.getpid(), "kill"):
        start()
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_leaves_the_old_results_intact(start, tmp_path, monkeypatch):
    start()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    monkeypatch.setattr("timellama.core.files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with refused("No space left", error=OSError):
        start(source_digest="12")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
