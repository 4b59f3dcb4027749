"""What a run's lock, log, checkpoint and result say about it; the progress files are those that training writes."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests import made_up
from timellama.core.jobs.interruption import Interrupted, Signals
from timellama.core.jobs.job_log import job_log
from timellama.core.jobs.job_state import CHECKPOINT, ProgressWriter, read_error, read_progress
from timellama.core.jobs.lock import locked
from timellama.experiments.run import Training
from timellama.results.digests import code_of_run
from timellama.results.status import count, is_locked, is_measured, run_status
from timellama.training.steps import checkpoint


@pytest.fixture
def run(sample_run):
    return made_up.small(sample_run, training=Training(batch_size=16, max_steps=16))


@pytest.fixture
def start(run, tmp_path):
    """Carries the run out as the workflow does, with its log."""
    series = made_up.walk(tmp_path / "series.npz")

    def start(**changed):
        with job_log(str(log_of(tmp_path, run)), progress=str(kept_of(tmp_path, run))):
            given = {"series": series, "kept": kept_of(tmp_path, run), "source_digest": code_of_run(run)}
            made_up.carry_out(run, tmp_path / run.folder, **given | changed)

    return start


def log_of(results, run):
    return results / "logs/train" / f"{run.folder}.log"


def kept_of(results, run):
    return results / "checkpoints" / run.folder


def state(run, results, *, now=None):
    return run_status(run, results=results, now=now or datetime.now(UTC))


def test_a_run_that_has_not_started_is_left(run, tmp_path):
    found = state(run, tmp_path)
    assert (found.state, found.note, found.step) == ("left", "", None)


def test_a_finished_run_is_done_and_one_of_other_code_is_outdated(run, start, tmp_path):
    start()
    found = state(run, tmp_path)
    metrics = json.loads((tmp_path / run.folder / "metrics.json").read_text(encoding="utf-8"))
    assert (found.state, found.outdated, found.step) == ("done", False, 16)
    assert found.note == f"mse {metrics['mse']:.4f}, mae {metrics['mae']:.4f}"
    start(source_digest="other")
    assert state(run, tmp_path).outdated


def told(run, results, **changed):
    """Write this process's progress file, of a running training unless `changed` says otherwise."""
    facts = {"state": "running", "step": 4, "total": 16, "seconds": 8.0, "resumed_at": []}
    facts |= {"train_loss": 0.5, "validation_loss": 0.625, "best": 0.25, "best_step": 2}
    writer = ProgressWriter(kept_of(results, run))
    writer.write(**facts | changed)
    return writer


def test_a_finished_run_leaves_no_progress_and_no_error(run, start, tmp_path):
    start()
    assert not kept_of(tmp_path, run).exists() and read_error(log_of(tmp_path, run)) is None


def test_a_running_run_shows_its_last_validation(run, start, tmp_path):
    start()
    with locked(kept_of(tmp_path, run), purpose="the test"):
        assert (state(run, tmp_path).state, state(run, tmp_path).note) == ("running", "starting"), "not its old result"
        told(run, tmp_path)
        updated = datetime.fromisoformat(read_progress(kept_of(tmp_path, run)).updated)
        found = state(run, tmp_path, now=updated + timedelta(seconds=9))
        assert (found.state, found.note, found.step, found.total) == ("running", "", 4, 16)
        assert (found.train_loss, found.validation_loss, found.steps_per_second) == (0.5, 0.625, 0.5)
        assert found.seconds_left == 24 - 9, "12 steps of 2 seconds each"
        assert state(run, tmp_path, now=updated + timedelta(seconds=300)).seconds_left == 0
        told(run, tmp_path, state="testing")
        assert (state(run, tmp_path).note, state(run, tmp_path).seconds_left) == ("testing", None)
        told(run, tmp_path, best=None, best_step=None)
        assert state(run, tmp_path).note == "no validation yet"


def test_the_progress_of_an_earlier_process_is_ignored_in_a_running_run(run, tmp_path):
    told(run, tmp_path)
    change_progress(kept_of(tmp_path, run), process=-1)
    with locked(kept_of(tmp_path, run), purpose="the test"):
        assert (state(run, tmp_path).note, state(run, tmp_path).step) == ("starting", None)


def change_progress(folder, **facts):
    file = folder / "progress.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | facts), encoding="utf-8")


@pytest.mark.parametrize("what", ["running", "testing"])
def test_a_killed_run_has_failed_and_says_how_far_it_came(run, tmp_path, what):
    told(run, tmp_path, state=what)
    found = state(run, tmp_path)
    assert (found.state, found.step, found.total) == ("failed", 4, 16)
    assert found.note.startswith("killed after step 4 of 16") and "checkpoint" not in found.note
    (kept_of(tmp_path, run) / CHECKPOINT).touch()
    assert "checkpoint" in state(run, tmp_path).note


def test_a_run_of_another_machine_is_not_reported_as_killed(run, tmp_path):
    told(run, tmp_path)
    change_progress(kept_of(tmp_path, run), host="another machine")
    found = state(run, tmp_path)
    assert (found.state, found.step) == ("left", 4) and "another machine" in found.note


def test_training_reports_its_progress(run, start, tmp_path, monkeypatch):
    files, write = [], ProgressWriter._write

    def kept(self, facts):
        write(self, facts)
        files.append(read_progress(kept_of(tmp_path, run)))

    monkeypatch.setattr(ProgressWriter, "_write", kept)
    start()
    assert [files[0].step, files[-1].step, files[-1].state] == [0, 16, "testing"]
    assert {file.total for file in files} == {16} and {file.process for file in files} == {os.getpid()}
    with (tmp_path / run.folder / "history.csv").open(encoding="utf-8", newline="") as file:
        history = {int(row["step"]): float(row["validation_loss"]) for row in csv.DictReader(file)}
    seen = {file.step: file.validation_loss for file in files if file.validation_loss is not None}
    assert seen == history and files[-1].best == min(history.values())


def test_a_progress_file_that_cannot_be_written_does_not_stop_training(run, start, tmp_path, monkeypatch):
    start()
    expected = (tmp_path / run.folder / "weights.safetensors").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("timellama.core.jobs.job_state._replace", full)
    start()
    assert (tmp_path / run.folder / "weights.safetensors").read_bytes() == expected
    assert "progress.json cannot be written" in log_of(tmp_path, run).read_text(encoding="utf-8")


def test_a_failed_run_shows_its_error(run, start, tmp_path, capsys):
    with pytest.raises(SystemExit):
        start(series=tmp_path / "absent.npz")
    found = state(run, tmp_path)
    assert found.state == "failed" and "absent.npz" in found.note
    assert count([found, found]) == {"done": 0, "running": 0, "failed": 2, "left": 0}


def test_an_interrupted_run_is_left_and_says_where_it_resumes(run, start, tmp_path, monkeypatch):
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
    assert found.note == f"stopped by SIGTERM after step {found.step} of 16; it resumes from its checkpoint"
    (kept_of(tmp_path, run) / checkpoint.NAME).unlink()
    assert state(run, tmp_path).note == f"stopped by SIGTERM after step {found.step} of 16"
    monkeypatch.undo()
    with pytest.raises(SystemExit):
        start(series=tmp_path / "absent.npz")
    assert read_error(log_of(tmp_path, run)).step == found.step, "how far its training is known to have come"
    start()
    assert state(run, tmp_path).state == "done" and read_error(log_of(tmp_path, run)) is None


def test_an_interruption_of_the_test_is_recorded_too(run, start, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise Interrupted(2)

    monkeypatch.setattr("timellama.training.run.evaluate", stop)
    with pytest.raises(Interrupted):
        start()
    found = state(run, tmp_path)
    assert (found.state, found.step) == ("left", 16) and found.note.startswith("stopped by SIGINT after step 16 of 16")


def test_a_divergence_names_step_parameters_and_remedy(run, start, tmp_path, monkeypatch):
    monkeypatch.setattr("timellama.training.train.validate", lambda *_, **__: (float("nan"), []))
    with pytest.raises(SystemExit):
        start()
    error = read_error(log_of(tmp_path, run))
    assert (error.type, error.total, error.parameters) == ("TrainingFailed", 16, ["learning_rate"])
    assert error.step == 0 and error.message.endswith(f": {error.remedy}") and f"step {error.step}" in error.message
    assert state(run, tmp_path).state == "failed" and state(run, tmp_path).step == error.step


def test_the_checkpoints_file_name_is_that_of_its_module():
    assert checkpoint.NAME == CHECKPOINT


def test_a_lock_counts_while_it_is_held_and_not_after_its_process_was_killed(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    code = "import sys, time; from pathlib import Path; from timellama.core.jobs.lock import locked\n"
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


def test_checking_a_lock_does_not_take_it(tmp_path):
    with locked(tmp_path, purpose="it"):
        before = (tmp_path / "lock").read_bytes()
        assert is_locked(tmp_path / "lock")
        assert (tmp_path / "lock").read_bytes() == before and str(os.getpid()).encode() in before


def test_a_run_with_other_metrics_than_the_configurations_is_not_measured(run, tmp_path):
    def measured(records, **definitions):
        document = {"metrics": records} if records else {}
        (tmp_path / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
        return is_measured(run, tmp_path / "metrics.json", definitions)

    near = {"near": {"place": "mine:NEAR", "definition": "a"}}
    assert measured({}) and measured(near, **{"mine:NEAR": "a"})
    assert not measured(near, **{"mine:NEAR": "b"}), "its definition has changed"
    assert not measured(near) and not measured({}, **{"mine:NEAR": "a"})
    assert is_measured(dataclasses.replace(run, task="short-term"), tmp_path / "absent.json", {"mine:NEAR": "a"})
