"""An external kind of prompt: one class, and its name in the configuration."""

import sys

import pytest
import torch
import yaml

from tests import made_up
from tests.refusal import refused
from timellama.backbones.catalogue import load_backbones, prepare
from timellama.backbones.prepared import prompt_rows
from timellama.core.code_digest import code_used
from timellama.experiments.matrix import make_matrix
from timellama.methods.time_llama import prompts
from timellama.training.build import build, entries_of

MODULE = '''"""Two kinds of prompt."""

from torch import nn

from timellama.methods.time_llama.prompts import Prompt


class Shouted(Prompt):
    """The description in capitals."""

    @staticmethod
    def text(description):
        return description.upper()


class Last(Prompt):
    """The description and each sample's last value."""

    extra = 10

    @staticmethod
    def embeddings(text, *, context, embedder):
        return LastValue(text, embedder)


class LastValue(nn.Module):
    def __init__(self, text, embedder):
        super().__init__()
        self.text, self.embedder = text, embedder

    def forward(self, x):
        texts = [f"{self.text} {value:.2f}" for value in x[:, -1].mean(dim=1).tolist()]
        rows = nn.utils.rnn.pad_sequence([self.embedder.rows(text) for text in texts], batch_first=True)
        return rows, rows.abs().sum(dim=2) > 0
'''


@pytest.fixture
def visitor(tmp_path, monkeypatch):
    (tmp_path / "visiting_prompts.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "visiting_prompts"
    sys.modules.pop("visiting_prompts", None)
    prompts.prompt_kind.cache_clear()


@pytest.fixture
def plan_of(root):
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


def test_its_text_enters_the_run_and_its_rows_the_model(visitor, plan_of, folder):
    run, described = plan_of(f"{visitor}:Shouted"), plan_of("descriptive")
    assert run.prompt == described.prompt.upper() and run.digest != described.digest
    assert torch.equal(build(run, backbone_folder=folder).prompt, prompt_rows(folder, run.prompt))


def test_it_can_make_a_prompt_for_each_sample(visitor, plan_of, folder):
    run = plan_of(f"{visitor}:Last")
    torch.manual_seed(0)
    model = build(run, backbone_folder=folder).eval()
    x = torch.randn(3, run.context, run.variates)
    rows, counted = model.prompt(x)
    assert rows.shape[0] == counted.shape[0] == 3
    assert torch.equal(rows[0, counted[0]], prompt_rows(folder, f"{run.prompt} {x[0, -1].mean():.2f}"))
    assert model(x).shape == (3, run.horizon, run.variates)


def test_only_its_own_runs_depend_on_its_code(visitor):
    step = "timellama.training.run:run_experiment"
    own = code_used(step, *entries_of("time-llama", prompt=f"{visitor}:Last"))
    others = code_used(step, *entries_of("time-llama", prompt="descriptive"))
    assert {f"{visitor}:Last", f"{visitor}:LastValue"} <= set(own)
    assert not [name for name in others if visitor in name or name.endswith((":Shuffled", ":Statistics"))]


@pytest.mark.parametrize("name", ["poem", "visiting_prompts", "no_such_module:Prompt"])
def test_an_invalid_prompt_is_named(visitor, plan_of, name):
    with refused("smoke", "own.options.prompt", f"'{name}'", "PYTHONPATH" if ":" in name else "statistics"):
        plan_of(name)
