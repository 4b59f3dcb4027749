"""`timellama tensorboard`: the event files hold every value of the CSV files."""

import csv
import json
import sys
from datetime import datetime

import pytest

from tests.refusal import unnamed

OUT = "results/tensorboard"


def scalars(folder):
    """Maps (name, step) to the value and time of every event in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    names = events.Tags()["scalars"]
    return {(name, event.step): (event.value, event.wall_time) for name in names for event in events.Scalars(name)}


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_losses_are_written_with_their_step_and_time(made, say):
    place = made.place("dlinear-0")
    for _ in range(2):  # a second export replaces the first
        assert "1 runs" in say("tensorboard", place).stdout
    found = scalars(made.folder / OUT / made.runs["dlinear-0"].folder)
    history = rows(place / "history.csv")
    assert history and {name for name, _ in found} == {"loss/train", "loss/validation", "learning rate"}
    assert len(found) == 3 * len(history) - 2  # the untrained model has no training loss and no learning rate
    began = datetime.fromisoformat(json.loads((place / "metrics.json").read_text())["provenance"]["started"])
    for row in history:
        value, time = found["loss/validation", int(row["step"])]
        assert value == pytest.approx(float(row["validation_loss"]), rel=1e-6)
        assert time == pytest.approx(began.timestamp() + float(row["seconds"]), abs=1e-3)
    assert len(list((made.folder / OUT).rglob("events*"))) == 1


def test_router_choices_are_written(made, say):
    place = made.place("dlinear-0")
    step = rows(place / "history.csv")[0]["step"]
    lines = ["step,block,module,selection_rate,entropy", f"{step},0,Q,0.25,1.5", f"{step},0,K,0.75,1.5"]
    (place / "router.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    say("tensorboard", place)
    found = {
        name: value for (name, _), (value, _) in scalars(made.folder / OUT / made.runs["dlinear-0"].folder).items()
    }
    assert (found["router, block 0/Q"], found["router, block 0/K"]) == (0.25, 0.75)
    assert found["router entropy/block 0"] == 1.5


def test_without_a_name_every_trained_run_is_exported(made, say):
    text = say("tensorboard", "--out", "elsewhere").stdout
    trained = [run for run in made.runs.values() if run.training]
    assert f"{len(trained)} runs" in text and "1 runs train nothing" in text
    assert {file.parent for file in (made.folder / "elsewhere").rglob("events*")} == {
        made.folder / "elsewhere" / run.folder for run in trained
    }


def test_an_unknown_run_and_a_folder_without_runs_are_refused(made, say, monkeypatch, tmp_path):
    assert not unnamed(say("tensorboard", "no such run", code=2).stderr, "'no such run'")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert not unnamed(say("tensorboard", code=2).stderr, "results")


def test_without_tensorboard_the_error_says_how_to_install_it(made, say, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert not unnamed(say("tensorboard", code=2).stderr, "pip install -c constraints.txt -e '.[tensorboard]'")
    assert not (made.folder / OUT).exists()
