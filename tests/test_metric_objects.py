"""A user-supplied metric is scored over every window, described in files and shown in its own direction."""

import dataclasses
import json
import sys

import pandas as pd
import pytest
import torch

from tests import made_up
from tests.refusal import refused
from timellama.methods.registry import method_of
from timellama.reports.render.markup import to_markdown
from timellama.reports.render.table_model import marks
from timellama.reports.tables.experiment import LONG_TERM
from timellama.reports.tables.of_experiments import errors
from timellama.results.aggregate import collect, of_definition, summarise
from timellama.results.comparison import compare_runs
from timellama.results.read.runs import read_run
from timellama.training.scores.metric_objects import (
    BUILT_IN,
    EXTRA,
    RESERVED,
    Metric,
    definitions,
    describe,
    described,
    errors_of,
    find_metrics,
)
from timellama.training.scores.metrics import Errors
from timellama.training.trial import try_metrics

SOURCE = """
from functools import partial

from timellama.training.scores.metric_objects import Metric

def near(forecast, truth):
    return ((forecast - truth).abs() <= 0.5).double().mean(dim=(1, 2))

NEAR = Metric(name="near", label="Near", direction="higher", unit="share", decimals=2, function=near)
TAKEN = Metric(name="mse", label="MSE", direction="lower", unit="", decimals=2, function=near)
SEED = Metric(name="seed", label="Seed", direction="lower", unit="", decimals=2, function=near)
EMPTY = Metric(name="empty", label="Empty", direction="lower", unit="", decimals=2)
PART = Metric(name="part", label="Part", direction="lower", unit="", decimals=2, function=partial(near, truth=1))
NO_METRIC = 3
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A module next to the configuration, importable only from the working folder."""
    (tmp_path / "metrics_from_outside.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield "metrics_from_outside"
    sys.modules.pop("metrics_from_outside", None)


def scored(metric, *batches):
    errors = Errors([metric])
    for forecast, truth in batches:
        errors.add(torch.tensor(forecast)[..., None], torch.tensor(truth)[..., None])
    return errors.means()[metric.name]


def test_every_window_counts_once_in_batches_of_unequal_size(outside):
    (near,) = find_metrics([f"{outside}:NEAR"]).values()
    first = ([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.4, 0.0], [0.0, 0.5]])  # near: 1, 1, 1
    second = ([[0.0, 0.0]], [[9.0, 0.0]])  # near: 1/2
    assert scored(near, first, second) == (1 + 1 + 1 + 0.5) / 4  # the mean of the batches' means would be 0.75


@pytest.mark.parametrize(
    "function",
    [lambda f, t: (f - t).mean(), lambda f, t: (f - t)[0], lambda f, t: torch.ones(len(t), 5 - len(t))],
    ids=["mean of the batch", "one window only", "other counts in other batches"],
)
def test_scores_that_do_not_match_the_windows_are_refused(function):
    metric = Metric(name="bad", label="Bad", direction="lower", unit="", decimals=1, function=function)
    three, one = ([[0.0, 0.0]] * 3,) * 2, ([[0.0, 0.0]],) * 2
    with refused("bad", "[B, ...]", error=ValueError):
        scored(metric, three, one)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda f, t: float((f - t).abs().mean()), ("float", "[B 3, H 4, N 2]", "[B, ...]")),
        (lambda f, t: (f - t).mean(), ("[]", "float64")),
        (lambda f, t: (f - t).mean(dim=0), ("[4, 2]",)),
        (lambda f, t: torch.ones(len(t), 5 - len(t)), ("batches",)),
        (lambda f: f, ("[B 3, H 4, N 2]", "TypeError", "[B, ...]")),
        (lambda f, t: (f - t).log(), ("finite",)),
        (lambda f, t: f.sub_(t).abs(), ("tensors",)),
        (lambda f, t: f.numpy(), ("ndarray", "[B 3, H 4, N 2]", "[B, ...]")),
    ],
    ids=["float", "mean", "over windows", "other counts", "one argument", "NaN", "in place", "array"],
)
def test_a_metric_that_does_not_score_is_refused_before_training(sample_run, tmp_path, function, named):
    metric = Metric(name="bad", label="Bad", direction="lower", unit="", decimals=1, function=function)
    series = made_up.walk(tmp_path / "series.npz")
    with refused("metrics", "my:BAD", *named):
        made_up.carry_out(
            made_up.small(sample_run),
            tmp_path / "run",
            series=series,
            kept=tmp_path / "kept",
            metrics={"my:BAD": metric},
        )
    assert not (tmp_path / "run").exists() and not (tmp_path / "kept").exists()


@pytest.mark.parametrize("scores", [lambda e: e, lambda e: e.mean(dim=(1, 2)), lambda e: e <= 0.5, lambda e: e[:, -1]])
def test_scores_of_windows_steps_or_values_are_all_accepted(scores):
    metric = Metric(
        **{"name": "good", "label": "Good", "direction": "lower", "unit": "", "decimals": 1},
        function=lambda f, t: scores((f - t).abs()),
    )
    try_metrics({"my:GOOD": metric}, horizon=4, variates=2)
    assert scored(metric, ([[0.0, 1.0]] * 3, [[0.0, 0.0]] * 3)) in (0.5, 1.0)


@pytest.mark.parametrize("name", ["TAKEN", "SEED", "EMPTY", "PART", "NO_METRIC", "ABSENT"])
def test_an_object_that_cannot_be_a_metric_of_a_configuration_is_refused(outside, name):
    with refused(f"{outside}:{name}"):
        find_metrics([f"{outside}:{name}"])


@pytest.mark.parametrize("places", [["no_such_module:NEAR"], ["no_such_entry_point"], [":"], ["a.b:"]])
def test_an_unknown_or_incomplete_place_is_refused(places):
    with refused("metrics", places[0]):
        find_metrics(places)


def test_an_object_is_suggested_before_a_function_of_nearly_the_same_name(tmp_path, monkeypatch):
    text = SOURCE + "\nOVER = NEAR\ndef over(forecast, truth): ...\ndef neer(forecast, truth): ...\n"
    (tmp_path / "folded_metric.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for written, meant in (("Over", "OVER"), ("neerr", "NEAR"), ("partt", "PART"), ("no_metricc", "NO_METRIC")):
        with refused(f"folded_metric:{written}", f"{meant}?"):
            find_metrics([f"folded_metric:{written}"])


def test_an_entry_point_gives_a_metric_a_short_name(tmp_path, monkeypatch, outside):
    folder = tmp_path / "installed-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(f"[timellama.metrics]\nnear = {outside}:NEAR\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_metrics(["near"])["near"].label == "Near"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('direction="down"', ("direction", "'near'", "'down'", "'lower'", "'higher'")),
        ('direction="lower", decimals="2"', ("decimals", "'near'", "'2'")),
        ("", ("'direction'",)),
    ],
)
def test_a_mistake_in_a_metric_is_reported_with_its_line_and_not_as_a_wrong_path(tmp_path, monkeypatch, line, named):
    """A metric that cannot be created prevents its module from being imported."""
    given = f"{{**dict(name='near', label='N', direction='lower', unit='', decimals=2), **dict({line})}}"
    made = f"Metric(**{given})" if line else "Metric(name='near', label='N', unit='', decimals=2)"
    (tmp_path / "slip_of_metric.py").write_text(
        f"from timellama.training.scores.metric_objects import Metric\n\nNEAR = {made}\n"
    )
    monkeypatch.chdir(tmp_path)
    with refused("slip_of_metric:NEAR", "slip_of_metric.py", "line 3", *named) as caught:
        find_metrics(["slip_of_metric:NEAR"])
    assert "PYTHONPATH" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "No name"},
        {"name": 3},
        {"label": 3},
        {"unit": None},
        {"direction": "up"},
        {"decimals": -1},
        {"decimals": 2.0},
        {"function": 3},
    ],
)
def test_a_metric_is_checked_where_it_is_created(changes):
    name = [] if "name" in changes else ["'mse'"]
    with refused(*name, *changes, *map(repr, changes.values())):
        dataclasses.replace(BUILT_IN["mse"], **changes)


def test_a_changed_function_or_description_is_another_definition(outside, tmp_path):
    metrics = find_metrics([f"{outside}:NEAR"])
    before = definitions(metrics)
    assert definitions(metrics) == before
    (place,) = metrics
    assert definitions({place: dataclasses.replace(metrics[place], decimals=5)}) != before
    file = tmp_path / f"{outside}.py"
    file.write_text(SOURCE.replace("0.5", "0.4"))
    assert definitions(metrics) != before


def test_a_description_survives_json(outside):
    (near,) = find_metrics([f"{outside}:NEAR"]).values()
    assert described(json.loads(json.dumps(describe(near)))) == dataclasses.replace(near, function=None)


def test_the_highest_is_best_where_higher_is_better():
    assert marks(["0.2", "0.1", "0.3"], direction="higher") == ["second", "", "best"]


@pytest.fixture
def runs(sample_run, tmp_path, outside):
    """Two finished runs, of the seasonal and of the hourly mean forecast; the second may lack the metric."""
    series = made_up.walk(tmp_path / "series.npz", 240, sha256=sample_run.data_sha256)
    metrics = find_metrics([f"{outside}:NEAR"])

    def start(method, given):
        named = {"variant": method, "method": method, "options": method_of(method).options(), "training": None}
        run = made_up.small(sample_run, context=48, **named)
        folder = tmp_path / "results" / run.folder
        made_up.carry_out(run, folder, series=series, kept=tmp_path / "kept", metrics=given)
        return folder / "metrics.json"

    return lambda second: [start("seasonal-naive", metrics), start("hour-of-day-mean", second and metrics)]


def facts(metrics):
    digests = definitions(metrics)
    return {
        "configuration": "own",
        "planned": [("ETTh1", 48, 4, "seasonal-naive"), ("ETTh1", 48, 4, "hour-of-day-mean")],
        "generated": [],
        "not_run": [],
        "methods": {name: {"label": name, "floor": True} for name in ("seasonal-naive", "hour-of-day-mean")},
        "remark": "",
        EXTRA: [describe(metric) | {"definition": digests[place]} for place, metric in metrics.items()],
    }


def lines(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "ETTh1" in line]


def test_a_metric_appears_beside_the_usual_ones_in_files_table_and_comparison(runs, outside):
    files = runs(True)
    documents = [json.loads(file.read_text()) for file in files]
    for document in documents:
        assert {"mse", "mae", "n_windows"} < set(document) and 0 < document[EXTRA]["near"]["value"] < 1
        assert list(errors_of(document)) == ["mse", "mae", "near"]
    near = facts(find_metrics([f"{outside}:NEAR"]))
    made = errors(files, experiment="long_term", heading=LONG_TERM, facts=near)
    (row,) = [line for line in lines(to_markdown(made)) if "ours" in line]
    values = [document[EXTRA]["near"]["value"] for document in documents]
    assert row[-1] == f"**{values[1]:.2f}**" and row[-4] == f"<u>{values[0]:.2f}</u>", "higher is better"
    found = compare_runs(*(read_run(file.parent) for file in files))
    assert [(each.metric, each.first, each.second) for each in found.differences][-1] == ("near", *values)


def test_a_run_without_the_metric_has_a_dash_and_a_reason(runs, outside):
    files = runs({})
    assert EXTRA not in json.loads(files[1].read_text())
    near = facts(find_metrics([f"{outside}:NEAR"]))
    made = errors(files, experiment="long_term", heading=LONG_TERM, facts=near)
    (row,) = [line for line in lines(to_markdown(made)) if "ours" in line]
    assert row.count("\N{EN DASH}") == 1
    assert any("1 of 2 cells" in note for note in made.notes)
    assert [d.metric for d in compare_runs(*(read_run(file.parent) for file in files)).differences] == ["mse", "mae"]


def test_values_of_another_definition_or_of_only_some_seeds_have_no_mean(runs):
    files = runs(True)
    labels = {name: {"label": name, "floor": True} for name in ("seasonal-naive", "hour-of-day-mean")}
    frame = collect(files, methods=labels)
    assert of_definition(frame, "near", "another")["near"].isna().all()
    twice = pd.concat([frame, frame.assign(seed=1, near=float("nan"))], ignore_index=True)
    summary = summarise(twice, extra=["near"])
    assert summary["near_mean"].isna().all() and summary["mse_mean"].notna().all()


def test_every_name_that_a_metric_could_overwrite_is_reserved(runs):
    files = runs(True)
    labels = {name: {"label": name, "floor": True} for name in ("seasonal-naive", "hour-of-day-mean")}
    columns = {column for column in collect(files, methods=labels) if " " not in column}
    keys = set(json.loads(files[0].read_text()))
    assert (columns | keys) - set(BUILT_IN) - {"near"} <= RESERVED
