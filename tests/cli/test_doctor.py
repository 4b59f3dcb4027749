"""`timellama doctor`: the exit code says whether the configuration can run."""

import json
import shutil
import sys

import pytest
import yaml

from tests import made_up
from tests.refusal import unnamed
from timellama.methods.registry import method_of
from timellama.methods.time_llama.prompts import prompt_kind

PARTS = """
from torch import nn

from timellama.methods.time_llama.prompts import Prompt


class Levels(nn.Module):
    def __init__(self, *, context: int, horizon: int):
        super().__init__()
        self.linear = nn.Linear(context, horizon)


class Loose(nn.Module):
    def __init__(self, *, context, width=3):
        super().__init__()


class Short(Prompt):
    pass
"""
SECTION = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["own"]}


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


@pytest.fixture
def examined(project, say):
    """What doctor says of the smoke configuration with changes: its findings by name, and its text."""
    (project / "doctors_parts.py").write_text(PARTS, encoding="utf-8")

    def examined(*, code: int, **changes):
        config = yaml.safe_load((project / "config/smoke.yaml").read_text(encoding="utf-8"))
        config |= {"experiments": {"long_term": SECTION}, "overrides": {}} | changes
        (project / "own.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        told = json.loads(say("doctor", "--configfile", "own.yaml", "--json", code=code).stdout)
        assert told["can_run"] == (code == 0)
        findings: dict[str, list] = {}
        for each in told["findings"]:
            findings.setdefault(each["name"], []).append(each)
        return findings, say("doctor", "--configfile", "own.yaml", code=code).stdout

    yield examined
    sys.modules.pop("doctors_parts", None)
    method_of.cache_clear()
    prompt_kind.cache_clear()


def entry(method: str, **changes) -> dict:
    return {"own": made_up.METHOD | {"method": method} | changes}


def test_own_methods_and_prompts_have_a_line_where_the_configuration_names_any(examined):
    with_prompt = {"overrides": {"time-llama": {"options": {"prompt": "doctors_parts:Short"}}}}
    section = SECTION | {"methods": ["own", "time-llama"], **with_prompt}
    own, _ = examined(code=0, methods=entry("doctors_parts:Levels"), experiments={"long_term": section})
    for name in ("own methods", "own prompts"):
        assert [(each["state"], each["found"]) for each in own[name]] == [("ok", "1 imported")]
    none, _ = examined(code=0, methods=entry("time-llama", options={"prompt": "generic"}))
    assert not {"own methods", "own prompts"} & set(none) and "own metrics" in none


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("doctors_parts:Level", ("doctors_parts.py", "Levels?")),
        ("doctors_absent:Levels", ("'doctors_absent'", "PYTHONPATH")),
        ("doctors_parts:Loose", ("'width'", "annotation")),
    ],
)
def test_an_own_method_that_cannot_be_loaded_is_a_gap_beside_the_other_lines(examined, place, named):
    """Whatever else is set for it, even what no other method has."""
    options = {"options": {"depth": 3}}
    made = entry(place, backbone={"weights": "random"}, datasets={"Synthetic": options}, **options)
    settings = options | {"backbones": [{"name": "tiny-llama", "blocks": 2, "rank": 4}]}
    section = SECTION | {"overrides": {"own": settings}}
    own, text = examined(code=1, methods=made, overrides={place: options}, experiments={"long_term": section})
    [gap] = own["own methods"]
    assert gap["state"] == "gap" and not unnamed(gap["found"], place, *named) and "`methods`" in gap["remedy"]
    assert gap["remedy"] in text and {"data Synthetic", "own metrics", "memory", "git", "LaTeX"} <= set(own)
    assert [name for name, of in own.items() if of[0]["state"] == "gap"] == ["own methods"]


@pytest.mark.parametrize("of_data_set", [False, True])
def test_an_own_prompt_that_cannot_be_loaded_is_a_gap_beside_the_other_lines(examined, of_data_set):
    options = {"options": {"prompt": "doctors_parts:Shrot"}}
    made = entry("time-llama", **({"datasets": {"Synthetic": options}} if of_data_set else options))
    own, text = examined(code=1, methods=made)
    [gap] = own["own prompts"]
    assert gap["state"] == "gap" and not unnamed(gap["found"], "doctors_parts:Shrot", "Short?")
    assert gap["remedy"] in text and {"data Synthetic", "backbone tiny-gpt2", "git"} <= set(own)


def test_another_mistake_beside_a_method_that_cannot_be_loaded_is_an_error(project, say):
    config = yaml.safe_load((project / "config/smoke.yaml").read_text(encoding="utf-8"))
    config["methods"] = entry("doctors_absent:Levels", labl="Own")
    (project / "own.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert not unnamed(say("doctor", "--configfile", "own.yaml", code=2).stderr, "own.yaml", "own.labl", "label?")
