"""What a run's lock, log, checkpoint and result say of it; the log lines are those that training itself writes."""

import dataclasses
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import pytest

from timellama.core.interruption import Interrupted, Signals
from timellama.core.job_log import job_log
from timellama.core.lock import locked
from timellama.data.series import Series, save_series
from timellama.data.splits import Split
from timellama.experiments.run import Training
from timellama.methods.dlinear import DLinearOptions
from timellama.results.digests import code_of_run
from timellama.results.status import CHECKPOINT, PROGRESS, count, is_locked, run_status
from timellama.training import checkpoint
from timellama.training.run import Outputs, execute

FILES = ("metrics.json", "weights.safetensors", "history.csv", "router.csv", "forecasts.npz")


@pytest.fixture
def run(sample_run):
    return dataclasses.replace(
        sample_run,
        split=Split(rule="ratio", train=0.6, validation=0.2, test=0.2),
        **{"context": 16, "horizon": 4, "variates": 2, "variant": "dlinear", "method": "dlinear"},
        options=DLinearOptions(kernel=3),
        training=Training(batch_size=16, max_steps=16),
        backbone=None,
        prompt=None,
    )


@pytest.fixture
def start(run, tmp_path):
    """Carries the run out as the workflow does, with its log."""
    values = np.random.default_rng(0).normal(size=(120, 2)).cumsum(axis=0)
    time = np.datetime64("2020-01-01", "s") + np.arange(120) * np.timedelta64(3600, "s")
    save_series(tmp_path / "series.npz", Series(values=values, time=time, columns=("a", "b"), raw_sha256="ef"))

    def start(**changed):
        with job_log(str(log_of(tmp_path, run))):
            execute(
                run,
                series=changed.get("series", tmp_path / "series.npz"),
                backbone_folder=None,
                outputs=Outputs(**{name.split(".")[0]: tmp_path / run.folder / name for name in FILES}),
                checkpoints=tmp_path / "checkpoints" / run.folder,
                threads=1,
                source_digest=changed.get("source_digest", code_of_run(run)),
            )

    return start


def log_of(results, run):
    return results / "logs/train" / f"{run.folder}.log"


def state(run, results, *, now=None):
    return run_status(run, results=results, now=now or datetime.now())


def test_a_run_that_was_not_begun_is_left(run, tmp_path):
    found = state(run, tmp_path)
    assert (found.state, found.note, found.step) == ("left", "", None)


def test_a_finished_run_is_done_and_one_of_other_code_says_so(run, start, tmp_path):
    start()
    found = state(run, tmp_path)
    metrics = json.loads((tmp_path / run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert (found.state, found.outdated, found.step) == ("done", False, 16)
    assert found.note == f"mse {metrics['mse']:.4f}, mae {metrics['mae']:.4f}"
    start(source_digest="other")
    assert state(run, tmp_path).outdated


def test_a_running_one_shows_its_last_validation(run, start, tmp_path):
    start()
    log = log_of(tmp_path, run)
    *_, before, last = list(PROGRESS.finditer(log.read_text(encoding="utf-8")))
    text = log.read_text(encoding="utf-8")[: before.end()].rsplit(" s left", 1)[0]
    log.write_text(f"{text.rsplit(' ', 1)[0]} 90 s left\n", encoding="utf-8")
    with locked(tmp_path / "checkpoints" / run.folder, purpose="the test"):
        found = state(run, tmp_path, now=datetime.fromisoformat(before["time"]) + timedelta(seconds=30))
        assert (found.state, found.step, found.total) == ("running", 15, 16), "a lock goes before an old result"
        assert found.train_loss == float(before["train"]) and found.validation_loss == float(before["validation"])
        assert found.seconds_left == 60
        late = state(run, tmp_path, now=datetime.fromisoformat(before["time"]) + timedelta(seconds=300))
        assert late.seconds_left == 0
        log.write_text(last[0], encoding="utf-8")
        assert (state(run, tmp_path).note, state(run, tmp_path).seconds_left) == ("testing", None)
        log.write_text("", encoding="utf-8")
        assert state(run, tmp_path).note == "no validation yet"


def test_patience_at_its_end_is_testing(run, tmp_path):
    log = log_of(tmp_path, run)
    log.parent.mkdir(parents=True)
    line = "epoch 0.10: train 0.5, validation 0.6, rate 1.00e-03, 5.0 steps/s, at most 9 s left"
    log.write_text(
        f"2024-06-01 10:00:00,123 INFO step 4 of 16, {line}\n"
        "2024-06-01 10:00:01,123 INFO no better validation loss in 3 validations: stopped at step 4\n",
        encoding="utf-8",
    )
    with locked(tmp_path / "checkpoints" / run.folder, purpose="the test"):
        assert state(run, tmp_path).note == "testing"


def test_a_failed_run_shows_its_error(run, start, tmp_path, capsys):
    with pytest.raises(SystemExit):
        start(series=tmp_path / "absent.npz")
    found = state(run, tmp_path)
    assert found.state == "failed" and "absent.npz: not a readable array file" in found.note
    assert count([found, found]) == {"done": 0, "running": 0, "failed": 2, "left": 0}


def test_an_interrupted_run_is_left_and_says_where_it_goes_on(run, start, tmp_path, monkeypatch):
    checks = []

    def check(self):
        checks.append(0)
        if len(checks) == 6:
            raise Interrupted(15)

    monkeypatch.setattr(Signals, "check", check)
    with pytest.raises(Interrupted):
        start()
    found = state(run, tmp_path)
    assert (found.state, found.total) == ("left", 16) and 0 < found.step < 16
    assert found.note == f"stopped after step {found.step} of 16; goes on from its checkpoint"
    (tmp_path / "checkpoints" / run.folder / checkpoint.NAME).unlink()
    assert state(run, tmp_path).note == ""


def test_the_checkpoints_name_is_its_modules():
    assert checkpoint.NAME == CHECKPOINT


def test_a_lock_is_seen_while_it_is_held_and_a_dead_ones_file_is_not_one(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    code = "import sys, time; from pathlib import Path; from timellama.core.lock import locked\n"
    code += "with locked(Path(sys.argv[1]), purpose='it'): print('held', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "held\n"
        assert is_locked(path)
        assert is_locked(path, locks=tmp_path / "no such list"), "the process in the file is alive"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert path.is_file(), "killed before it could clean up"
    assert not is_locked(path) and not is_locked(path, locks=tmp_path / "no such list")


def test_looking_takes_no_lock(tmp_path):
    with locked(tmp_path, purpose="it"):
        before = (tmp_path / "lock").read_bytes()
        assert is_locked(tmp_path / "lock")
        assert (tmp_path / "lock").read_bytes() == before and str(os.getpid()).encode() in before
