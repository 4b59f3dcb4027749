"""Steps, windows, spreading and time of runs, against hand-computed values and the trainer itself."""

import dataclasses

import pytest
from torch import nn

from timellama.cost.flops import Costs, Counted
from timellama.cost.timing import Line, Point, fit, kind_of
from timellama.cost.workload import Assumed, device_bytes, makespan, run_flops, run_seconds, shape_run, workers_needed
from timellama.data.catalogue.datasets import load_catalogue
from timellama.experiments.memory import WHOLE
from timellama.experiments.run import Training
from timellama.experiments.work import windows_of, work_of
from timellama.methods.forecaster import as_forecaster
from timellama.methods.time_llama import TimeLlamaOptions
from timellama.training.train import _Trainer


@pytest.mark.parametrize(
    "training",
    [
        Training(),
        Training(max_steps=400, validation_windows=256),
        Training(epochs=1, batch_size=7, validations_per_epoch=1),
        Training(max_steps=3, least_validations=8),
        Training(sampling="variates", epochs=2),
        Training(max_series=5000),
    ],
)
def test_steps_and_validations_are_the_trainers(sample_run, training):
    """`_Trainer` decides when a run ends and validates."""
    windows = {"train": 1000, "validation": 300, "test": 130}
    work = work_of(dataclasses.replace(sample_run, training=training), windows)

    class Sized:
        batch, series, variates, masked = None, None, sample_run.variates, False

        def __len__(self):
            return windows["train"]

    trainer = _Trainer(
        as_forecaster(nn.Linear(1, 1)),
        windows=Sized(),
        validation=None,
        training=training,
        balance_weight=0.0,
        seed=0,
        device="cpu",
        precision="float32",
        compiled="off",
        fit=WHOLE,
        report=None,
    )
    every = trainer.steps.between_validations
    made = [step for step in range(trainer.total + 1) if step % every == 0 or step == trainer.total]
    assert (work.steps, work.validations) == (trainer.total, len(made))
    batches = -(-min(training.validation_windows or 300, 300) // 64)
    assert (work.validation_batches, work.test_batches) == (len(made) * batches, 3)


def test_windows_of_real_data_sets_are_counted(root, sample_run):
    known = load_catalogue(root / "config/datasets.yaml")
    etth1 = dataclasses.replace(sample_run, split=known["ETTh1"].split)
    assert windows_of(etth1, rows=17420, frequency="h")["test"] == 2785  # docs/data.md
    m4 = dataclasses.replace(sample_run, split=known["M4-Weekly"].split, horizon=13)
    found = windows_of(m4, rows=known["M4-Weekly"].rows, frequency=known["M4-Weekly"].frequency)
    assert found == {"train": 359 * (130 - 13 + 1), "validation": 359, "test": 359}


def test_time_and_operations_of_a_run_match_hand_computed_values(sample_run):
    counted = Counted(flops=1000, calls=10, bytes=64)
    costs = Costs(
        step=counted,
        forecast=Counted(flops=100, calls=200, bytes=640),
        forecast_windows=64,
        frozen=7,
        trained=3,
    )
    work = work_of(
        dataclasses.replace(sample_run, training=Training(max_steps=10, epochs=1, least_validations=2)),
        {"train": 320, "validation": 64, "test": 128},
    )
    assert (work.steps, work.validations, work.validation_batches, work.test_batches) == (10, 3, 3, 2)
    found = run_seconds(sample_run, work, costs, Assumed(flops_per_second=100, seconds_per_call=0.01), overhead=7)
    # A step: 1000 / 100 = 10 s, more than its calls; a forecast: 200 calls of 0.01 s are more than 100 / 100.
    assert (found.start, found.training, found.validation, found.test) == (7, 100, 6, 4)
    assert found.total == 117 and run_flops(work, costs) == 10 * 1000 + 5 * 100
    assert device_bytes(sample_run, costs, held=1.0) == (4 * 7 + 16 * 3 + 640,) * 2
    half = dataclasses.replace(sample_run, precision="bfloat16")
    assert device_bytes(half, costs, held=1.0) == (2 * 7 + 16 * 3 + 320, 2 * 7 + 16 * 3 + 640)


def test_runs_that_cost_the_same_have_one_shape(sample_run):
    assert shape_run(dataclasses.replace(sample_run, seed=3, dataset="other")) == shape_run(sample_run)
    other = dataclasses.replace(sample_run, options=TimeLlamaOptions(active=2, pooling="max", column_order=4))
    assert shape_run(other) == shape_run(sample_run)
    other = dataclasses.replace(sample_run, options=TimeLlamaOptions(prompt="generic"))
    assert shape_run(other) == shape_run(sample_run)
    for changed in (
        {"horizon": 192},
        {"variates": 21},
        {"options": TimeLlamaOptions(rank=4)},
        {"options": TimeLlamaOptions(prompt="statistics")},
        {"training": Training(batch_size=4)},
    ):
        assert shape_run(dataclasses.replace(sample_run, **changed)) != shape_run(sample_run)


def test_spreading_matches_hand_computed_values():
    jobs = [5.0, 4.0, 3.0, 3.0, 3.0]
    assert makespan(jobs, 1) == 18 and makespan(jobs, 5) == 5 and makespan(jobs, 100) == 5
    assert makespan(jobs, 2) == 10  # the longest first: 5 + 3, and 4 + 3 + 3
    assert workers_needed(jobs, 10) == 2 and workers_needed(jobs, 9) == 3 and workers_needed(jobs, 18) == 1
    assert workers_needed(jobs, 4.9) is None and workers_needed([], 1) == 0


def test_a_line_goes_through_its_points_and_is_never_negative():
    def point(calls, flops, seconds):
        return Point(shape="", windows=1, counted=Counted(flops=flops, calls=calls, bytes=0), seconds=seconds)

    line = fit([point(10, 100, 12.0), point(20, 1000, 120.0)])
    assert isinstance(line, Line) and (line.a, line.b) == pytest.approx((0.0, 0.12))
    line = fit([point(10, 100, 3.0), point(20, 1000, 14.0)])
    assert (line.a, line.b) == pytest.approx((0.2, 0.01))
    assert line.seconds(Counted(flops=500, calls=10, bytes=0)) == pytest.approx(7.0)
    assert fit([point(10, 100, 1.0), point(20, 1000, 0.5)]).b >= 0
    assert fit([point(4, 0, 2.0)]).a == 0.5


def test_kinds_separate_what_does_not_scale_with_operations(sample_run):
    assert kind_of(sample_run) == kind_of(dataclasses.replace(sample_run, horizon=720, variates=3))
    frozen = dataclasses.replace(sample_run, options=TimeLlamaOptions(adapter="none"))
    assert kind_of(frozen) != kind_of(sample_run)
