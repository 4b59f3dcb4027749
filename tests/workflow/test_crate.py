"""A finished run as an RO-Crate: it describes exactly the files that it holds, and a changed file is detected."""

import json
from pathlib import Path

import pytest

from tests.refusal import refused
from timellama.data.catalogue.datasets import load_catalogue
from timellama.reports import provenance_index
from timellama.reports.crate import METADATA, check_crate, write_crate


@pytest.fixture
def crate(finished, tmp_path) -> Path:
    root = finished.folder
    folder = tmp_path / "crate"
    write_crate(
        provenance_index.read(root / "reports/provenance.json"),
        configfile=Path("config/config.yaml"),
        datasets=load_catalogue(root / "config/datasets.yaml"),
        root=root,
        folder=folder,
    )
    return folder


def test_every_report_and_result_is_a_described_file_of_the_run(finished, crate):
    graph = {entity["@id"]: entity for entity in json.loads((crate / METADATA).read_text())["@graph"]}
    index = provenance_index.read(finished.folder / "reports/provenance.json")
    results = {part["@id"] for part in graph["#run"]["result"]}
    assert {*index["reports"], *index["results"]} <= results
    parts = {part["@id"] for part in graph["./"]["hasPart"]}
    assert results <= parts and graph["./"]["mainEntity"]["@id"] == "Snakefile"
    local = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()} - {METADATA}
    assert local == {name for name in parts if "url" not in graph[name]}
    assert all(len(graph[name]["sha256"]) == 64 for name in local)
    assert graph["#torch"]["softwareVersion"] and graph["Snakefile"]["version"] == index["checkout"]["git_commit"]


def test_a_changed_and_an_absent_file_are_detected(crate):
    assert check_crate(crate) == []
    table = crate / "reports/table_long_term.md"
    table.write_text(table.read_text(encoding="utf-8").replace("0", "1", 1), encoding="utf-8")
    (crate / "Snakefile").unlink()
    assert sorted(check_crate(crate)) == ["Snakefile", "reports/table_long_term.md"]


def test_an_existing_folder_is_not_overwritten(finished, crate):
    with refused(crate):
        write_crate({"results": {}, "reports": {}}, configfile=Path("x"), datasets={}, root=Path(), folder=crate)
