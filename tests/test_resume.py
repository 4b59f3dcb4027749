"""A training that resumes from a checkpoint ends with the same bits, whatever the method and the step."""

import dataclasses
import itertools
import signal
from pathlib import Path

import pytest
import torch

from tests.stopping import AskedToStop
from timellama.backbones.catalogue import load_backbones, prepare
from timellama.core.jobs.interruption import Interrupted, Signals
from timellama.data.windows import SplitWindows
from timellama.experiments.run import Backbone, Training
from timellama.methods.dlinear import DLinearOptions
from timellama.methods.forecaster import Forecaster
from timellama.methods.itransformer import ITransformerOptions
from timellama.methods.patchtst import PatchTSTOptions
from timellama.methods.time_llama import TimeLlamaOptions
from timellama.methods.timesnet import TimesNetOptions
from timellama.training import train as training_module
from timellama.training.build import build
from timellama.training.steps.checkpoint import Checkpoint
from timellama.training.train import train, trainable_state

T, H, N = 24, 4, 3
STEPS = 14
SMALL = {"rank": 2, "heads": 2}
OPTIONS = {
    "dlinear": DLinearOptions(),
    "itransformer": ITransformerOptions(width=16, layers=1, heads=2, feed_forward=16),
    "patchtst": PatchTSTOptions(patch_length=8, width=16, layers=1, heads=2, feed_forward=16),
    "timesnet": TimesNetOptions(width=4, feed_forward=4, layers=1),
    "time-llama": TimeLlamaOptions(**SMALL),
    "time-llama-prefix": TimeLlamaOptions(**SMALL, alignment="prefix"),
    "adalora": TimeLlamaOptions(**SMALL, adapter="adalora"),
    "moelora": TimeLlamaOptions(**SMALL, adapter="moelora", mixture_experts=2),
    "trained-backbone": TimeLlamaOptions(**SMALL, adapter="none", train_backbone=True),
}


class Killed(BaseException):
    """Stands for a SIGKILL: nothing in the package catches it."""


class Short(Checkpoint):
    """The process dies right after its checkpoint number `saves`; with None it lives."""

    saves: int | None = None

    def save(self, state):
        super().save(state)
        if self.saves is not None:
            self.saves -= 1
            if self.saves == 0:
                raise Killed


@pytest.fixture(autouse=True)
def one_thread():
    """On small tensors, more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny(root, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("backbone") / "tiny"
    prepare(load_backbones(root / "config/backbones.yaml")["tiny-gpt2"], blocks=2, source=None, folder=folder)
    return folder


@pytest.fixture
def made(sample_run, tiny):
    """A model of the name in `OPTIONS`; another seed gives other weights to everything that trains."""

    def make(name: str, seed: int):
        method = name if name in ("dlinear", "itransformer", "patchtst", "timesnet") else "time-llama"
        backbone = Backbone(name="tiny-gpt2", blocks=2, pin="0") if method == "time-llama" else None
        own = {"method": method, "options": OPTIONS[name], "backbone": backbone}
        sizes = {"context": T, "horizon": H, "variates": N, "season": 8}
        run = dataclasses.replace(sample_run, **own, **sizes)
        torch.manual_seed(seed)
        return build(run, backbone_folder=tiny)

    return make


def trained(model, *, checkpoint: Checkpoint | None = None, signals: Signals | None = None, **changed):
    rows = torch.randn(50 + T, N, generator=torch.Generator().manual_seed(4)).cumsum(0) / 4
    settings = {"learning_rate": 0.01, "batch_size": 8, "epochs": 9, "max_steps": STEPS}
    settings |= {"validations_per_epoch": 1, "least_validations": 4}
    return train(
        model,
        windows=SplitWindows(rows=rows, context=T, horizon=H),
        validation=SplitWindows(rows=rows[:40], context=T, horizon=H),
        training=Training(**(settings | changed)),
        balance_weight=0.01,
        seed=0,
        device="cpu",
        precision="float32",
        checkpoint=checkpoint,
        signals=signals,
    )


def comparable(result) -> dict:
    """The result of a training, without times and without how often it was stopped."""
    found = dataclasses.asdict(result)
    found["history"] = [{key: value for key, value in row.items() if key != "seconds"} for row in found["history"]]
    return {key: value for key, value in found.items() if key not in ("seconds", "resumed_at")}


def same(model, result, other_model, other_result) -> None:
    assert comparable(result) == comparable(other_result)
    state, other = trainable_state(model), trainable_state(other_model)
    assert state.keys() == other.keys() and [name for name in state if not torch.equal(state[name], other[name])] == []


@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_killed_after_any_validation_ends_the_same(name, made, tmp_path):
    model = made(name, 1)
    result = trained(model)
    assert len(result.history) >= 4
    for number in range(1, len(result.history) + 1):
        checkpoint = Short(tmp_path / str(number), identity={})
        checkpoint.saves = number
        with pytest.raises(Killed):
            trained(made(name, 1), checkpoint=checkpoint)
        again = made(name, 2)
        resumed = trained(again, checkpoint=Checkpoint(tmp_path / str(number), identity={}))
        assert resumed.resumed_at == [result.history[number - 1]["step"]]
        same(again, resumed, model, result)


class Remembering(Forecaster):
    """One linear map, whose bias moves after each step by what the network remembers of earlier ones."""

    def __init__(self):
        super().__init__()
        self.linear, self.memory = torch.nn.Linear(T, H), 0.0

    def forward(self, x):
        return self.linear(x.transpose(1, 2)).transpose(1, 2)

    def after_step(self, *, step, total_steps):
        self.memory = 0.5 * self.memory + step / total_steps
        with torch.no_grad():
            self.linear.bias += 0.01 * self.memory


class Stateful(Remembering):
    def schedule_state(self):
        return {"memory": self.memory}

    def load_schedule_state(self, state):
        self.memory = state["memory"]


@pytest.mark.parametrize("kind", [Stateful, Remembering])
def test_what_after_step_remembers_is_resumed_only_through_the_state_of_its_schedule(kind, tmp_path):
    def fresh():
        torch.manual_seed(1)
        return kind()

    model, again = fresh(), fresh()
    whole = trained(model)
    checkpoint = Short(tmp_path, identity={})
    checkpoint.saves = 2
    with pytest.raises(Killed):
        trained(fresh(), checkpoint=checkpoint)
    resumed = trained(again, checkpoint=Checkpoint(tmp_path, identity={}))
    if kind is Stateful:
        same(again, resumed, model, whole)
    else:
        assert comparable(resumed) != comparable(whole)


@pytest.mark.parametrize("name", ["patchtst", "adalora"])
def test_a_training_stopped_again_and_again_ends_the_same(name, made, tmp_path):
    model = made(name, 1)
    result = trained(model)
    checkpoint, steps = Checkpoint(tmp_path, identity={}), []
    # One look: a step, and no validation if one is due. Three: a validation that was due, and a step or more.
    for number, looks in enumerate(itertools.cycle((1, 3)), start=1):
        again = made(name, number)
        try:
            resumed = trained(again, checkpoint=checkpoint, signals=AskedToStop(looks))
            break
        except Interrupted as stop:
            assert stop.code == 128 + signal.SIGTERM
            steps.append(checkpoint.load()["progress"]["step"])
    assert set(resumed.resumed_at) == set(steps) and len(set(steps)) >= STEPS // 2
    same(again, resumed, model, result)


def test_a_training_stopped_in_a_validation_that_draws_random_numbers_ends_the_same(made, tmp_path, monkeypatch):
    original, calls = training_module.validate, 0

    def drawing(*given, **named):
        nonlocal calls
        calls += 1
        torch.rand(3)
        if calls == 2:
            raise Interrupted(signal.SIGTERM)
        return original(*given, **named)

    checkpoint = Checkpoint(tmp_path, identity={})
    monkeypatch.setattr(training_module, "validate", drawing)
    with pytest.raises(Interrupted):
        trained(made("patchtst", 1), checkpoint=checkpoint)
    again = made("patchtst", 2)
    resumed = trained(again, checkpoint=checkpoint)
    calls = 2
    model = made("patchtst", 1)
    same(again, resumed, model, trained(model))


def test_patience_is_remembered(made, tmp_path, monkeypatch):
    losses = [3.0, 1.0, 2.0, 4.0, 2.0]
    monkeypatch.setattr(training_module, "validate", lambda *_, **__: (losses.pop(0), []))
    checkpoint = Short(tmp_path, identity={})
    checkpoint.saves = 3
    with pytest.raises(Killed):
        trained(made("dlinear", 1), checkpoint=checkpoint, patience=2)
    result = trained(made("dlinear", 1), checkpoint=checkpoint, patience=2)
    assert [row["validation_loss"] for row in result.history] == [3.0, 1.0, 2.0, 4.0] and losses == [2.0]
    assert result.validation_loss == 1.0 and result.best_step == result.history[1]["step"]


def test_time_is_counted_over_all_processes(made, tmp_path):
    checkpoint = Short(tmp_path, identity={})
    checkpoint.saves = 2
    with pytest.raises(Killed):
        trained(made("dlinear", 1), checkpoint=checkpoint)
    before = checkpoint.load()["progress"]["seconds"]
    result = trained(made("dlinear", 1), checkpoint=checkpoint)
    seconds = [row["seconds"] for row in result.history]
    assert 0 < seconds[0] < seconds[1] <= before < seconds[2] < result.seconds
