"""The search: points, trials and their budgets, the choice by validation loss only, and what its table says."""

import copy
import dataclasses
import io
import json

import pandas as pd
import pytest
import yaml

from benchmarks import sobol
from tests.made_up import DOCUMENT, carry_out, small, walk
from tests.refusal import refused
from timellama.core import layout
from timellama.core.schema import read_yaml
from timellama.experiments.configuration import Search
from timellama.experiments.matrix import make_matrix
from timellama.experiments.run import Run
from timellama.experiments.search import SOBOL, expanded, points, space_of
from timellama.methods.patchtst import PatchTSTOptions
from timellama.methods.space import SHARED, Choices, Interval
from timellama.reports.render.table_csv import to_csv
from timellama.reports.report import ReportContext
from timellama.reports.report_facts import report_facts
from timellama.reports.tables import search as search_table
from timellama.results.numbers import COLUMNS
from timellama.results.read.runs import read_run
from timellama.results.search import at_an_end, at_the_edge, expected_best, found
from timellama.training.choice import choose, settled
from timellama.training.run import CHOSEN

SEARCH = {
    "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
    "methods": ["time-llama", "time-llama-none", "dlinear", "seasonal-naive"],
    "seeds": [0, 1],
    "trials": 4,
    "samples": 100,
    "validations": 5,
    "validation_windows": 32,
}


def configured(root, **changes) -> dict:
    """The smoke configuration with only this search."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    return config | {"experiments": {"search": copy.deepcopy(SEARCH) | changes}}


@pytest.fixture
def runs(root) -> list[Run]:
    """The runs of a search in the smoke configuration."""
    return make_matrix(configured(root), root=root).experiment("search")


def of(runs: list[Run], variant: str) -> tuple[list[Run], list[Run], list[Run]]:
    """The published, tried and searched runs of a variant."""
    mine = [run for run in runs if run.variant == variant]
    searched = [run for run in mine if run.trials]
    tried = [run for run in mine if searched and run.folder in searched[0].trials]
    return [run for run in mine if run not in searched and run not in tried], tried, searched


def test_the_points_are_scipys():
    assert SOBOL.read_text(encoding="utf-8") == sobol.text()


def test_each_eighth_of_a_parameter_holds_one_of_eight_points():
    for dimension in zip(*points()[:8], strict=True):
        assert sorted(int(value * 8) for value in dimension) == list(range(8))


def test_values_at_a_point_match_hand_computed_values():
    rate = Interval(low=1e-4, high=1e-2, logarithmic=True)
    assert [rate.at(point) for point in (0.0, 0.5, 1.0)] == [1e-4, 1e-3, 1e-2]
    assert rate.at(0.75) == 0.0032, "10 ** -2.5 in two digits"
    assert Interval(low=0.0, high=0.5).at(0.5) == 0.25
    assert [Choices(values=("a", "b", "c")).at(point) for point in (0.0, 0.33, 0.34, 0.99, 1.0)] == list("aabcc")


def test_every_trained_method_gets_the_same_number_of_trials_and_one_budget(runs):
    for variant in ("time-llama", "time-llama-none", "dlinear"):
        published, tried, searched = of(runs, variant)
        assert [run.seed for run in published] == [run.seed for run in searched] == [0, 1]
        assert [run.seed for run in tried] == [0] * 4
        for run in tried:
            training = run.training
            assert training.max_steps == -(-100 // training.batch_size), "100 windows, whatever the batch"
            assert (training.least_validations, training.validation_windows) == (5, 32)
            assert training.patience >= training.max_steps <= training.epochs, "only the budget ends it"
    assert len(of(runs, "seasonal-naive")[0]) == 1 and not of(runs, "seasonal-naive")[2]


def test_all_methods_are_tried_at_the_same_points(runs):
    settings = {
        variant: [dataclasses.astuple(run.training) for run in of(runs, variant)[1]]
        for variant in ("time-llama", "time-llama-none")
    }
    assert settings["time-llama"] == settings["time-llama-none"]
    rates = [[run.training.learning_rate for run in of(runs, variant)[1]] for variant in ("dlinear", "time-llama")]
    assert rates[0] == rates[1] == [SHARED["learning_rate"].at(point[0]) for point in points()[:4]]
    scales = [run.options.token_scale for run in of(runs, "time-llama")[1]]
    assert len(set(scales)) == 4 and all(1 <= scale <= 300 for scale in scales)


def test_the_options_that_define_a_variant_are_not_searched():
    assert "token_embedding" in space_of("time-llama")
    assert "token_embedding" not in space_of("time-llama", fixed=frozenset({"token_embedding"}))


def test_a_searched_run_is_identified_by_its_trials(runs):
    _, tried, searched = of(runs, "dlinear")
    assert searched[0].choice == searched[1].choice and searched[0].folder != searched[1].folder
    assert Run.from_json(searched[0].to_json()) == searched[0]
    other = dataclasses.replace(searched[0], trials=searched[0].trials[:-1])
    assert other.digest != searched[0].digest and other.choice != searched[0].choice
    assert {run.folder for run in tried} == set(searched[0].trials)


def test_more_trials_than_points_are_refused(root):
    with refused("trials", 65, 64):
        make_matrix(configured(root, trials=65), root=root)


LOSSES = [0.5, 0.3, 0.3, 0.7]


def written(folder, runs: list[Run], *, losses=LOSSES, errors=(0.1, 0.4, 0.2, 0.3)) -> dict[str, list]:
    """Made-up results of DLinear: published 0.45 and 0.47, trials with these losses and errors, searched 0.35, 0.37."""
    published, tried, searched = of(runs, "dlinear")
    paths = {"published": [], "trials": [], "searched": []}

    def write(part, run, *, mse, loss, best_step=2):
        document = DOCUMENT | {
            "run": json.loads(run.to_json()),
            "identity": run.identity,
            **({"chosen": {key: json.loads(tried[1].to_json())[key] for key in CHOSEN}} if run.trials else {}),
            "mse": mse,
            "mae": mse,
            "validation_loss": loss,
            "best_step": best_step,
            "steps": 4,
            "provenance": DOCUMENT["provenance"] | {"data_sha256": run.data_sha256},
        }
        path = folder / layout.metrics_of(run.folder)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(document), encoding="utf-8")
        paths[part].append(path)

    for run, mse in zip(published, (0.45, 0.47), strict=True):
        write("published", run, mse=mse, loss=0.6)
    for run, loss, mse in zip(tried, losses, errors, strict=True):
        write("trials", run, mse=mse, loss=loss)
    for run, mse in zip(searched, (0.35, 0.37), strict=True):
        write("searched", run, mse=mse, loss=0.3)
    return paths


def tabled(runs, paths):
    """The table of made-up results, of DLinear and of the floor."""
    floor = {"label": "Seasonal naive", "floor": True}
    facts = {
        "trials": [run.folder for run in of(runs, "dlinear")[1]],
        "methods": {"dlinear": {"label": "DLinear", "floor": False}, "seasonal-naive": floor},
        "planned": [("Synthetic", 96, 24, "dlinear"), ("Synthetic", 96, 24, "seasonal-naive")],
        "remark": "",
        "configuration": "smoke",
        "generated": ["Synthetic"],
        "changed": {"dlinear": ["schedule"]},
    }
    files = {"search": [path for part in paths.values() for path in part]}
    return search_table.table(ReportContext(report=None, files=files, facts=facts))


def test_the_choice_is_by_validation_loss_and_names_every_trial(tmp_path, runs):
    paths = written(tmp_path, runs)
    _, tried, searched = of(runs, "dlinear")
    choice = choose(paths["trials"], out=tmp_path / "choice.json")
    assert choice["folder"] == tried[1].folder, "the lowest loss, the first of two; the test error of another is lower"
    assert [(trial["folder"], trial["validation_loss"]) for trial in choice["trials"]] == list(
        zip([run.folder for run in tried], LOSSES, strict=True)
    )
    used = settled(searched[1], tmp_path / "choice.json")
    assert used == dataclasses.replace(tried[1], seed=1)
    assert settled(tried[0], None) is tried[0]


def test_a_choice_among_other_trials_is_refused(tmp_path, runs):
    paths = written(tmp_path, runs)
    choose(paths["trials"][:3], out=tmp_path / "choice.json")
    with refused(tmp_path / "choice.json", error=ValueError):
        settled(of(runs, "dlinear")[2][0], tmp_path / "choice.json")


@pytest.mark.parametrize("lost", ["validation_loss", "best_step", "steps", "identity"])
def test_a_trial_without_what_a_choice_needs_is_named(tmp_path, runs, lost):
    first = written(tmp_path, runs)["trials"][0]
    document = json.loads(first.read_text(encoding="utf-8"))
    document.pop(lost)
    first.write_text(json.dumps(document), encoding="utf-8")
    with refused(first, lost):
        choose([first], out=tmp_path / "choice.json")
    assert not (tmp_path / "choice.json").exists()


@pytest.mark.parametrize("lost", ["options", "training", "trials"])
def test_a_damaged_choice_is_named(tmp_path, runs, lost):
    file = tmp_path / "choice.json"
    choice = choose(written(tmp_path, runs)["trials"], out=file)
    file.write_text(json.dumps({key: value for key, value in choice.items() if key != lost}), encoding="utf-8")
    with refused(file, lost):
        settled(of(runs, "dlinear")[2][0], file)
    file.write_text("{", encoding="utf-8")
    with refused(file, "JSON"):
        settled(of(runs, "dlinear")[2][0], file)


def test_the_expected_best_matches_hand_computed_values():
    assert expected_best([3.0, 1.0], 1) == 2.0
    assert expected_best([3.0, 1.0], 2) == pytest.approx(0.75 * 1 + 0.25 * 3), "both draws are 3 one time in four"
    assert expected_best([1.0, 2.0, 3.0], 2) == pytest.approx((5 * 1 + 3 * 2 + 1 * 3) / 9)
    with refused("losses", 1, "k", 0, error=ValueError):
        expected_best([1.0], 0)


def cell_of(tmp_path, runs, **changes):
    paths = written(tmp_path, runs, **changes)
    trials = [run.folder for run in of(runs, "dlinear")[1]]
    [cell] = found([path for of_part in paths.values() for path in of_part], trials=trials)
    return cell


def test_a_cell_separates_published_tried_and_searched_runs(tmp_path, runs):
    cell = cell_of(tmp_path, runs)
    assert [document["mse"] for document in cell.published] == [0.45, 0.47]
    assert len(cell.trials) == 4 and [document["mse"] for document in cell.searched] == [0.35, 0.37]
    assert cell.best["validation_loss"] == 0.3


def test_there_is_no_choice_before_all_trials_have_results(tmp_path, runs):
    paths = written(tmp_path, runs)
    trials = [run.folder for run in of(runs, "dlinear")[1]]
    [cell] = found(paths["published"] + paths["trials"][:3], trials=trials)
    assert cell.trials == () and cell.best is None and len(cell.published) == 2


@pytest.mark.parametrize("best", range(4))
def test_a_choice_at_the_edge_is_flagged(tmp_path, runs, best):
    cell = cell_of(tmp_path, runs, losses=[0.2 if number == best else 0.5 for number in range(4)])
    rates = [run.training.learning_rate for run in of(runs, "dlinear")[1]]
    wanted = ["learning_rate"] if rates[best] in (min(rates), max(rates)) else []
    assert at_the_edge(cell, space_of("dlinear")) == wanted


@pytest.mark.parametrize(("step", "end"), [(0, "first"), (1, ""), (4, "last")])
def test_a_choice_at_its_first_or_last_validation_is_flagged(tmp_path, runs, step, end):
    cell = cell_of(tmp_path, runs)
    best = dict(cell.best) | {"best_step": step}
    assert at_an_end(dataclasses.replace(cell, trials=(best,))) == end


def test_the_table_shows_published_and_searched_errors_side_by_side(tmp_path, runs):
    made = tabled(runs, written(tmp_path, runs))
    [[[row]]] = [block.groups[0] for block in made.blocks]
    texts = [cell.text for cell in row]
    assert texts[:3] == ["Synthetic", "24", "DLinear"]
    assert texts[4:7] == ["0.450", "0.362", "0.313"], "of 1, 2 and 4 trials, hand-computed"
    assert texts[7:11] == ["0.460", "0.360", "0.460", "0.360"]
    assert "config/methods.yaml, except those that this configuration sets: schedule (DLinear)." in made.notes[0]


def test_the_flat_rows_are_one_per_cell_settings_and_metric(tmp_path, runs):
    paths = written(tmp_path, runs)
    [naive] = of(runs, "seasonal-naive")[0]
    floor = tmp_path / layout.metrics_of(naive.folder)
    floor.parent.mkdir(parents=True)
    untrained = {"mse": 0.9, "mae": 0.8, "validation_loss": None, "best_step": None, "steps": None}
    untrained |= {"run": json.loads(naive.to_json()), "identity": naive.identity}
    untrained |= {"provenance": DOCUMENT["provenance"] | {"data_sha256": naive.data_sha256}}
    floor.write_text(json.dumps(DOCUMENT | untrained), encoding="utf-8")
    text = to_csv(tabled(runs, paths | {"floor": [floor]}))
    rows = pd.read_csv(io.StringIO(text), dtype={"seeds": str, "commit": str})
    assert tuple(rows.columns[: len(COLUMNS)]) == COLUMNS
    assert not rows.duplicated(["method", "settings", "trial", "metric"]).any()
    errors = rows[(rows["metric"] == "mse") & (rows["method"] == "DLinear")]
    [published], [searched] = (
        errors[errors["settings"] == name].to_dict("records") for name in ("published", "searched")
    )
    for row, mean in ((published, 0.46), (searched, 0.36)):
        # Of two values 0.02 apart, the deviation is 0.02 / sqrt(2).
        assert row["mean"] == pytest.approx(mean) and row["std"] == pytest.approx(0.02 / 2**0.5)
        assert (row["data_set"], row["horizon"], row["look_back"], row["seeds"]) == ("Synthetic", 24, 96, "0 1")
        assert (row["windows"], row["commit"]) == (2785, "0123456")
    _, tried, _ = of(runs, "dlinear")
    rates = {run.training.learning_rate: error for run, error in zip(tried, (0.1, 0.4, 0.2, 0.3), strict=True)}
    trials = errors[errors["settings"] == "trial"]
    assert dict(zip(trials["learning_rate"], trials["mean"], strict=True)) == rates and trials["std"].isna().all()
    assert sorted(trials["trial"]) == [1, 2, 3, 4] and trials["model_name"].nunique() == 4
    assert searched["learning_rate"] == tried[1].training.learning_rate, "of the chosen trial"
    losses = rows[(rows["metric"] == "validation_loss") & (rows["settings"] == "trial")]
    assert sorted(losses["mean"]) == sorted(LOSSES)
    # What trains nothing has neither a validation loss nor settings.
    naive = rows[rows["method"] == "Seasonal naive"]
    assert list(naive["metric"]) == ["mse", "mae"] and naive["learning_rate"].isna().all()


def test_the_published_settings_that_a_configuration_replaces_are_known(root):
    matrix = make_matrix(read_yaml(root / "config/cpu.yaml"), root=root)
    changed = report_facts(matrix, "search", absent=())["changed"]
    assert changed["dlinear"] == ["schedule"] and "rlinear" not in changed
    assert {"learning_rate", "batch_size", "schedule"} <= set(changed["patchtst"])
    assert "token_embedding" in changed["time-llama-none"]


def test_a_searched_run_is_trained_with_the_chosen_settings(tmp_path, sample_run):
    series, results = walk(tmp_path / "series.npz"), tmp_path / "results"

    def carried_out(run, **given):
        folder = results / run.folder
        folder.mkdir(parents=True)
        return carry_out(run, folder, series=series, kept=tmp_path / "kept" / run.identity, **given)

    options = PatchTSTOptions(patch_length=4, patch_stride=4, width=8, layers=1, heads=2, feed_forward=8)
    published = small(sample_run, variant="patchtst", method="patchtst", options=options)
    search = Search(**SEARCH | {"trials": 2, "samples": 64})
    first, second, searched = list(expanded([published], search=search, fixed={"patchtst": frozenset()}))[1:]
    assert first.options.dropout != second.options.dropout and first.training != second.training
    losses = {run.folder: carried_out(run)["validation_loss"] for run in (first, second)}
    # The second is made the better one, since a searched run has the settings of the first until it is trained.
    file = results / second.folder / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"validation_loss": 0.0}))
    choose([results / run.folder / "metrics.json" for run in (first, second)], out=tmp_path / "choice.json")
    metrics = carried_out(searched, choice=tmp_path / "choice.json")
    assert metrics["validation_loss"] == losses[second.folder], "the same seed and settings give the same training"
    assert metrics["validation_loss"] != losses[first.folder]
    finished = read_run(results / searched.folder)
    assert finished.run == searched and finished.used == second
