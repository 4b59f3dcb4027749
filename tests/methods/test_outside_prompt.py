"""External kinds of prompt, as docs/adding.md prints them: a class each, and its name in the configuration."""

import sys

import pytest
import torch
import yaml

from tests import made_up, printed
from tests.refusal import refused
from timellama.backbones.catalogue import load_backbones, prepare
from timellama.backbones.prepared import prompt_rows
from timellama.core.code_digest import code_used
from timellama.experiments.matrix import make_matrix
from timellama.methods.obstacles import Setting
from timellama.methods.registry import method_of
from timellama.methods.time_llama import TimeLlamaOptions, prompts
from timellama.training.build import build, entries_of


@pytest.fixture
def visitor(tmp_path, monkeypatch):
    (tmp_path / "my_prompts.py").write_text(printed.block("python", "(Prompt)"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_prompts"
    sys.modules.pop("my_prompts", None)
    prompts.prompt_kind.cache_clear()


@pytest.fixture
def matrix_of(root):
    """The only run of Time-LlaMA in the smoke configuration, with another prompt."""

    def planned(name: str):
        config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
        section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["own"]}
        own = {"own": made_up.METHOD | {"method": "time-llama", "options": {"prompt": name}}}
        matrix = make_matrix(config | {"methods": own, "experiments": {"long_term": section}, "seeds": [0]}, root=root)
        return next(iter(matrix.every_run().values()))

    return planned


@pytest.fixture
def folder(root, tmp_path):
    entry = load_backbones(root / "config/backbones.yaml")["tiny-gpt2"]
    prepare(entry, blocks=2, source=None, folder=tmp_path / "backbone")
    return tmp_path / "backbone"


def test_its_text_enters_the_run_and_its_rows_the_model(visitor, matrix_of, folder):
    run, described = matrix_of(f"{visitor}:FirstSentence"), matrix_of("descriptive")
    assert run.prompt == described.prompt.split(".")[0] + "." and run.digest != described.digest
    assert torch.equal(build(run, backbone_folder=folder).prompt, prompt_rows(folder, run.prompt))


def test_it_can_make_a_prompt_for_each_sample(visitor, matrix_of, folder):
    run = matrix_of(f"{visitor}:LastValue")
    torch.manual_seed(0)
    model = build(run, backbone_folder=folder).eval()
    x = torch.randn(3, run.context, run.variates)
    rows, counted = model.prompt(x)
    assert rows.shape[:2] == counted.shape and len(rows) == 3
    for sample, value in enumerate(x[:, -1].mean(dim=1).tolist()):
        expected = prompt_rows(folder, f"{run.prompt} The last value is {value:.2f}.")
        assert torch.equal(rows[sample, counted[sample]], expected)
    assert model(x).shape == (3, run.horizon, run.variates)


def test_a_kind_without_a_name_is_called_what_the_option_says(visitor):
    options = TimeLlamaOptions(prompt=f"{visitor}:LastValue", alignment="prefix")
    found = method_of("time-llama").obstacles_to(
        options, Setting(context=96, horizon=24, variates=7, width=32, modules=6)
    )
    assert [f"{visitor}:LastValue" in obstacle.reason for obstacle in found] == [True]


def test_only_its_own_runs_depend_on_its_code(visitor):
    step = "timellama.training.run:run_experiment"
    own = code_used(step, *entries_of("time-llama", prompt=f"{visitor}:LastValue"))
    others = code_used(step, *entries_of("time-llama", prompt="descriptive"))
    assert {f"{visitor}:LastValue", f"{visitor}:LastValues"} <= set(own)
    assert not [name for name in others if visitor in name or name.endswith((":Shuffled", ":Statistics"))]


@pytest.mark.parametrize("name", ["poem", "my_prompts", "no_such_module:Prompt"])
def test_an_invalid_prompt_is_named(visitor, matrix_of, name):
    with refused("smoke", "own.options.prompt", f"'{name}'", "PYTHONPATH" if ":" in name else "statistics"):
        matrix_of(name)
