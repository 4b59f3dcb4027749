"""Errors in an external method are reported before training in one message, with its name and the remedy."""

import re
import sys

import pytest
import torch

from tests import made_up
from tests.refusal import refused
from timellama.cost.flops import count
from timellama.methods import registry
from timellama.training.build import build
from timellama.training.trial import try_network

MODULE = """
import torch
from torch import nn

from timellama.methods.forecaster import Forecaster


class Right(nn.Module):
    def __init__(self, *, context, horizon, variates, width: int = 3):
        super().__init__()
        self.linear, self.norm = nn.Linear(context, horizon), nn.BatchNorm1d(variates)
        self.unused = nn.Linear(width, width)

    def forward(self, x):
        return self.linear(self.norm(x.transpose(1, 2)) + 0 * torch.rand(1)).transpose(1, 2)

class OneVariate(Right):
    def forward(self, x):
        return super().forward(x)[:, :, :1]

class Turned(Right):
    def forward(self, x):
        return super().forward(x).transpose(1, 2)

class Pair(Right):
    def forward(self, x):
        return super().forward(x), None

class PairInTraining(Right):
    def forward(self, x):
        return (super().forward(x), None) if self.training else super().forward(x)

class Whole(Right):
    def forward(self, x):
        return super().forward(x).long()

class Detached(Right):
    def forward(self, x):
        return super().forward(x).detach()

class Raises(Right):
    def forward(self, x):
        return x @ torch.zeros(3, 3)

class OwnHook(Forecaster):
    def __init__(self, *, context, horizon):
        super().__init__()
        self.linear = nn.Linear(context, horizon)

    def forecast(self, x):
        return self.linear(x.transpose(1, 2)).transpose(1, 2)

class Untrainable(nn.Module):
    def __init__(self, *, horizon):
        super().__init__()
        self.horizon = horizon

    def forward(self, x):
        return x[:, -1:].repeat(1, self.horizon, 1)

class Plain:
    def __init__(self, *, context):
        pass

class Misspelt(nn.Module):
    def __init__(self, context_length, horizon):
        super().__init__()

class Anything(nn.Module):
    def __init__(self, *, context, **options):
        super().__init__()

class NoType(nn.Module):
    def __init__(self, *, context, width=3):
        super().__init__()

class OddType(nn.Module):
    def __init__(self, *, context, cell: nn.Module = None):
        super().__init__()

class Unknown(nn.Module):
    def __init__(self, *, context, width: "Integer" = 3):
        super().__init__()

class OddDefault(nn.Module):
    def __init__(self, *, context, widths: list = [3]):
        super().__init__()

class Needed(nn.Module):
    def __init__(self, *, horizonn: int):
        super().__init__()

def made(context):
    return Right(context=context)
"""


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    (tmp_path / "slips.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield "slips"
    sys.modules.pop("slips", None)
    registry.method_of.cache_clear()


@pytest.fixture
def run_of(sample_run, module):
    def make(name: str, **options: object):
        method = registry.method_of(f"{module}:{name}")
        return made_up.small(sample_run, method=method.name, variant="slip", options=method.options(**options))

    return make


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("OneVariate", ("[2, 4, 1]", "[B 2, H 4, N 2]")),
        ("Turned", ("[2, 2, 4]", "[B 2, H 4, N 2]")),
        ("Pair", ("tuple", "[B 2, H 4, N 2]")),
        ("PairInTraining", ("tuple",)),
        ("Whole", ("int64",)),
        ("Detached", ("gradient",)),
        ("Raises", ("[B 2, T 16, N 2]", "RuntimeError", "slips.py", "line")),
        ("OwnHook", ("forecast", "[2, 4, 2]", "Forecast")),
        ("Untrainable", ("parameter",)),
    ],
)
def test_an_invalid_forecast_is_refused_before_training(run_of, tmp_path, name, named):
    run = run_of(name)
    with refused(f"'slips:{name}'", *named):
        made_up.carry_out(run, tmp_path / "run", series=made_up.walk(tmp_path / "s.npz"), kept=tmp_path / "kept")
    assert not (tmp_path / "run").exists() and not list(tmp_path.glob("kept/checkpoint"))
    with refused(f"slips:{name}"):
        count(run, shape=None)


def test_the_trial_leaves_no_trace(run_of):
    run = run_of("Right")
    torch.manual_seed(0)
    model = build(run, backbone_folder=None).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    try_network(model, run, device="cpu")
    assert torch.equal(torch.get_rng_state(), drawn) and not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_failing_constructor_is_reported_with_its_values_and_line(run_of):
    with refused("'slips:Right'", "width=-3", "RuntimeError", "slips.py", "options"):
        build(run_of("Right", width=-3), backbone_folder=None)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("Plain", ("torch.nn.Module",)),
        ("made", ("function", "torch.nn.Module")),
        ("Misspelt", ("'context_length'", "`*`", "annotation", "context?")),
        ("Anything", ("'options'",)),
        ("NoType", ("'width'", "annotation")),
        ("OddType", ("'cell'", "torch.nn.modules.module.Module", "int", "float")),
        ("Unknown", ("'Integer'",)),
        ("OddDefault", ("'widths'", [3])),
    ],
)
def test_a_class_that_cannot_be_a_method_is_refused_when_planning(module, name, named):
    with refused("method", f"'slips:{name}'", *named) as caught:
        registry.method_of(f"{module}:{name}")
    assert "\n" not in str(caught.value)


def test_a_misspelt_parameter_gets_a_suggestion(module, root):
    from timellama.experiments.methods_file import load_methods

    entry = made_up.METHOD | {"method": f"{module}:Needed"}
    with refused("my.yaml", "options.horizonn", "horizon?"):
        load_methods(root / "config/methods.yaml", added={"needed": entry}, origin="my.yaml")


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        ("a = 1\nb = = 2\n", "A", ("slips2.py", "line 2")),
        (
            "import nowhere_at_all\n",
            "A",
            ("ModuleNotFoundError", "nowhere_at_all", "slips2.py", "line 1"),
        ),
        ("\nA = 1 / 0\n", "A", ("ZeroDivisionError", "slips2.py", "line 2")),
        ("Network = 1\n", "Netwrok", ("slips2.py", "Network?")),
        (None, "A", ("'slips2'", "PYTHONPATH")),
    ],
)
def test_a_module_that_cannot_be_loaded_is_reported_with_file_and_line(tmp_path, monkeypatch, text, name, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    if text is not None:
        (tmp_path / "slips2.py").write_text(text, encoding="utf-8")
    try:
        with refused(f"slips2:{name}", *named) as caught:
            registry.method_of(f"slips2:{name}")
    finally:
        sys.modules.pop("slips2", None)
    assert bool(re.search("PYTHONPATH", str(caught.value))) == (text is None)
