"""Kept trainings that did not validate their start, compared with that start."""

import csv
import dataclasses
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks import starts
from timellama.core import layout
from timellama.experiments.matrix import make_matrix
from timellama.experiments.run import Run


@pytest.fixture(scope="module")
def kept() -> pd.DataFrame:
    return pd.read_csv(starts.KEPT, low_memory=False).set_index("result")


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return pd.read_csv(starts.OUTPUT).set_index("result")


@pytest.fixture(scope="module")
def trained(finished) -> tuple[Path, dict[str, Run]]:
    """The finished project's results, and its runs that are trained, by variant."""
    config = yaml.safe_load((finished.folder / "config/config.yaml").read_text(encoding="utf-8"))
    runs = make_matrix(config, root=finished.folder).every_run().values()
    return finished.folder / "results", {run.variant: run for run in runs if run.training}


def parts_of(run: Run, results: Path):
    return starts.parts_of(run, layout.within(results, layout.SERIES, dataset=run.dataset))


@pytest.mark.parametrize("variant", ["dlinear", "time-llama"])
def test_the_start_equals_that_of_the_training(trained, variant):
    results, runs = trained
    run = runs[variant]
    with (results / run.folder / layout.HISTORY).open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert first["step"] == "0"
    loss = starts.start_of(run, parts_of(run, results), results=results)
    assert loss == pytest.approx(float(first["validation_loss"]), rel=1e-6)


def test_a_training_is_followed_until_its_loss_is_below_that_of_its_start(trained):
    results, runs = trained
    run, parts = runs["dlinear"], parts_of(runs["dlinear"], results)
    with (results / run.folder / layout.HISTORY).open(encoding="utf-8") as file:
        losses = {int(row["step"]): float(row["validation_loss"]) for row in csv.DictReader(file)}
    below = [step for step, loss in losses.items() if loss < losses[0]]
    assert starts.below_start(run, parts, results=results) == below[0]
    harmful = dataclasses.replace(run.training, learning_rate=100.0)
    assert starts.below_start(dataclasses.replace(run, training=harmful), parts, results=results) is None


def test_a_row_is_retrained_only_if_its_best_loss_came_late(trained):
    results, runs = trained
    run = runs["dlinear"]
    between = run.training.steps(windows=len(parts_of(run, results).train), variates=run.variates).between_validations
    early = starts.row_of(("r", run, 0.0, between), results=results)
    assert (early["validations_to_best"], early["validations_to_below"]) == (1, None)
    late = starts.row_of(("r", run, 0.0, between * run.training.patience + 1), results=results)
    assert late["validations_to_best"] == run.training.patience + 1
    assert 1 <= late["validations_to_below"] <= run.training.patience
    harmed = starts.row_of(("r", run, 1e9, between * run.training.patience + 1), results=results)
    assert harmed["validations_to_below"] is None


def test_only_trainings_of_older_code_are_selected():
    kept = pd.DataFrame({"provenance/git_commit": ["old", "new", "old"], "steps": [3, 3, 0]})
    assert list(starts.of_older_code(kept, older="old".__eq__).index) == [0]


def test_files_that_must_be_prepared_are_named(trained):
    _, runs = trained
    assert starts.needs([runs["dlinear"]]) == ["results/data/Synthetic/series.npz"]
    assert len(starts.needs(list(runs.values()))) == 2


def test_every_kept_training_of_those_commits_is_listed(kept, found):
    trainings = kept[kept["steps"] > 0]
    old = set(trainings.loc[found.index, "provenance/git_commit"])
    assert set(trainings.index[trainings["provenance/git_commit"].isin(old)]) == set(found.index)
    assert list(found["best"]) == list(kept.loc[found.index, "validation_loss"])


def test_no_kept_training_would_return_its_start(found):
    assert (found["best"] < found["start"]).all()
    first = found["validations_to_below"].fillna(found["validations_to_best"])
    assert (first <= found["patience"]).all()
