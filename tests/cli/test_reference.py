"""`timellama reference`: exit codes, and what each command prints."""

import json

import pytest

from tests.made_up import document
from tests.refusal import unnamed
from timellama.core import layout
from timellama.core.schema import read_yaml
from timellama.experiments.matrix import make_matrix

CONFIG = "config/smoke.yaml"


@pytest.fixture
def naive(root, tmp_path, monkeypatch):
    """Changes to the project's folder, and returns a folder with a made-up result of one run that trains nothing."""
    monkeypatch.chdir(root)
    config = read_yaml(root / CONFIG)
    runs = make_matrix(config, root=root).experiment("long_term")
    [run] = [run for run in runs if run.variant == "seasonal-naive" and run.context == 96]
    result = document(
        **{"run": json.loads(run.to_json()), "identity": run.identity, "mse": 0.25, "n_windows": 7},
        **{"validation_loss": None, "steps": 0, "best_step": 0, "parameters": {"total": 0, "trainable": 0}},
        seconds={"train": 0.0, "evaluate": 1.0, "total": 1.0},
        origin={
            **{"git_commit": "1" * 40, "data_sha256": run.data_sha256, "source_digest": "ab"},
            "hardware": {"processor": "A processor", "cores": 2, "device": "cpu"},
            "ended": "2026-01-02T00:00:00+00:00",
        },
    )
    path = layout.metrics_of(run.folder)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(json.dumps(result))
    return tmp_path, path


def test_a_result_is_exported_and_checked_and_missing_ones_are_listed(say, naive):
    folder, path = naive
    where = ("--configfile", CONFIG, "--folder", folder / "kept")
    before = say("reference", "missing", *where).stdout.split()
    done = say("reference", "export", *where, "--results", folder / "results")
    assert f"1 of {len(before)} results, 1 of them new" in done.stdout
    assert set(before) - set(say("reference", "missing", *where).stdout.split()) == {path}
    naive_alone = say("reference", "missing", *where, "--experiment", "router").stdout.split()
    assert naive_alone and set(naive_alone) < set(before)
    assert "all files are what the kept numbers give" in say("reference", "check", "--folder", folder / "kept").stdout
    metrics = folder / "kept/metrics.csv"
    metrics.write_text(metrics.read_text().replace(",0.25,", ",0.26,"))
    assert "table_long_term.md is not what the numbers give" in say(
        "reference", "check", "--folder", folder / "kept", code=1
    ).stdout.replace("\n", " ")
    found = json.loads(say("reference", "check", "--json", "--folder", folder / "kept", code=1).stdout)
    assert {"path", "problem", "remedy"} == set(found[(folder / "kept").as_posix()][0])


def test_a_repeated_run_is_compared_with_the_kept_one(say, naive):
    folder, path = naive
    where = ("--configfile", CONFIG, "--folder", folder / "kept", "--results", folder / "results")
    say("reference", "export", *where)
    assert not unnamed(say("reference", "compare", *where, code=2).stderr, folder / "results")
    kept = json.loads((folder / path).read_text())
    kept["provenance"] |= {"ended": "2026-01-03T00:00:00+00:00", "hardware": {"processor": "B", "cores": 2}}
    (folder / path).write_text(json.dumps(kept | {"mse": 0.2525}))
    words = say("reference", "compare", *where).stdout
    assert {"0.25000", "0.25250", "+2.5e-03", "1.00%"} <= set(words.replace("\n", " ").split())
    [found] = json.loads(say("reference", "compare", *where, "--json").stdout)
    assert found["result"] == path and found["kept"] == 0.25 and found["here"] == 0.2525
    assert (found["kept_processor"], found["processor"]) == ("A processor", "B")


def test_an_error_is_reported_if_there_is_nothing_to_export_or_check(say, naive):
    folder, _ = naive
    assert not unnamed(say("reference", "check", "--folder", folder / "none", code=2).stderr, folder / "none")
    where = ("--configfile", CONFIG, "--folder", folder / "none")
    assert not unnamed(
        say("reference", "export", *where, "--results", folder / "empty", code=2).stderr, folder / "empty"
    )
    assert not unnamed(say("reference", "missing", *where, "--experiment", "x", code=2).stderr, "--experiment", "'x'")
