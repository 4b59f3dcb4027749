"""`timellama doctor`: the exit code says whether the configuration can run."""

import json
import shutil

import pytest

from tests.refusal import unnamed


@pytest.fixture
def project(root, tmp_path, monkeypatch):
    shutil.copytree(root / "config", tmp_path / "config")
    shutil.copy2(root / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / "Snakefile").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("timellama.cli.checks.reachable", lambda source: "the test has no network")
    return tmp_path


def test_a_configuration_that_needs_no_network_can_run(project, say):
    told = json.loads(say("doctor", "--configfile", "config/smoke.yaml", "--json").stdout)
    assert told["can_run"] and told["configuration"] == "smoke"
    states = {each["name"]: each["state"] for each in told["findings"]}
    for need in ("Python", "libraries", "torch", "device", "memory", "disk", "data Synthetic", "backbone tiny-gpt2"):
        assert states[need] == "ok", need
    assert {"git", "LaTeX"} <= set(states)


def test_each_gap_is_reported_with_its_remedy(project, say):
    text = say("doctor", "--configfile", "config/paper.yaml", code=1).stdout
    for wanted in ("cannot run here", "data ETTh1", "TIMELLAMA_MIRROR", "backbone Llama-2-7B", "HF_TOKEN", "Gemma-2B"):
        assert wanted in text, wanted
    assert not unnamed(say("doctor", "--configfile", "absent.yaml", code=2).stderr, "absent.yaml")


def test_help_shows_examples(say):
    assert "timellama doctor --configfile config/paper.yaml" in say("doctor", "--help").stdout
