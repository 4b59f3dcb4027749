"""An external method without a fork: named in a configuration, or offered by an installed package."""

import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests import made_up, printed
from tests.digest_caches import forget
from tests.refusal import refused
from timellama.cost import job_limits, workload
from timellama.cost.flops import count
from timellama.experiments.matrix import make_matrix
from timellama.methods import registry
from timellama.results.digests import code_of_run
from timellama.training.build import build

MODULE = '''"""One scaled linear map from the look-back to the horizon."""

from torch import nn


class Levels(nn.Module):
    """A linear map of the look-back, times a constant."""

    def __init__(self, *, context: int, horizon: int, scale: float = 1.0):
        super().__init__()
        self.linear, self.scale = nn.Linear(context, horizon), scale

    def forward(self, x):
        return self.scale * self.linear(x.transpose(1, 2)).transpose(1, 2)
'''
ENTRY = made_up.METHOD | {"label": "Levels", "method": "visiting_model:Levels", "options": {"scale": 2.0}}


@pytest.fixture
def visitor(tmp_path, monkeypatch) -> Path:
    """A folder on the import path with a module that holds a network."""
    (tmp_path / "visiting_model.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("visiting_model", "my_package")]:
        del sys.modules[name]
    registry.every_method.cache_clear()
    registry.method_of.cache_clear()


@pytest.fixture
def config(root) -> dict:
    """The smoke configuration with one experiment, with the external method and DLinear."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["levels", "dlinear"]}
    return config | {"methods": {"levels": ENTRY}, "experiments": {"long_term": section}}


def test_a_configuration_can_name_a_network(root, config, visitor):
    runs = {run.variant: run for run in make_matrix(config, root=root).every_run().values()}
    run = runs["levels"]
    assert run.method == "visiting_model:Levels" and run.options.scale == 2.0 and run.training is not None
    assert run == type(run).from_json(run.to_json())
    before = code_of_run(run)
    file = visitor / "visiting_model.py"
    file.write_text(file.read_text(encoding="utf-8").replace("self.scale *", "2 * self.scale *"), encoding="utf-8")
    registry.method_of.cache_clear()
    forget()
    assert code_of_run(run) != before and code_of_run(runs["dlinear"]) != before


def test_its_cost_is_counted_without_a_further_entry(root, config, visitor):
    matrix = make_matrix(config, root=root)
    runs = {run.variant: run for run in matrix.every_run().values()}
    run = runs["levels"]
    costs = count(workload.shape_run(run), shape=None)
    weights = (run.context + 1) * run.horizon
    assert costs.trained == weights and costs.frozen == 0
    # Forward, one product per window and variate; backward, only that for the weights, as the input needs no gradient.
    products = 2 * run.context * run.horizon * run.variates
    assert costs.forecast.flops == products * costs.forecast_windows
    assert costs.step.flops == 2 * products * run.training.batch_size
    assert job_limits.memory(run, rows=1000, width=None, cuda=False)["host"] > 0


def test_an_installed_package_can_offer_the_pages_method(root, config, visitor):
    (visitor / "my_package").mkdir()
    for name, holding in (("__init__", None), ("network", "class NLinear("), ("nlinear", "NLINEAR = Method")):
        text = printed.block("python", holding) if holding else ""
        (visitor / f"my_package/{name}.py").write_text(text, encoding="utf-8")
    printed.install(visitor, group="timellama.methods")
    registry.every_method.cache_clear()
    from timellama.experiments import methods_file

    methods_file.methods_file.cache_clear()
    config["methods"]["levels"] = ENTRY | {"method": "nlinear", "options": {"individual": True}}
    config["methods"]["shared"] = ENTRY | {"method": "nlinear", "options": {}}
    config["experiments"]["long_term"]["methods"].append("shared")
    runs = {run.variant: run for run in make_matrix(config, root=root).every_run().values()}
    methods_file.methods_file.cache_clear()
    method, individual, shared = registry.method_of("nlinear"), runs["levels"], runs["shared"]
    assert individual.method == shared.method == "nlinear"
    assert method.forecasts_alone(shared.options) and not method.forecasts_alone(individual.options)
    assert len(build(individual, backbone_folder=None).module.linears) == individual.variates
    model, x = build(shared, backbone_folder=None), torch.randn(2, shared.context, shared.variates)
    alone = torch.cat([model(column) for column in x.split(1, dim=2)], dim=2)
    assert torch.allclose(model(x), alone, atol=1e-6) and alone.shape == (2, shared.horizon, shared.variates)


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"method": "visiting_model:Nothing"}, ("method", "visiting_model:Nothing")),
        ({"method": "nowhere_at_all:Levels"}, ("method", "nowhere_at_all:Levels", "PYTHONPATH")),
        ({"options": {"scael": 2.0}}, ("smoke", "levels.options.scael", "scale?")),
        ({"options": {"scale": "two"}}, ("smoke", "levels.options.scale", "'two'")),
        ({"options": {"scale": "2.0"}}, ("smoke", "levels.options.scale", "'2.0'", "quotes")),
        ({"options": {"scale": True}}, ("smoke", "levels.options.scale", True)),
        (
            {"training": {"sampling": "variates"}},
            ("methods.levels.training", "'visiting_model:Levels'", "'variates'", "'windows'", "Method", "alone=True"),
        ),
    ],
)
def test_a_mistake_is_named(root, config, visitor, entry, named):
    config["methods"]["levels"] = ENTRY | entry
    with refused(*named):
        make_matrix(config, root=root)


def test_the_workflow_trains_it_and_puts_it_in_the_table(copy_of_finished, config, visitor):
    project = copy_of_finished()
    (project.folder / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    paths = {"PYTHONPATH": f"{project.folder}:{visitor}"}
    done = project.snakemake("reports/table_long_term.md", environment=paths)
    assert done.returncode == 0, done.stdout
    table = (project.folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    assert "Levels" in table and "DLinear" in table
