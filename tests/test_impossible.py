"""A cell that cannot be run is found when the plan is made, with its reason, and stops no other cell."""

import copy
import dataclasses

import pytest
import torch
import yaml

from tests import made_up
from tests.refusal import refused
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.flops import build_shape
from timellama.experiments.impossible import below_season, obstacles_of
from timellama.experiments.impossible_cells import grouped
from timellama.experiments.matrix import make_matrix
from timellama.methods.registry import every_method
from timellama.methods.series_method import reads_whole_series
from timellama.methods.time_llama import LEAST_STEPS
from timellama.methods.time_llama.statistics_prompt import StatisticsPrompt

METHODS = ["time-llama", "time-llm", "gpt4ts", "patchtst", "dlinear", "seasonal-naive", "hour-of-day-mean"]


@pytest.fixture
def smoke(root):
    """The smoke configuration with the experiments that a test gives."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))

    def of(experiments, **changes):
        changed = {"seeds": [0, 1], "training": {}, "overrides": {}, "experiments": experiments}
        return make_matrix(copy.deepcopy(config | changed | changes), root=root)

    return of


def grid(context, horizons, methods, dataset="Synthetic", **more):
    return {"datasets": {dataset: {"context": context, "horizons": horizons}}, "methods": methods, **more}


def lost(matrix):
    """Who lacks what: (variant, reason) of each impossible cell."""
    return {(cell.variant, cell.reason) for cell in matrix.impossible}


def test_a_cell_that_cannot_be_run_stops_no_other(smoke):
    matrix = smoke({"long_term": grid(12, [4], METHODS)})
    assert {run.variant for run in matrix.experiment("long_term")} == {
        "time-llama",
        "dlinear",
        "seasonal-naive",
        "look-back-mean",
    }
    reasons = lost(matrix)
    long = "a patch of 16 steps is longer than the look-back of 12"
    assert {("time-llm", long), ("gpt4ts", long), ("patchtst", long)} <= reasons
    assert ("time-llm", "features is 128, above the width of 32 that the language model has") in reasons
    [seasons] = [cell for cell in matrix.impossible if cell.variant == "hour-of-day-mean"]
    assert "season of 24 steps" in seasons.reason and "holds 0 of the 2" in seasons.reason
    assert seasons.remedy == "raise context to 48"
    assert all(cell.experiment == "long_term" and cell.remedy for cell in matrix.impossible)
    # One cell per method, whatever the seeds, and the cells of the table include them.
    assert {cell[3] for cell in matrix.cells("long_term")} >= {"time-llama", "dlinear", "PatchTST", "Time-LLM"}


def test_equal_reasons_are_reported_once(smoke):
    matrix = smoke({"long_term": grid(12, [4, 8], ["patchtst", "gpt4ts"]), "ablation": grid(12, [4], ["patchtst"])})
    [group] = grouped(matrix.impossible)
    assert group.who == "PatchTST, GPT4TS on tiny-gpt2 x2 (Synthetic)"
    assert group.cells == 5 and group.experiments == ("long_term", "ablation")


def test_a_language_model_with_too_few_blocks_loses_only_its_own_cells(smoke):
    backbones = [{"name": "tiny-gpt2", "blocks": blocks, "rank": 4} for blocks in (2, 9)]
    matrix = smoke({"long_term": grid(96, [24], ["time-llama", "dlinear"])}, backbones=backbones)
    assert {run.backbone.blocks for run in matrix.experiment("long_term") if run.backbone} == {2}
    [cell] = matrix.impossible
    assert (cell.variant, cell.backbone) == ("time-llama", "tiny-gpt2 x9")
    assert "4 blocks" in cell.reason and "9" in cell.reason and "backbones" in cell.remedy


def test_a_part_without_a_window_is_impossible_for_every_method(smoke):
    section = grid(96, [24, 5000], ["dlinear"])
    matrix = smoke({"long_term": section})
    assert {run.horizon for run in matrix.experiment("long_term")} == {24}
    [group] = grouped(matrix.impossible)
    assert group.who == "every method" and "horizon 5000" in group.reason and "lower" in group.remedy


@pytest.mark.parametrize(
    ("experiments", "named"),
    [
        (
            {"long_term": grid(100_000, [24], ["dlinear"])},
            ("smoke", "experiments.long_term", "Synthetic", 1200, "context", 100_000, "horizon", 24),
        ),
        (
            {"long_term": grid(96, [24], ["dlinear"]), "few_shot": grid(96, [24], ["dlinear"], train_percent=1)},
            ("smoke", "experiments.few_shot", "Synthetic", 1, "context", 96, "horizon", 24, "train_percent"),
        ),
    ],
)
def test_a_data_set_without_any_window_and_an_experiment_without_any_run_are_errors(smoke, experiments, named):
    with refused(*named):
        smoke(experiments)


def test_a_data_set_without_any_window_is_an_error_even_beside_one_that_has_some(smoke):
    section = grid(96, [24], ["dlinear"])
    section["datasets"]["ILI"] = {"context": 900, "horizons": [24]}
    with refused("experiments.long_term", "ILI", 966, "context", 900, "horizon", 24):
        smoke({"long_term": section})
    # With a window in one cell of the configuration, the other is a dash.
    small = section | {"datasets": {"ILI": {"context": 96, "horizons": [24]}}}
    matrix = smoke({"long_term": section, "ablation": small})
    assert {cell.context for cell in matrix.impossible if cell.of_data} == {900}


def test_sweeps_are_checked_at_their_own_numbers_of_variates(smoke):
    section = {"settings_of": "Traffic", "context": 12, "horizon": 4, "variates": [7], "batch_sizes": [1]}
    section |= {"methods": ["patchtst", "time-llama"], "threads": 2, "seconds": 1, "longest_call": 9}
    matrix = smoke({"efficiency": section | {"memory_share": 0.5}})
    assert [sweep.run.variant for sweep in matrix.efficiency()] == ["time-llama"]
    assert [(cell.experiment, cell.variant) for cell in matrix.impossible] == [("efficiency", "patchtst")]


def test_more_variates_than_the_language_model_has_positions_are_impossible(smoke):
    # Traffic has 862 variates, the tiny GPT-2 has room for 256 tokens.
    matrix = smoke({"long_term": grid(96, [24], ["time-llama", "dlinear"], dataset="Traffic")})
    assert [cell.variant for cell in matrix.impossible] == ["time-llama"]
    assert "room for 256 tokens" in matrix.impossible[0].reason and "862" in matrix.impossible[0].reason


def test_a_seasonal_forecast_below_a_season_repeats_the_last_value_and_is_reported(smoke):
    matrix = smoke({"long_term": grid(12, [4], ["dlinear"])})
    [(run, instead)] = below_season(matrix.experiment("long_term"))
    assert (run.variant, instead) == ("seasonal-naive", "repeats the last value")
    assert below_season(smoke({"long_term": grid(24, [4], ["dlinear"])}).experiment("long_term")) == []


# What a constructor or a first forecast refuses, and what it accepts: (method, options, look-back, horizon).
TRIED = [
    ("dlinear", {"kernel": 24}, 96, 24),
    ("dlinear", {"kernel": 1}, 1, 1),
    ("patchtst", {}, 15, 24),
    ("patchtst", {}, 16, 24),
    ("patchtst", {"patch_stride": 40}, 17, 24),
    ("patchtst", {"heads": 3}, 96, 24),
    ("gpt4ts", {}, 15, 24),
    ("gpt4ts", {"patch_length": 1, "patch_stride": 1}, 255, 4),
    ("gpt4ts", {"patch_length": 1, "patch_stride": 1}, 256, 4),
    ("itransformer", {"heads": 7}, 96, 24),
    ("itransformer", {}, 1, 1),
    ("timesnet", {}, 6, 3),
    ("timesnet", {}, 6, 4),
    ("timesnet", {"width": 15}, 96, 24),
    ("time-llm", {}, 96, 24),
    ("time-llm", {"features": 32}, 96, 24),
    ("time-llm", {"features": 32}, 15, 24),
    ("time-llm", {"features": 32, "patch_length": 2}, 4, 4),
    ("time-llm", {"features": 32, "patch_length": 2}, 5, 4),
    ("time-llama", {"heads": 5}, 96, 24),
    ("time-llama", {"heads": 5, "alignment": "none"}, 96, 24),
    ("time-llama", {"active": 6}, 96, 24),
    ("time-llama", {"active": 7}, 96, 24),
    ("time-llama", {"active": 7, "adapter": "static"}, 96, 24),
    ("time-llama", {"adapter": "moelora", "mixture_experts": 3}, 96, 24),
    ("time-llama", {"adapter": "moelora", "mixture_experts": 2}, 96, 24),
    ("time-llama", {"blocks": "attention"}, 96, 24),
    ("time-llama", {"blocks": "attention", "adapter": "none", "positions": "none"}, 96, 24),
    ("time-llama", {"blocks": "none", "adapter": "none", "positions": "none", "alignment": "prefix"}, 96, 24),
    ("time-llama", {"alignment": "prefix"}, 96, 24),
]


@pytest.fixture(scope="module")
def plain(root):
    """A run of every method on the tiny language model, and its catalogues."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    methods = [name for name, method in every_method().items() if not reads_whole_series(method)]
    section = grid(96, [24], methods, overrides={"time-llm": {"options": {"features": 16}}})
    matrix = make_matrix(config | {"seeds": [0], "overrides": {}, "experiments": {"long_term": section}}, root=root)
    return matrix, {run.variant: run for run in matrix.experiment("long_term")}


@pytest.mark.parametrize(("method", "options", "context", "horizon"), TRIED)
def test_the_plan_refuses_what_the_constructors_refuse(plain, method, options, context, horizon):
    matrix, runs = plain
    run = dataclasses.replace(runs[method], context=context, horizon=horizon)
    run = dataclasses.replace(run, options=dataclasses.replace(run.options, **options))
    entry = run.backbone and matrix.backbones[run.backbone.name]
    shape = entry and backbone_shape(entry, blocks=run.backbone.blocks, places=[])
    found = list(obstacles_of(run, matrix.datasets[run.dataset], entry))
    try:
        model = build_shape(run, shape=shape, device="cpu").eval()
        with torch.inference_mode():
            model(torch.randn(2, context, run.variates))
    except ValueError as error:
        assert found, f"the plan accepts what fails with: {error}"
    else:
        assert not found


def test_a_prompt_per_sample_needs_enough_steps_and_cannot_be_a_prefix(plain):
    matrix, runs = plain
    run, dataset = runs["time-llama"], matrix.datasets["Synthetic"]

    def reasons(context, **options):
        changed = dataclasses.replace(run, context=context, options=dataclasses.replace(run.options, **options))
        return [each.reason for each in obstacles_of(changed, dataset, matrix.backbones[run.backbone.name])]

    assert reasons(96, prompt="statistics", alignment="prefix") and not reasons(10, prompt="statistics")
    assert reasons(9, prompt="statistics") and not reasons(9, prompt="statistics", alignment="none")
    given = {"description": "", "tokenise": list, "embedding_table": torch.ones(2, 2), "scale": 1.0}
    StatisticsPrompt(context=10, **given)
    with refused("context", 9, "10 steps", 5, error=ValueError):
        StatisticsPrompt(context=9, **given)


def test_adalora_needs_a_budget_of_enough_steps(plain):
    matrix, runs = plain
    run = runs["time-llama"]
    run = dataclasses.replace(run, options=dataclasses.replace(run.options, adapter="adalora"))
    entry, dataset = matrix.backbones[run.backbone.name], matrix.datasets[run.dataset]
    for steps in (LEAST_STEPS - 1, LEAST_STEPS):
        short = dataclasses.replace(run, training=dataclasses.replace(run.training, max_steps=steps))
        assert bool(list(obstacles_of(short, dataset, entry))) == (steps < LEAST_STEPS)


def test_a_user_supplied_method_can_declare_its_obstacles(smoke, tmp_path, monkeypatch):
    text = """
from timellama.methods.dlinear import DLinearOptions
from timellama.methods.method import Method
from timellama.methods.obstacles import Obstacle

def obstacles(options, setting):
    if setting.horizon > 24:
        yield Obstacle(reason="it forecasts a day", remedy="lower horizon to 24")

NETWORK = "timellama.methods.dlinear.network:DLinear"
DAY = Method(name="day", options=DLinearOptions, network=NETWORK, obstacles=obstacles)
"""
    (tmp_path / "day_method.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = {"day": made_up.METHOD | {"method": "day_method:DAY"}}
    matrix = smoke({"long_term": grid(96, [24, 48], ["day", "dlinear"])}, methods=own)
    assert {run.horizon for run in matrix.experiment("long_term") if run.variant == "day"} == {24}
    assert [(cell.horizon, cell.reason) for cell in matrix.impossible] == [(48, "it forecasts a day")]
