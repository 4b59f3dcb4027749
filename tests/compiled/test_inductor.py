"""Forward passes through torch.compile, tested with the pass before inductor, which itself needs a C++ compiler."""

import copy
import os

import pytest
import torch
from torch import nn

from tests.refusal import refused
from timellama.experiments.compiling import require_compiler
from timellama.experiments.run import Training
from timellama.methods.forecaster import Forecaster
from timellama.training.steps import compiled
from timellama.training.steps.compiled import CompiledForecast, as_compiled, how
from timellama.training.steps.step import TrainingStep

T, H, N = 12, 4, 3
WITHIN = 1e-5


class Net(Forecaster):
    def __init__(self):
        super().__init__()
        self.enter, self.leave, self.dropout = nn.Linear(T, 8), nn.Linear(8, H), nn.Dropout(0.2)

    def forward(self, x):
        return self.leave(self.dropout(nn.functional.gelu(self.enter(x.transpose(1, 2))))).transpose(1, 2)


def made(net: nn.Module) -> TrainingStep:
    return TrainingStep(net, training=Training(), balance_weight=0.0, device="cpu", precision="float32")


def stepped(step: TrainingStep, *, sizes=(4, 4, 2, 4)) -> list[float]:
    draw, losses = torch.Generator().manual_seed(0), []
    for number, size in enumerate(sizes):
        x, y = (torch.randn(size, rows, N, generator=draw) for rows in (T, H))
        torch.manual_seed(number)
        losses.append(step(x, y, learning_rate=0.01, step=number + 1, total_steps=len(sizes))[0].item())
    return losses


def test_a_compiled_forward_pass_trains_like_an_eager_one(monkeypatch):
    """Dropout masks are equal too. The smaller batch runs eagerly, and nothing is compiled for it."""
    torch.manual_seed(0)
    net = Net()
    other, shapes = copy.deepcopy(net), []
    eager, step = made(net), made(other)
    step.forecast_by = CompiledForecast(other.forecast, backend="aot_eager")
    whole = step.forecast_by.compiled
    step.forecast_by.compiled = lambda x: (shapes.append(len(x)), whole(x))[1]
    assert stepped(step) == pytest.approx(stepped(eager), rel=WITHIN)
    assert shapes == [4, 4, 4] and how(step) == {"steps": "inductor"} and how(eager) == {"steps": "off"}
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(two, one, rtol=0, atol=WITHIN)


def test_a_network_that_torch_cannot_compile_is_trained_eagerly_with_identical_bits(caplog):
    torch.manual_seed(0)
    net = Net()
    other = copy.deepcopy(net)
    step = made(other)
    step.forecast_by = CompiledForecast(other.forecast, backend="aot_eager")

    def failing(x):
        raise torch._dynamo.exc.Unsupported("call of a thing\nand more", case_name="", real_stack=None)

    step.forecast_by.compiled = failing
    assert stepped(step) == stepped(made(net))
    assert how(step)["steps"] == "off" and "call of a thing" in how(step)["reason"] and "eagerly" in caplog.text


def test_a_missing_compiler_is_reported_by_name(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("compile", "'on'", "g++", "clang++", "'off'", "CXX"):
        require_compiler()
    monkeypatch.setenv("CXX", "my-compiler")
    with refused("compile", "my-compiler"):
        as_compiled(made(Net()), "inductor", batch=4)
    compiler = tmp_path / "my-compiler"
    compiler.touch(mode=0o755)
    require_compiler()


def test_all_runs_share_a_cache_whose_place_the_user_may_choose(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "require_compiler", lambda: None)
    monkeypatch.setattr(compiled, "NAMED", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(compiled.CACHE, "/tmp/torch's own")  # as soon as something asks torch for it
    step = as_compiled(made(Net()), "inductor", batch=4)
    assert isinstance(step.forecast_by, CompiledForecast)
    assert os.environ[compiled.CACHE] == str(tmp_path / "results/cache/compiled")
    monkeypatch.setattr(compiled, "NAMED", "/elsewhere")
    as_compiled(made(Net()), "inductor", batch=4)
    assert os.environ[compiled.CACHE] == "/elsewhere"


def test_an_unknown_kind_is_refused():
    with refused("compiled", "'jit'", "off", "graph", "inductor", error=ValueError):
        as_compiled(made(Net()), "jit", batch=4)
