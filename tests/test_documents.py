"""A result that lacks a key its reader needs, or has another type there, is refused with its file and key."""

import copy
from pathlib import Path

import pytest

from tests.refusal import refused
from timellama.core.schema import json_schema
from timellama.cost.sweep_document import SweepDocument
from timellama.results.read.documents import Computed, Described, Document, Found, Index, Metrics, as_result

COMMIT = {"git_commit": "0" * 40, "git_dirty": None}
RUN = {"task": "long-term", "dataset": "ETTh1", "context": 512, "horizon": 96, "train_percent": 100, "variant": "a"}
RUN |= {"method": "dlinear", "seed": 0, "precision": "float32"}
RUN |= {"backbone": {"name": "a", "blocks": 6, "pin": "ab", "weights": "random"}}
MACHINE = {"processor": "p", "cores": 2, "memory_gib": 8, "system": "s"}
STAGE = {"first": 1.0, "seconds": 0.5, "peak": 5}
ROW = {"variates": 7, "batch_size": 1, "dtype": "float32", "threads": 2, "processor": "p", "limit_bytes": 9}
ROW |= {"versions": {"torch": "2"}, "forward_status": "measured", "training_status": "too slow", "forward": STAGE}
ROW |= {"forward_predicted": None, "training_predicted": {"seconds": 1, "bytes": 2.5}}
DIGEST = "a" * 64
RESULT = "results/a/metrics.json"
WHOLE: dict[type[Document], dict] = {
    Metrics: {
        "run": RUN,
        "identity": "a",
        **{"mse": 0.4, "mae": 1, "n_windows": 9, "validation_loss": None, "steps": 0, "best_step": 0},
        "parameters": {"total": 2, "trainable": 1},
        "seconds": {"train": 1.0, "evaluate": 1.0, "total": 2.0},
        "peak_memory_bytes": 1,
        "router": {"collapsed_blocks": [0], "distinct_patterns": [1, 2]},
        "provenance": COMMIT | {"hardware": {"device": "cpu"}},
    },
    Computed: {"provenance": COMMIT | {"started": "x", "ended": "y", "versions": {"a": "1"}, "hardware": MACHINE}},
    Described: {"run": {"any": 1}, "identity": "a"},  # `Run.from_json` reads the run
    Found: {"raw": [{"path": "a.csv"}]},
    SweepDocument: {"sweep": {"run": RUN}, "rows": [ROW], "provenance": COMMIT},
    Index: {
        **{"format": 1, "configuration": "a", "reporting_code": "b"},
        "reports": {"reports/a.md": {"sha256": DIGEST, "results": [RESULT]}},
        "results": {
            RESULT: {
                **{"sha256": DIGEST, "files": {"results/a/weights": DIGEST}, "dataset": "ETTh1", "data_sha256": DIGEST},
                **{"backbone_folder": "results/backbones/a", "backbone_digest": {"blocks": DIGEST}},
            }
        },
        "data": {"ETTh1": {"results/raw/a.csv": DIGEST}},
        "backbones": {"results/backbones/a": {"results/backbones/a/blocks": DIGEST}},
    },
}
OF_TASK = {"mse", "mae"}  # M4 has other errors
OPTIONAL = {"forward"}  # only in a cell that was started


def places(value: object, way: tuple = ()) -> list[tuple]:
    """The place of every key below `value`."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        found += [(*way, key), *places(child, (*way, key))]
    return found


def spelled(place: tuple) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def changed(document: dict, place: tuple, *wrong: object) -> dict:
    """A copy with another value at `place`, or with none there."""
    document = copy.deepcopy(document)
    *way, last = place
    at = document
    for part in way:
        at = at[part]
    if wrong:
        at[last] = wrong[0]
    else:
        del at[last]
    return document


def named(document: dict, kind: type[Document], *more: object) -> None:
    with refused("results/x.json", *more):
        as_result(document, kind, Path("results/x.json"))


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.__name__)
def test_every_key_that_is_read_is_required_and_its_type_checked(kind):
    whole = WHOLE[kind]
    as_result(whole | {"what a later version writes": 1}, kind, Path("x"))
    schema = json_schema(kind)
    nodes = [schema, *schema.get("$defs", {}).values()]
    read = {key for node in nodes for key in node.get("properties", {})}
    checked = 0
    for place in [place for place in places(whole) if place[-1] in read]:
        if place[-1] not in OPTIONAL:  # all else in `WHOLE` is required
            named(changed(whole, place), kind, spelled(place))
        for wrong in (["x", 3.5], float("nan")):
            named(changed(whole, place, wrong), kind, spelled(place))
            checked += 1
    assert checked >= 2


def test_numbers_stay_as_they_were_written():
    found = as_result(WHOLE[Metrics], Metrics, Path("x"))
    assert (found.mae, type(found.mae)) == (1, int), "tables print 1 and 1.0 the same way, but CSV files do not"
    assert as_result(WHOLE[SweepDocument], SweepDocument, Path("x")).rows == [ROW]


def test_a_measured_cell_without_its_median_is_refused():
    row = ROW | {"forward": STAGE | {"seconds": None}}
    named(WHOLE[SweepDocument] | {"rows": [row]}, SweepDocument, "rows[0].forward")


@pytest.mark.parametrize("part", ["results", "data", "backbones"])
def test_an_index_that_names_what_it_lacks_is_refused(part):
    named(WHOLE[Index] | {part: {}}, Index, part)


def test_m4_results_need_the_errors_of_m4():
    whole = WHOLE[Metrics]
    m4 = {key: value for key, value in whole.items() if key not in OF_TASK} | {"smape": 12.0, "mase": 1.0}
    named(m4, Metrics, "owa")
    assert as_result(m4 | {"owa": 0.9}, Metrics, Path("x")).errors == ("smape", "mase", "owa")
