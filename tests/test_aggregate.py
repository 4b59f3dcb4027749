"""Runs become hand-computed means, spreads and gaps; runs that do not belong together are refused."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from tests.made_up import document
from tests.refusal import refused
from timellama.experiments.run import Run
from timellama.results.aggregate import (
    collect,
    describe_commit,
    paired_difference,
    read_published,
    relative_changes,
    summarise,
    with_published,
)
from timellama.results.statistics.inference import t_quantile

METHODS = {"dlinear": {"label": "DLinear", "floor": False}, "time-llama": {"label": "Time-LlaMA", "floor": False}}
BACKBONE = {"name": "SmolLM2-135M", "blocks": 6, "pin": "abc", "weights": "pretrained"}


@pytest.fixture
def put(tmp_path):
    """Writes one metrics.json; keyword arguments go into `run` if that has the key, else to the top level."""
    written = []

    def write(**changes):
        made = document(**{"identity": f"run-{len(written)}"} | changes)
        path = tmp_path / f"{len(written)}" / "metrics.json"
        path.parent.mkdir()
        path.write_text(json.dumps(made))
        written.append(path)
        return path

    return write


def test_mean_and_spread_match_hand_computed_values(put):
    paths = [put(seed=seed, mse=mse, mae=1.0) for seed, mse in ((2, 0.40), (0, 0.30), (1, 0.35))]
    (row,) = summarise(collect(paths, methods=METHODS)).to_dict("records")
    assert row["n"] == 3
    assert row["seeds"] == (0, 1, 2)
    assert row["mse_mean"] == pytest.approx(0.35)
    assert row["mse_std"] == pytest.approx(0.05)  # sqrt((0.05^2 + 0 + 0.05^2) / 2)
    assert row["mae_std"] == 0
    assert row["n_windows"] == 2785
    assert row["commits"] == ("0123456",)
    assert row["devices"] == ("cpu",)
    assert (row["label"], row["backbone"]) == ("DLinear", "")


def test_one_seed_has_no_spread(put):
    (row,) = summarise(collect([put()], methods=METHODS)).to_dict("records")
    assert row["mse_mean"] == 0.4
    assert math.isnan(row["mse_std"])


def test_seconds_are_averaged_over_the_runs_that_have_them(put):
    frame = collect([put(seed=seed) for seed in range(3)], methods=METHODS)
    frame["seconds_train"] = [2.0, math.nan, 4.0]
    frame["seconds_evaluate"] = math.nan
    (row,) = summarise(frame).to_dict("records")
    assert row["seconds_train"] == 3 and math.isnan(row["seconds_evaluate"])


def test_cells_are_kept_apart(put):
    paths = [
        put(),
        put(context=336),
        put(horizon=192, n_windows=2689),
        put(train_percent=5),
        put(variant="time-llama", backbone=BACKBONE),
        put(variant="time-llama", backbone=BACKBONE | {"weights": "random"}),
        put(variant="time-llama", backbone=BACKBONE | {"name": "tiny", "pin": "0"}),
    ]
    summary = summarise(collect(paths, methods=METHODS))
    assert len(summary) == 7
    names = {"", "SmolLM2-135M x6", "SmolLM2-135M x6 (random weights)", "tiny x6 (random weights)"}  # pin 0 is a seed
    assert set(summary["backbone"]) == names


def test_backbones_are_ordered_by_their_number_of_blocks(put):
    asked = [16, 1, 30, 2]
    paths = [put(variant="time-llama", backbone=BACKBONE | {"blocks": blocks}) for blocks in asked]
    frame = collect(paths, methods=METHODS)
    expected = [f"SmolLM2-135M x{blocks}" for blocks in sorted(asked)]
    assert list(frame["backbone"]) == list(summarise(frame)["backbone"]) == expected
    assert list(summarise(frame[::-1])["backbone"]) == expected


def test_order_of_paths_does_not_matter(put):
    paths = [put(seed=seed, mse=0.1 * seed + 0.1) for seed in range(3)]
    one, other = (summarise(collect(order, methods=METHODS)) for order in (paths, paths[::-1]))
    assert one.equals(other)


def test_router_counts_are_collected_and_missing_values_are_nan(put):
    router = {"distinct_patterns": [1, 4, 9], "collapsed_blocks": [0]}
    paths = [put(router=router), put(seed=1, steps=None, validation_loss=None)]
    frame = collect(paths, methods=METHODS)
    assert frame["collapsed_blocks"].iloc[0] == 1
    assert frame["routed_blocks"].iloc[0] == 3
    assert np.isnan(frame["collapsed_blocks"].iloc[1])
    assert np.isnan(frame["steps"].iloc[1])


def test_gap_to_the_paper_matches_hand_computed_values(put, tmp_path):
    csv = tmp_path / "paper.csv"
    csv.write_text("dataset,horizon,method,mse,mae\nETTh1,96,DLinear,0.375,0.4\nECL,96,DLinear,0.2,0.3\n")
    paths = [put(mse=0.39, mae=0.5), put(dataset="Electricity", mse=0.1, mae=0.3), put(dataset="Weather")]
    rows = with_published(summarise(collect(paths, methods=METHODS)), csv).set_index("dataset")
    assert rows.loc["ETTh1", "mse_paper"] == 0.375
    assert rows.loc["ETTh1", "mse_gap"] == pytest.approx(4.0)
    assert rows.loc["ETTh1", "mae_gap"] == pytest.approx(25.0)
    assert rows.loc["Electricity", "mse_gap"] == pytest.approx(-50.0)  # ECL in the paper's table 1
    assert np.isnan(rows.loc["Weather", "mse_paper"])


def test_the_papers_tables_can_be_read(root):
    tables = sorted((root / "config/published").glob("table[12345]*.csv"))
    assert len(tables) == 5
    for csv in tables:
        assert len(read_published(csv))
    first = read_published(root / "config/published/table1_long_term.csv").set_index(["dataset", "horizon", "method"])
    assert first.loc[("ETTh1", 96, "Time-LlaMA"), "mse"] == 0.377
    with refused(root / "config/published/none.csv"):
        read_published(root / "config/published/none.csv")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mse": float("nan")}, ("mse", "nan", "learning rate")),
        ({"mse": "0.4"}, ("mse", "'0.4'")),
        ({"mae": None}, ("mae", None)),
        ({"parameters": {"total": 1}}, ("parameters.trainable",)),
        ({"provenance": {}}, ("provenance.git_commit",)),
        ({"variant": "unheard-of"}, ("'unheard-of'", "time-llama", "config/methods.yaml")),
        ({"backbone": {"name": "x"}}, ("run.backbone.blocks",)),
    ],
)
def test_a_file_with_a_missing_or_wrong_value_is_named(put, changes, named):
    path = put(**changes)
    with refused(path, *named):
        collect([put(identity="good"), path], methods=METHODS)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"run": 3}', "\x80"])
def test_a_broken_file_is_named(tmp_path, text):
    path = tmp_path / "metrics.json"
    path.write_bytes(text.encode("latin-1"))
    with refused(path):
        collect([path], methods=METHODS)


def test_collecting_no_files_or_absent_files_is_refused(tmp_path):
    with refused("metrics"):
        collect([], methods=METHODS)
    with refused(tmp_path / "absent.json"):
        collect([tmp_path / "absent.json"], methods=METHODS)


def test_a_run_given_twice_is_refused(put):
    with refused("same"):
        collect([put(identity="same"), put(identity="same")], methods=METHODS)


def test_two_runs_of_one_seed_are_refused(put):
    frame = collect([put(seed=1), put(seed=1)], methods=METHODS)
    with refused("ETTh1", "context 512", "horizon 96", "dlinear"):
        summarise(frame)


def test_runs_that_differ_in_a_setting_have_no_mean(put):
    frame = collect([put(seed=0), put(seed=1, options={"kernel": 13})], methods=METHODS)
    with refused("ETTh1", "context 512", "horizon 96", "dlinear", "options"):
        summarise(frame)


@pytest.mark.parametrize("other", [{"seed": 1}, {"variant": "time-llama"}, {"context": 336}])
def test_runs_on_different_windows_are_refused(put, other):
    frame = collect([put(), put(n_windows=2784, **other)], methods=METHODS)
    with refused("ETTh1", 96, 2784, 2785):
        summarise(frame)


def test_a_metric_of_another_task_is_refused(put):
    frame = collect([put()], methods=METHODS)
    with refused("metrics.json", "owa"):
        summarise(frame, ["owa"])


def test_commits_are_described():
    commit = "abcdef0123"
    assert describe_commit({"git_commit": commit, "git_dirty": False}) == "abcdef0"
    assert describe_commit({"git_commit": commit, "git_dirty": True}) == "abcdef0 + uncommitted changes"
    assert describe_commit({"git_commit": commit, "git_dirty": None}) == "abcdef0 (uncommitted changes not looked for)"
    assert describe_commit({"git_commit": "unknown", "git_dirty": None}) == "unknown"


# Two-sided 95 % points of Student's t, as in any printed table.
@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (10, 2.228), (30, 2.042)]
)
def test_student_quantiles_match_printed_tables(degrees, value):
    assert t_quantile(degrees) == pytest.approx(value, abs=5e-4)


def test_student_quantile_at_another_level():
    assert t_quantile(5, 0.9) == pytest.approx(2.015, abs=5e-4)
    with refused(0):
        t_quantile(0)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Run)])
def test_two_runs_are_paired_if_they_differ_only_in_what_is_compared(put, name):
    """This includes fields that runs get only later."""
    typed = {"context": 96, "horizon": 192, "train_percent": 5, "seed": 1, "variant": "time-llama"}
    ours = collect([put(mse=0.6)], methods=METHODS)
    path = put(mse=0.5)
    made = json.loads(path.read_text())
    made["run"][name] = BACKBONE if name == "backbone" else typed.get(name, "another")
    made["run"]["data_sha256"] = made["provenance"]["data_sha256"] = made["run"].get("data_sha256")
    path.write_text(json.dumps(made))
    change = relative_changes(ours, collect([path], methods=METHODS), "mse")
    how = ("precision", "compiled")
    compared = ("variant", "method", "options", "training", "backbone", "prompt", "calendar", *how)
    assert change.tolist() == (pytest.approx([20.0]) if name in compared else [])


def test_paired_difference_matches_hand_computed_values(put):
    ours = collect([put(seed=s, mse=m) for s, m in ((0, 0.5), (1, 0.6), (2, 0.8), (7, 9.0))], methods=METHODS)
    theirs = collect([put(seed=s, mse=m) for s, m in ((2, 0.5), (1, 0.4), (0, 0.4))], methods=METHODS)
    mean, half, pairs = paired_difference(ours, theirs, "mse")
    assert pairs == 3
    assert mean == pytest.approx(0.2)  # of 0.1, 0.2, 0.3
    assert half == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)
    mean, half, pairs = paired_difference(ours.iloc[:1], theirs, "mse")
    assert (pairs, mean) == (1, pytest.approx(0.1))
    assert math.isnan(half)


def test_a_published_number_of_another_language_model_or_share_is_not_joined(tmp_path, root):
    rows = [
        {
            "dataset": "ETTh1",
            "horizon": 96,
            "label": "Time-LlaMA",
            "backbone": name,
            "train_percent": percent,
            "mse_mean": 1.0,
        }
        for name, percent in (("Gemma-2B x8", 100), ("Gemma-2B x8", 5), ("SmolLM2-135M x6", 100))
    ]
    joined = with_published(pd.DataFrame(rows), root / "config/published/table4_backbones.csv")
    assert joined["mse_paper"].tolist()[:2] == [0.379, 0.553]
    assert np.isnan(joined["mse_paper"].iloc[2])
