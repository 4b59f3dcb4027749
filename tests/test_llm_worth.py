"""What the language model is worth: the numbers of docs/open_questions.md, and the figure of made-up runs."""

import re

import pandas as pd
import pytest
import yaml

from tests import made_up
from tests.kept import errors, table_1_runs
from timellama.experiments.matrix import make_matrix
from timellama.reports.figures import llm_worth
from timellama.reports.selection import llm_worth as llm_worth_runs
from timellama.training.scores.metric_objects import MSE


@pytest.fixture(scope="module")
def kept(root) -> pd.DataFrame:
    return table_1_runs(root)


@pytest.fixture(scope="module")
def section(root) -> str:
    text = (root / "docs/open_questions.md").read_text(encoding="utf-8")
    return " ".join(text.split("\n## What is the language model worth?\n")[1].split())


def pairs_with(kept, control):
    """The errors of a control and of Time-LlaMA, by share of rows, data set and horizon."""
    of = kept[kept["run/variant"] == control]
    places = of[["run/train_percent", "run/dataset", "run/horizon"]].itertuples(index=False, name=None)
    return {
        (percent, dataset, horizon): tuple(
            errors(kept, each, horizon, percent=percent, dataset=dataset) for each in (control, llm_worth.OURS)
        )
        for percent, dataset, horizon in set(places)
    }


def test_the_counts_of_the_text_are_those_of_the_kept_means(kept, section):
    said = r"in (\d+) of (\d+) cells, with random weights in (\d+) of (\d+), .* in (\d+) of (\d+)\."
    counts = [int(count) for count in re.search(said, section).groups()]
    for control in ("time-llama-none", "time-llama-random-frozen", "time-llama-attention"):
        pairs = pairs_with(kept, control).values()
        assert all(list(one.index) == list(other.index) == [0, 1, 2] for one, other in pairs)
        assert [counts.pop(0), counts.pop(0)] == [sum(one.mean() < other.mean() for one, other in pairs), len(pairs)]


def test_with_few_rows_of_etth1_every_seed_is_worse_than_every_control(kept):
    for control in llm_worth.CONTROLS:
        pairs = [pair for place, pair in pairs_with(kept, control).items() if place[:2] == (5, "ETTh1")]
        assert len(pairs) == 3 and all(ours.min() > other.max() for other, ours in pairs)


def test_weather_is_the_only_data_set_on_which_no_control_has_a_lower_mean(kept, section):
    assert "With all rows Weather is the only data set on which no control has a lower mean in any cell." in section
    cells = [cell for control in llm_worth.CONTROLS for cell in pairs_with(kept, control).items()]
    lower = {place[1] for place, (other, ours) in cells if place[0] == 100 and other.mean() < ours.mean()}
    assert {place[1] for place, _ in cells} - lower == {"Weather"}


def run(variant, seed, mse, *, experiment="long_term", **changes):
    more = {"seed": seed, "mse": mse, "label": variant, "backbone": "", "settings": "{}", "experiment": experiment}
    return made_up.row(variant, **(more | changes))


@pytest.fixture
def collected(monkeypatch):
    """Lets `compared` read rows instead of files."""
    monkeypatch.setattr(llm_worth, "collect", lambda rows, methods: pd.DataFrame(rows).drop(columns="experiment"))

    def compared(**rows):
        return llm_worth.compared(rows, methods={})

    return compared


def test_a_place_needs_our_run_and_a_control(collected):
    ours, other = run("time-llama", 0, 0.4), run("itransformer", 0, 0.5)
    assert collected(long_term=[ours, other]).empty
    assert llm_worth.llm_worth(pd.DataFrame()).axes == []
    control = run("time-llama-none", 0, 0.3, horizon=192)
    assert collected(long_term=[ours, control]).empty, "another horizon"
    found = collected(long_term=[ours, other, control, run("time-llama", 0, 0.6, horizon=192)])
    assert set(found["horizon"]) == {192}


def test_a_place_is_taken_from_the_experiment_with_most_of_the_methods(collected):
    ours = run("time-llama", 0, 0.4)
    more = [run("time-llama", 0, 0.5), run("time-llama-none", 0, 0.3), run("time-llama-attention", 0, 0.2)]
    found = collected(long_term=[ours, run("time-llama-none", 0, 0.6)], llm_value=more)
    assert sorted(found["mse"]) == [0.2, 0.3, 0.5]


def test_the_figure_depends_only_on_the_runs_that_it_shows(root):
    config = yaml.safe_load((root / "config/cpu.yaml").read_text(encoding="utf-8"))
    matrix = make_matrix(config, root=root)
    runs = llm_worth_runs(matrix, None)
    assert {run.variant for run in runs} == set(llm_worth.SHOWN)
    assert {run.train_percent for run in runs} == {5, 100} and len({run.folder for run in runs}) == len(runs)


def test_marks_are_at_the_means_and_lines_at_the_seeds(collected):
    runs = collected(
        long_term=[
            *(run("time-llama", seed, error) for seed, error in ((0, 0.4), (1, 0.6))),
            *(run("time-llama-none", seed, error) for seed, error in ((0, 0.3), (1, 0.4))),
        ],
        few_shot=[
            run("time-llama", 0, 0.9, train_percent=5),
            run("time-llama-none", 0, 1.0, train_percent=5),
        ],
    )
    figure = llm_worth.llm_worth(runs)
    every, few = figure.axes
    titles = ["ETTh1, all training rows", "ETTh1, 5 % of the training rows"]
    assert [axis.get_title() for axis in figure.axes] == titles
    marks = {line.get_label(): list(line.get_xdata()) for line in every.lines}
    assert marks == {"time-llama": [pytest.approx(0.5)], "time-llama-none": [pytest.approx(0.35)]}
    seeds = [[segment[0][0] for segment in lines.get_segments()] for lines in every.collections]
    assert seeds == [[0.4, 0.6], [0.3, 0.4]]
    assert [text.get_text() for text in few.get_yticklabels()] == ["H 96"]
    assert not every.texts and not few.texts and few.get_xlabel() == f"test {MSE.label}"
    assert llm_worth._counts(runs) == ["time-llama-none: a lower mean than Time-LlaMA's in 1 of 2 rows."]


def test_each_data_set_has_a_panel_of_its_own_with_its_own_scale(collected):
    cells = (("ETTh1", 100, 0.4), ("ILI", 100, 2.5), ("ETTh1", 5, 0.8))
    rows = [
        run(variant, 0, error * factor, dataset=dataset, train_percent=share)
        for dataset, share, error in cells
        for variant, factor in (("time-llama", 1.0), ("time-llama-none", 1.1))
    ]
    axes = llm_worth.llm_worth(collected(long_term=rows)).axes
    titles = ["ETTh1, all training rows", "ILI, all training rows", "ETTh1, 5 % of the training rows"]
    assert [axis.get_title() for axis in axes] == titles
    for axis, (_, _, error) in zip(axes, cells, strict=True):
        low, high = axis.get_xlim()
        assert 0.9 * error < low < error < 1.1 * error < high < 1.2 * error
