"""The kept numbers equal the results to the last bit; new ones are added to them, and damaged ones are refused."""

import json
from pathlib import Path

import pytest

from tests.refusal import refused
from timellama.core.jobs.job_state import JobError, remove_error, write_error
from timellama.reports.reference import numbers as reference


@pytest.fixture
def matrix(world):
    return reference.planned(world.matrix, configfile=world.configfile)


def keep(world, kept) -> None:
    world.kept.mkdir(exist_ok=True)
    for name, text in reference.to_files(kept).items():
        (world.kept / name).write_text(text, encoding="utf-8", newline="")


def test_every_result_is_read_back_unchanged(world, matrix):
    documents = world.files()
    assert len(documents) > 30 and any(path.startswith("results/efficiency/") for path in documents)
    kept = reference.merged(None, documents, matrix=matrix, logs=world.results)
    keep(world, kept)
    back = reference.read(world.kept)
    assert back == kept and back.results == documents and not back.reasons
    assert reference.to_files(back) == reference.to_files(kept)


def test_the_path_of_a_result_follows_from_its_settings(world):
    for path, document in world.files().items():
        assert reference.path_of(json.loads(json.dumps(document))) == path


def test_results_are_found_by_path_and_checked_on_reading(world, matrix):
    documents = world.files()
    some = dict(list(documents.items())[::3])
    world.put(some)
    assert reference.find(documents, results=world.results) == some
    first, second, *_ = some
    world.put({first: documents[second]})
    with refused(Path(first).name):
        reference.find(documents, results=world.results)


def test_the_later_of_two_results_is_kept(world, matrix):
    documents = world.files()
    path = next(path for path, document in documents.items() if "mse" in document)
    kept = reference.merged(None, documents, matrix=matrix, logs=world.results)
    for ended, counts in (("2026-01-02T00:00:09+00:00", False), ("2026-01-02T01:00:11+01:00", True)):
        other = documents[path] | {"mse": 9.0, "provenance": documents[path]["provenance"] | {"ended": ended}}
        again = reference.merged(kept, {path: other}, matrix=matrix, logs=world.results)
        assert again.results == (documents | {path: other} if counts else documents)


def test_the_reason_for_an_absent_result_is_kept(world, matrix):
    documents = world.files()
    first, second, *_ = documents
    log = world.results / "logs/train" / f"{Path(first).parent.relative_to('results')}.log"
    log.parent.mkdir(parents=True)
    write_error(log, JobError.of(ValueError('loss is NaN, "twice"')))
    there = {path: document for path, document in documents.items() if path not in (first, second)}
    kept = reference.merged(None, there, matrix=matrix, logs=world.results / "logs")
    reasons = {first: 'ValueError: loss is NaN, "twice"', second: reference.UNFINISHED}
    assert kept.reasons == reasons
    keep(world, kept)
    assert reference.read(world.kept).reasons == reasons
    remove_error(log)
    assert reference.merged(kept, {}, matrix=matrix, logs=world.results / "logs").reasons == reasons
    assert first not in reference.merged(kept, documents, matrix=matrix, logs=world.results / "logs").reasons


@pytest.mark.parametrize(
    ("name", "old", "new", "named"),
    [
        ("metrics.csv", ",long-term,", ",short-term,", ("results/long-term/Synthetic",)),
        ("metrics.csv", "results/long-term", "results/other", ("results/other/Synthetic",)),
        ("metrics.csv", ",Synthetic,", ",", ("metrics.csv", "row 2")),
        ("efficiency.csv", "T00:00:00", "T00:00:01", ("efficiency.csv", "results/efficiency")),
        ("plan.json", '"format": 1', '"format": 2', ("plan.json", 1)),
        ("plan.json", "{", "", ("plan.json",)),
    ],
)
def test_damaged_files_are_refused(world, matrix, name, old, new, named):
    keep(world, reference.merged(None, world.files(), matrix=matrix, logs=world.results))
    text = (world.kept / name).read_text(encoding="utf-8")
    assert old in text
    (world.kept / name).write_text(text.replace(old, new, 1), encoding="utf-8", newline="")
    with refused(*named):
        reference.read(world.kept)


def test_a_duplicate_line_is_refused(world, matrix):
    keep(world, reference.merged(None, world.files(), matrix=matrix, logs=world.results))
    file = world.kept / "metrics.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([*lines, lines[1]]), encoding="utf-8", newline="")
    with refused("metrics.csv", lines[1].split(",")[0]):
        reference.read(world.kept)
