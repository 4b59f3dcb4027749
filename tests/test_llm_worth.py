"""What the language model is worth: the numbers of docs/open_questions.md, and the figure of made-up runs."""

import re

import pandas as pd
import pytest
import yaml

from tests import made_up
from tests.kept import kept_runs
from timellama.experiments.matrix import make_matrix
from timellama.reports.figures import llm_worth
from timellama.reports.selection import llm_worth as llm_worth_runs
from timellama.training.scores.metric_objects import MSE

PERCENT = {"all": 100, "5 %": 5}


@pytest.fixture(scope="module")
def kept(root) -> pd.DataFrame:
    frame = kept_runs(root)
    six = frame["run/backbone/blocks"].fillna(6) == 6
    return frame[six & (frame["run/context"] == 512) & frame["run/variant"].isin(llm_worth.SHOWN)]


@pytest.fixture(scope="module")
def section(root) -> str:
    text = (root / "docs/open_questions.md").read_text(encoding="utf-8")
    return text.split("\n## What is the language model worth?\n")[1]


@pytest.fixture(scope="module")
def rows(section) -> dict[tuple[int, str, int], list[str]]:
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith(("| all |", "| 5 % |"))]
    found = {}
    for share, place, *cells in lines:
        dataset, horizon = place.split()
        found[PERCENT[share.strip()], dataset, int(horizon)] = [cell.strip() for cell in cells]
    return found


def errors(kept, place, variant):
    where = (kept[["run/train_percent", "run/dataset", "run/horizon"]] == list(place)).all(axis=1)
    return kept[where & (kept["run/variant"] == variant)].set_index("run/seed")["mse"]


def test_the_table_holds_the_kept_means_of_three_seeds(kept, rows):
    for place, cells in rows.items():
        for variant, printed in zip(llm_worth.SHOWN, cells, strict=True):
            found = errors(kept, place, variant)
            assert printed == ("-" if found.empty else f"{found.mean():.3f}"), (place, variant)
            assert found.empty or sorted(found.index) == [0, 1, 2]


def test_the_table_has_every_place_with_a_control(kept, rows):
    controls = kept[kept["run/variant"].isin(llm_worth.CONTROLS)]
    places = controls[["run/train_percent", "run/dataset", "run/horizon"]].itertuples(index=False, name=None)
    assert set(places) == set(rows)


def test_the_counts_of_the_text_are_those_of_the_kept_means(kept, rows, section):
    told = " ".join(section.split())
    counts = re.search(r"in (\d+) of (\d+) rows, with random weights in (\d+) of (\d+), .* in (\d+) of (\d+)\.", told)
    none, random, attention = (counts.group(first, first + 1) for first in (1, 3, 5))
    of = {"time-llama-none": none, "time-llama-random-frozen": random, "time-llama-attention": attention}
    for variant, (lower, all_) in of.items():
        pairs = [(errors(kept, place, variant), errors(kept, place, llm_worth.OURS)) for place in rows]
        pairs = [(control.mean(), ours.mean()) for control, ours in pairs if len(control)]
        assert (int(lower), int(all_)) == (sum(control < ours for control, ours in pairs), len(pairs))


def test_with_few_rows_of_etth1_every_seed_is_worse_than_every_control(kept, rows):
    for place in rows:
        if place[:2] == (5, "ETTh1"):
            ours = errors(kept, place, llm_worth.OURS)
            assert all(ours.min() > errors(kept, place, control).max() for control in llm_worth.CONTROLS)


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
    assert [axis.get_title() for axis in figure.axes] == ["all training rows", "5 % of the training rows"]
    marks = {line.get_label(): list(line.get_xdata()) for line in every.lines}
    assert marks == {"time-llama": [pytest.approx(0.5)], "time-llama-none": [pytest.approx(0.35)]}
    seeds = [[segment[0][0] for segment in lines.get_segments()] for lines in every.collections]
    assert seeds == [[0.4, 0.6], [0.3, 0.4]]
    assert [text.get_text() for text in few.get_yticklabels()] == ["ETTh1 96"]
    assert not every.texts and not few.texts and few.get_xlabel() == f"test {MSE.label}"
    assert llm_worth._counts(runs) == ["time-llama-none: a lower mean than Time-LlaMA's in 1 of 2 rows."]
