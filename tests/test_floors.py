"""Every experiment has the floors that fit it, listed or not."""

import copy

import pytest
import yaml

from tests.refusal import refused
from timellama.experiments.matrix import make_matrix
from timellama.methods.m4_benchmarks import METHODS

FLOORS = ("look-back-mean", "seasonal-naive", "hour-of-day-mean")


@pytest.fixture
def config(root):
    """The smoke configuration with one experiment, given by the test."""
    smoke = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))

    def of(section, name="ablation"):
        return smoke | {"overrides": {}, "experiments": {name: section}}

    return of


def places(matrix, name="ablation"):
    return sorted(
        (run.variant, run.dataset, run.context, run.horizon) for run in matrix.experiment(name) if run.variant in FLOORS
    )


def test_each_data_set_look_back_and_horizon_has_its_floors(root, config):
    section = {
        "datasets": {"Synthetic": {"context": 96, "horizons": [24, 48]}},
        "methods": ["time-llama"],
        "also": [{"dataset": "Synthetic", "method": "dlinear", "context": 30, "horizons": [24]}],
    }
    matrix = make_matrix(config(section), root=root)
    # 30 steps hold one day of 24 hours: enough to repeat it, too few for a mean over days.
    assert places(matrix) == [
        ("hour-of-day-mean", "Synthetic", 96, 24),
        ("hour-of-day-mean", "Synthetic", 96, 48),
        ("look-back-mean", "Synthetic", 30, 24),
        ("look-back-mean", "Synthetic", 96, 24),
        ("look-back-mean", "Synthetic", 96, 48),
        ("seasonal-naive", "Synthetic", 30, 24),
        ("seasonal-naive", "Synthetic", 96, 24),
        ("seasonal-naive", "Synthetic", 96, 48),
    ]
    cells = matrix.cells("ablation")
    assert len(cells) == len(set(cells)) == 2 + 1 + 9, (
        "including the mean over days, for which the look-back is too short"
    )
    assert [(cell.variant, cell.context) for cell in matrix.impossible] == [("hour-of-day-mean", 30)]
    assert {cell[3] for cell in cells} == {"time-llama", "dlinear", *FLOORS}


def test_a_listed_floor_appears_once_and_is_the_same_run(root, config):
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["dlinear"]}
    alone = make_matrix(config(section), root=root)
    listed = make_matrix(config(section | {"methods": ["dlinear", "seasonal-naive"]}), root=root)
    single = {"dataset": "Synthetic", "method": "look-back-mean", "context": 96, "horizons": [24]}
    beside = make_matrix(config(section | {"also": [single]}), root=root)
    for matrix in (listed, beside):
        assert matrix.every_run().keys() == alone.every_run().keys()
        assert matrix.cells("ablation") == alone.cells("ablation"), "in the order of methods.yaml, wherever listed"


def test_a_floor_under_not_run_is_not_run(root, config):
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["dlinear"]}
    matrix = make_matrix(config(section | {"not_run": ["seasonal-naive"]}), root=root)
    assert {place[0] for place in places(matrix)} == {"look-back-mean", "hour-of-day-mean"}


def test_m4_has_no_mean_by_the_hour_of_the_day(root, config):
    section = {"datasets": {"M4-Hourly": {"context": 96, "horizons": [48]}}, "methods": ["dlinear"]}
    section["datasets"]["M4-Yearly"] = {"context": 12, "horizons": [6]}
    matrix = make_matrix(config(section, "short_term") | {"training": {}}, root=root)
    assert places(matrix, "short_term") == [
        ("look-back-mean", "M4-Hourly", 96, 48),
        ("look-back-mean", "M4-Yearly", 12, 6),
        ("seasonal-naive", "M4-Hourly", 96, 48),
        ("seasonal-naive", "M4-Yearly", 12, 6),
    ]


def test_the_benchmarks_of_m4_are_floors_there_and_nowhere_else(root, config):
    benchmarks = {method.name for method in METHODS}
    section = {"datasets": {"M4-Hourly": {"context": 96, "horizons": [48]}}, "methods": ["dlinear"]}
    matrix = make_matrix(config(section, "short_term") | {"training": {}}, root=root)
    assert benchmarks <= {run.variant for run in matrix.experiment("short_term")}
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["dlinear"]}
    assert not benchmarks & {run.variant for run in make_matrix(config(section), root=root).experiment("ablation")}
    with refused("'theta'", "Synthetic", "M4", "short_term"):
        make_matrix(config(section | {"methods": ["theta"]}), root=root).experiment("ablation")


def test_a_cell_with_too_few_rows_for_a_window_has_no_floor_either(root, config):
    section = {
        "train_percent": 5,
        "datasets": {"ETTh1": {"context": 512, "horizons": [96, 720]}},
        "methods": ["dlinear"],
    }
    matrix = make_matrix(config(section, "few_shot") | {"training": {}}, root=root)
    assert {place[3] for place in places(matrix, "few_shot")} == {96}


@pytest.mark.parametrize("name", ["smoke", "cpu", "gpu", "paper"])
def test_every_trained_cell_of_every_configuration_has_a_floor(root, name):
    config = yaml.safe_load((root / f"config/{name}.yaml").read_text(encoding="utf-8"))
    before = copy.deepcopy(config)
    matrix = make_matrix(config, root=root)
    assert config == before
    for experiment, runs in matrix.runs.items():
        trained = {(run.dataset, run.context, run.horizon) for run in runs if run.training}
        floors = {(run.dataset, run.context, run.horizon) for run in runs if run.variant == "look-back-mean"}
        assert trained and trained == floors, experiment
