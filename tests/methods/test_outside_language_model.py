"""An external network that requests parts of the language model, and has an auxiliary loss, without a record."""

import sys

import pytest
import torch
import yaml

from tests import made_up
from timellama.backbones.catalogue import prepare
from timellama.backbones.prepared import embedding_table, prompt_rows
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.flops import count
from timellama.experiments.matrix import make_matrix
from timellama.methods import registry
from timellama.training.build import build

MODULE = '''"""A gated linear map, whose gate depends on the prompt."""

import torch
from torch import nn

from timellama.methods.forecaster import Forecast, Forecaster


class Prompted(Forecaster):
    def __init__(
        self, *, context, horizon, backbone, prompt, description, embedding_table, balance_weight: float = 0.25
    ):
        super().__init__()
        self.linear, self.gate = nn.Linear(context, horizon), nn.Linear(backbone.width, 1)
        self.description = description
        self.register_buffer("prompt", prompt, persistent=False)
        self.register_buffer("words", embedding_table, persistent=False)

    def forward(self, x):
        return self.forecast(x).values

    def forecast(self, x):
        gate = torch.sigmoid(self.gate(self.prompt.mean(dim=0)))
        values = gate * self.linear(x.transpose(1, 2)).transpose(1, 2)
        return Forecast(values=values, balance=gate.square().sum(), routings=())
'''


@pytest.fixture
def planned(root, tmp_path, monkeypatch):
    """The network's run, and the catalogue's entry of its language model."""
    (tmp_path / "prompted_model.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    own = made_up.METHOD | {"method": "prompted_model:Prompted"}
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["prompted"]}
    config |= {"methods": {"prompted": own}, "experiments": {"long_term": section}, "seeds": [0]}
    matrix = make_matrix(config, root=root)
    run = next(iter(matrix.every_run().values()))
    yield run, matrix.backbones[run.backbone.name]
    sys.modules.pop("prompted_model", None)
    registry.method_of.cache_clear()


def test_it_gets_the_described_prompt_and_its_balance_loss_counts(tmp_path, planned):
    run, entry = planned
    folder = tmp_path / "backbone"
    assert run.prompt_kind == "descriptive" and run.balance_weight == 0.25 and run.column_order == 0
    prepare(entry, blocks=run.backbone.blocks, source=None, folder=folder)
    model = build(run, backbone_folder=folder)
    assert run.prompt and model.description == run.prompt
    assert torch.equal(model.prompt, prompt_rows(folder, run.prompt))
    assert torch.equal(model.words, embedding_table(folder))


def test_its_cost_includes_the_embedding_table_whatever_it_calls_it(planned):
    run, entry = planned
    shape = backbone_shape(entry, blocks=run.backbone.blocks, places=[])
    costs = count(run, shape=shape)
    assert costs.trained == (run.context + 1) * run.horizon + shape.width + 1
    assert costs.frozen > shape.vocabulary * shape.width
