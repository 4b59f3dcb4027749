"""Runs that are killed at counted moments end as if they had not been, bit for bit."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_up import RUN_FILES

MOMENTS = random.Random(7)
FIRST = 0.02  # share of the calls after which the lock is held and signals are handled
TRIALS = {f"kill-{number}": [["SIGKILL", MOMENTS.random()]] for number in range(11)}
TRIALS["kill-thrice"] = [["SIGKILL", 0.8], ["SIGKILL", 0.2], ["SIGKILL", 0.1]]
TRIALS |= {f"stop-{number}": [["SIGTERM", MOMENTS.uniform(FIRST, 1)]] for number in range(4)}
TRIALS |= {"stop-late": [["SIGTERM", 0.98]], "ctrl-c": [["SIGINT", 0.5]]}


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> tuple[Path, dict[str, list[int]]]:
    """The folder with one folder per trial, and how the processes of each trial ended."""
    folder = tmp_path_factory.mktemp("kills") / "runs"
    script = Path(__file__).with_name("killing.py")
    done = subprocess.run([sys.executable, str(script), str(folder), json.dumps(TRIALS)], text=True, check=False)
    assert done.returncode == 0
    return folder, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def number_of(folder: Path) -> dict:
    """What a reader takes from a run, without times."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    kept = {key: metrics[key] for key in ("mse", "mae", "n_windows", "validation_loss", "steps", "best_step", "router")}
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    files = [
        (folder / name).read_bytes() for name in ("weights.safetensors", "forecasts.npz", "windows.npz", "router.csv")
    ]
    return kept | {"history": rows, "files": files}


@pytest.mark.parametrize("trial", TRIALS)
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(killed, trial):
    folder, report = killed
    assert report["undisturbed"] == [0] and report[trial][-1] == 0
    for (name, _), status in zip(TRIALS[trial], report[trial], strict=False):
        if name == "SIGKILL":
            assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        else:
            assert os.waitstatus_to_exitcode(status) == 128 + signal.Signals[name]
    assert number_of(folder / trial) == number_of(folder / "undisturbed")


def test_the_history_has_distinct_validation_losses(killed):
    rows = number_of(killed[0] / "undisturbed")["history"]
    assert len(rows) >= 6 and len({row["validation_loss"] for row in rows}) == len(rows)


def test_stopped_runs_resumed_and_did_not_start_over(killed):
    folder, _ = killed
    resumed = {
        trial: json.loads((folder / trial / "metrics.json").read_text(encoding="utf-8"))["provenance"]["resumed_at"]
        for trial in TRIALS
    }
    assert len(resumed["kill-thrice"]) >= 1 and resumed["stop-late"], resumed
    assert sum(bool(steps) for steps in resumed.values()) >= len(TRIALS) / 2, resumed
    undisturbed = json.loads((folder / "undisturbed" / "metrics.json").read_text(encoding="utf-8"))
    assert resumed["stop-late"] == [undisturbed["steps"]], "stopped in the evaluation: no step was repeated"
    assert undisturbed["provenance"]["resumed_at"] == []


def test_a_killed_run_leaves_its_progress(killed):
    folder, _ = killed
    left = json.loads((folder / "left.json").read_text(encoding="utf-8"))
    steps = json.loads((folder / "undisturbed" / "metrics.json").read_text(encoding="utf-8"))["steps"]
    found = [
        (name, each) for trial, orders in TRIALS.items() for (name, _), each in zip(orders, left[trial], strict=True)
    ]
    told = [(name, each) for name, each in found if each]
    assert len(told) > len(found) / 2, "only those interrupted before or after the training have none"
    for name, each in told:
        assert 0 <= each["step"] <= each["total"] and each["total"] == steps
        if name == "SIGKILL":
            assert each["state"] in ("running", "testing") and each["signal"] is None
        else:
            assert (each["state"], each["signal"]) == ("stopped", name)
    attempts = [each["attempt"] for each in left["kill-thrice"]]
    assert attempts[:2] == [1, 2] and attempts[2] in (2, 3), "the third may have been killed before it wrote"
    assert left["stop-late"][0]["step"] == steps


def test_nothing_but_the_results_is_left(killed):
    folder, _ = killed
    expected = {*RUN_FILES, "moments"}
    for trial in ("undisturbed", *TRIALS):
        assert {path.name for path in (folder / trial).iterdir()} == expected, trial
