"""Resource requests of a training: hand-computed, at least what was measured, and not much more."""

import dataclasses

import pytest

from timellama.cost.job_limits import LONGEST, START, memory, minutes
from timellama.experiments.run import Backbone, Training
from timellama.methods.dlinear import DLinearOptions
from timellama.methods.time_llama import TimeLlamaOptions

# The highest resident memory in MB (Snakemake's `benchmark:`) of the trainings of config/cpu.yaml on an Intel Xeon with
# two cores, the largest of each kind over seeds and horizons 96 and 192. Six blocks of SmolLM2-135M, whose D is 576.
SIZES = {"ETTh1": (17420, 7, 428), "Weather": (52696, 21, 336)}  # rows, variates and characters of the prompt
MEASURED = [
    ("ETTh1", {}, 583),
    ("ETTh1", {"train_backbone": True}, 1333),
    ("Weather", {}, 765),
    ("Weather", {"adapter": "adalora"}, 817),
    ("Weather", {"alignment": "prefix"}, 1708),
]


def training(sample_run, dataset, **options):
    return dataclasses.replace(
        sample_run,
        dataset=dataset,
        variates=SIZES[dataset][1],
        options=TimeLlamaOptions(**options),
        backbone=Backbone(name="SmolLM2-135M", blocks=6, pin="0"),
        prompt="x" * SIZES[dataset][2],
    )


@pytest.mark.parametrize(("dataset", "options", "measured"), MEASURED)
def test_memory_is_at_least_what_was_measured_and_at_most_three_times_that(sample_run, dataset, options, measured):
    run = training(sample_run, dataset, **options)
    asked = memory(run, rows=SIZES[dataset][0], width=576, cuda=False)
    assert measured <= asked["host"] <= 3 * measured and asked["device"] == 0


def test_memory_matches_a_hand_computed_request(sample_run):
    run = dataclasses.replace(training(sample_run, "ETTh1"), precision="bfloat16")
    frozen = 6 * 27 * 4096**2 * 2
    trained = (5 + 1) * 4096**2 + (512 + 96) * 4096 + 7 * 6 * 8 * 9 * 4096
    passes = 16 * 6 * 7 * 42 * 4096 * 4  # 16 windows through 6 blocks take more than 64 through one
    passes += 64 * 96 * 7 * 64  # the scores of 64 windows
    series = 17420 * 7 * 24
    host, device = 2 * frozen + 36 * trained + series, frozen + 36 * trained + passes
    assert memory(run, rows=17420, width=4096, cuda=True) == {
        "host": 4000 + host // 10**6,
        "device": 1000 + device // 10**6,
    }


def test_the_scores_of_many_variates_at_a_long_horizon_are_in_the_bound(sample_run):
    """554 MB were measured for DLinear on Weather at horizon 720, on an AMD EPYC with two cores."""
    run = dataclasses.replace(
        sample_run, method="dlinear", options=DLinearOptions(), backbone=None, prompt=None, variates=21, horizon=720
    )
    assert 554 <= memory(run, rows=52696, width=None, cuda=False)["host"] <= 2 * 554


def test_minutes_match_a_hand_computed_request_and_are_capped_at_a_day(sample_run):
    run = dataclasses.replace(
        training(sample_run, "ETTh1"), training=Training(max_steps=400, validation_windows=256, validations_per_epoch=4)
    )
    # 12 months of 30 days have 8033 windows, 503 steps per epoch. A quarter of it is 125 steps, an eighth of 400 is 50:
    # 8 validations, and one before the first step. 4 months have 2785 windows, which fit in 44 batches of 64.
    seen = 44 * 64 + 3 * 400 * 16 + 9 * 256
    operations = 2 * seen * 7 * 6 * 27 * 576**2
    expected = START + round(operations / 2e10 / 60)
    assert minutes(run, rows=17420, width=576, cuda=False, threads=1, frequency="h") == expected > START
    assert minutes(run, rows=17420, width=65536, cuda=False, threads=1, frequency="h") == LONGEST


def test_a_method_without_training_requests_what_its_libraries_and_series_need(sample_run):
    run = dataclasses.replace(sample_run, method="seasonal-naive", options=None, training=None, backbone=None)
    assert memory(run, rows=17420, width=None, cuda=False)["host"] < 500
    assert minutes(run, rows=17420, width=None, cuda=False, threads=1, frequency="h") == START
