"""The index of provenance, and `timellama verify`: each kind of tampering is reported for the changed file only."""

import dataclasses
import hashlib
import json
import shutil

import pytest

from tests.refusal import refused, unnamed
from timellama.core.code_digest import code_used
from timellama.experiments.run import Backbone
from timellama.reports import provenance_index
from timellama.reports.catalogue import OWN
from timellama.results.digests import code_of_intervals, code_of_run, code_of_sweep

RAW = "results/raw/made/up.csv"
FOLDER = "results/backbones/tiny/x2-pretrained"
SWEEP = "results/efficiency/dlinear/H4-T16-0123456789.json"
INDEX = "reports/provenance.json"


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def change(path, **values) -> None:
    """Put other values under keys of a JSON file; a dictionary is changed key by key."""
    document = json.loads(path.read_text())
    for key, value in values.items():
        document[key] = document[key] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(document))


@pytest.fixture
def indexed(made):
    """Three runs (one of them with a language model), a sweep and three reports, with their index."""
    (made.folder / RAW).parent.mkdir(parents=True)
    (made.folder / RAW).write_text("date,load\n")
    data = sha256(made.folder / RAW)
    quirks = made.folder / "results/data/ETTh1/quirks.json"
    quirks.write_text(json.dumps({"raw": [{"path": "made/up.csv", "sha256": data}]}))
    (made.folder / FOLDER).mkdir(parents=True)
    (made.folder / FOLDER / "blocks.safetensors").write_bytes(b"blocks")
    runs = {name: made.runs[name] for name in ("dlinear-0", "dlinear-1")}
    backbone = Backbone(name="tiny", blocks=2, pin="ab", weights="pretrained")
    runs["with-backbone"] = dataclasses.replace(runs["dlinear-1"], backbone=backbone)
    shutil.copytree(made.place("dlinear-1"), made.folder / "results" / runs["with-backbone"].folder)
    places = {name: made.folder / "results" / run.folder / "metrics.json" for name, run in runs.items()}
    for name, run in runs.items():
        origin = {"source_digest": code_of_run(run), "data_sha256": data, "git_commit": "1" * 40, "git_dirty": False}
        if run.backbone:
            origin["backbone_digest"] = {"blocks.safetensors": sha256(made.folder / FOLDER / "blocks.safetensors")}
        change(places[name], provenance=origin, run=json.loads(run.to_json()), identity=run.identity)
    run = json.loads(runs["dlinear-0"].to_json()) | {"data_sha256": None}
    origin = json.loads(places["dlinear-0"].read_text())["provenance"]
    kept = {key: origin[key] for key in ("versions", "hardware", "git_commit", "git_dirty", "started", "ended")}
    sweep = {"sweep": {"run": run, "threads": 2}, "provenance": kept | {"source_digest": code_of_sweep("dlinear")}}
    (made.folder / SWEEP).parent.mkdir(parents=True)
    (made.folder / SWEEP).write_text(json.dumps(sweep))
    (made.folder / "reports").mkdir()
    for name in ("a.md", "b.md", "c.md"):
        (made.folder / "reports" / name).write_text(name)
    paths = {name: place.relative_to(made.folder).as_posix() for name, place in places.items()}
    reports = {
        "reports/a.md": [paths["dlinear-0"], paths["dlinear-1"]],
        "reports/b.md": [paths["with-backbone"]],
        "reports/c.md": [SWEEP],
    }
    index = provenance_index.make(reports, configuration="made up")
    provenance_index.write(index, made.folder / INDEX)
    return made, paths, index


def test_the_index_holds_digests_settings_and_origins(indexed):
    made, paths, index = indexed
    assert json.loads((made.folder / INDEX).read_text()) == json.loads(json.dumps(index))
    report = index["reports"]["reports/a.md"]
    assert report["sha256"] == hashlib.sha256(b"a.md").hexdigest()
    assert report["results"] == sorted([paths["dlinear-0"], paths["dlinear-1"]])
    assert report["seeds"] == [0, 1] and report["commits"] == ["1111111"]
    assert report["data_sha256"] == {"ETTh1": sha256(made.folder / RAW)}
    result = index["results"][paths["with-backbone"]]
    assert result["sha256"] == sha256(made.folder / paths["with-backbone"])
    beside = {path.rsplit("/", 1)[-1] for path in result["files"]}
    assert beside == {"weights.safetensors", "history.csv", "router.csv", "forecasts.npz", "windows.npz"}
    assert result["backbone"]["name"] == "tiny" and result["backbone_folder"] == FOLDER
    assert index["environments"][result["environment"]]["versions"]["torch"]
    assert index["backbones"] == {FOLDER: {f"{FOLDER}/blocks.safetensors": hashlib.sha256(b"blocks").hexdigest()}}
    assert set(index["data"]["ETTh1"]) == {
        RAW,
        *(f"results/data/ETTh1/{name}" for name in ("quirks.json", "series.npz")),
    }
    assert index["results"][SWEEP]["threads"] == 2 and index["results"][SWEEP]["seed"] is None


def test_the_index_does_not_depend_on_the_order_of_reports(indexed):
    made, _, index = indexed
    reports = {path: list(reversed(entry["results"])) for path, entry in reversed(index["reports"].items())}
    provenance_index.write(provenance_index.make(reports, configuration="made up"), made.folder / "again.json")
    assert (made.folder / "again.json").read_bytes() == (made.folder / INDEX).read_bytes()


def test_an_untouched_tree_matches(indexed, say):
    assert say("verify").stdout == "3 reports, 4 results, 26 files looked at: all match\n"


def test_intervals_of_other_code_are_named(indexed, say):
    made, paths, _ = indexed
    levels = ("50", "80", "90")
    scores = {
        **{"run": "a", "n_windows": 9, "calibration": {"windows": 9, "of": 9}, "quantiles": 19},
        **{"coverage": dict.fromkeys(levels, 0.5), "coverage_interval": dict.fromkeys(levels)},
        **{"coverage_of_thirds": {key: [0.5] for key in levels}, "width": dict.fromkeys(levels), "pinball": None},
        **{"crps": None, "provenance": {"git_commit": "1" * 40, "git_dirty": False, "weights_sha256": "0" * 64}},
    }
    place = (made.folder / paths["dlinear-0"]).with_name("intervals.json")
    for digest, code in ((code_of_intervals(made.runs["dlinear-0"]), 0), ("of other code", 1)):
        scores["provenance"]["source_digest"] = digest
        place.write_text(json.dumps(scores))
        told = say("verify", code=code).stdout
        assert ("intervals.json has intervals of other code" in told) == bool(code)


CASES = {  # what is tampered with: the problem that is reported
    "reports/a.md": "was changed after it was made",
    "dlinear-0/metrics.json": "is not the result that 1 report(s) were made from",
    "dlinear-0/weights.safetensors": "was changed after its run ended",
    "with-backbone/history.csv": "was changed after its run ended",
    "dlinear-1/router.csv": "was changed after its run ended",
    "dlinear-1/forecasts.npz": "was changed after its run ended",
    SWEEP: "is not the result that 1 report(s) were made from",
    RAW: "of the prepared data was changed",
    "results/data/ETTh1/series.npz": "of the prepared data was changed",
    "results/data/ETTh1/quirks.json": "of the prepared data was changed",
    f"{FOLDER}/blocks.safetensors": "of the language model was changed",
}


def place(name, paths):
    run, _, file = name.partition("/")
    return f"{paths[run].rsplit('/', 1)[0]}/{file}" if run in paths else name


@pytest.mark.parametrize("name", CASES)
def test_one_changed_byte_is_reported_for_its_file_only(indexed, say, name):
    made, paths, _ = indexed
    path = made.folder / place(name, paths)
    content = bytearray(path.read_bytes() or b"x")
    content[-1] ^= 1
    path.write_bytes(content)
    found = json.loads(say("verify", "--json", code=1).stdout)["mismatches"]
    assert [(each["path"], each["problem"]) for each in found] == [(place(name, paths), CASES[name])]
    assert found[0]["remedy"]


@pytest.mark.parametrize("name", CASES)
def test_an_absent_file_is_reported(indexed, say, name):
    made, paths, _ = indexed
    (made.folder / place(name, paths)).unlink()
    found = json.loads(say("verify", "--json", code=1).stdout)["mismatches"]
    assert [(each["path"], each["problem"]) for each in found] == [(place(name, paths), "is absent")]


def test_changing_any_value_of_a_result_is_reported(indexed, say):
    made, paths, _ = indexed
    change(made.folder / paths["dlinear-0"], mse=0.001)
    told = say("verify", code=1).stdout
    assert told.startswith(f"{paths['dlinear-0']} is not the result") and told.endswith("1 do not match\n")


def again(made, index):
    """Rebuilds the index after results were changed, so that the digests of files match."""
    reports = {path: entry["results"] for path, entry in index["reports"].items()}
    provenance_index.write(provenance_index.make(reports, configuration="made up"), made.folder / INDEX)


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("dlinear-0", {"provenance": {"source_digest": "0" * 64}}, "is of other code (00000000)"),
        ("dlinear-0", {"run": {"seed": 5}}, "cannot be read by this version"),
        ("dlinear-0", {"provenance": {"data_sha256": "cd"}}, "was computed from other files of ETTh1"),
        (
            "with-backbone",
            {"provenance": {"backbone_digest": {"blocks.safetensors": "cd"}}},
            "was computed with another blocks.safetensors",
        ),
    ],
)
def test_a_result_in_the_index_is_still_checked_against_code_and_inputs(indexed, say, name, changes, problem):
    made, paths, index = indexed
    change(made.folder / paths[name], **changes)
    again(made, index)
    (found,) = json.loads(say("verify", "--json", code=1).stdout)["mismatches"]
    assert found["path"] == paths[name] and found["problem"].startswith(problem)


def test_a_sweep_of_other_code_is_named(indexed, say):
    made, _, index = indexed
    change(made.folder / SWEEP, provenance={"source_digest": "0" * 64})
    again(made, index)
    (found,) = json.loads(say("verify", "--json", code=1).stdout)["mismatches"]
    assert found["path"] == SWEEP and "is of other code" in found["problem"]


def test_other_reporting_code_is_named(indexed, say):
    made, _, _ = indexed
    change(made.folder / INDEX, reporting_code="0" * 64)
    (found,) = json.loads(say("verify", "--json", code=1).stdout)["mismatches"]
    assert found["path"] == "reports/" and "other reporting code" in found["problem"]


def test_the_reporting_code_includes_every_builder():
    assert {report.build for report in OWN} <= set(code_used(*provenance_index.REPORTING))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, (INDEX,)),
        ("{", (INDEX,)),
        ("[]", (INDEX,)),
        ('{"format": 0}', (INDEX, "format", 0, 1)),
        ('{"format": 1}', (INDEX, "reports")),
    ],
)
def test_an_absent_or_invalid_index_is_an_error(indexed, say, content, named):
    made, _, _ = indexed
    (made.folder / INDEX).unlink()
    if content is not None:
        (made.folder / INDEX).write_text(content)
    told = say("verify", code=2).stderr
    assert not unnamed(told, *named, f"snakemake -j1 {INDEX}")


def test_no_index_is_made_without_results_or_from_one_without_a_source_digest(indexed):
    made, paths, _ = indexed
    with refused("reports/d.md"):
        provenance_index.make({"reports/d.md": []}, configuration="made up")
    document = json.loads((made.folder / paths["dlinear-0"]).read_text())
    del document["provenance"]["source_digest"]
    (made.folder / paths["dlinear-0"]).write_text(json.dumps(document))
    with refused(paths["dlinear-0"], "source_digest"):
        provenance_index.make({"reports/a.md": [paths["dlinear-0"]]}, configuration="made up")
