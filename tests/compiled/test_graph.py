"""Training steps that are recorded once and replayed: with a recorder that needs no CUDA, and on CUDA if available."""

import dataclasses
import os

import pytest
import torch
from torch import nn

from tests.stopping import AskedToStop
from timellama.core.jobs.interruption import Interrupted
from timellama.data.windows import SplitWindows
from timellama.experiments.memory import WHOLE, Fit
from timellama.experiments.run import Training
from timellama.methods.forecaster import Forecast, Forecaster
from timellama.training import train as training_module
from timellama.training.device import seed_everything
from timellama.training.steps.checkpoint import Checkpoint
from timellama.training.steps.graph import SETTLING, GraphStep
from timellama.training.train import train, trainable_state

T, H, N = 6, 2, 3
BATCH, WINDOWS, EPOCHS = 4, 18, 4  # four full batches and a smaller one per epoch
FULL = EPOCHS * (WINDOWS // BATCH)
WITHIN = 1e-5
DEVICE = os.environ.get("TIMELLAMA_TEST_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


class Net(Forecaster):
    """Each variate alone, with dropout, batch norm, a router's loss, and a record of the calls of `after_step`."""

    def __init__(self):
        super().__init__()
        # No bias before the batch norm: its gradient is only rounding error, which AdamW would turn into a full step.
        self.enter, self.norm, self.leave = nn.Linear(T, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, H)
        self.router, self.dropout = nn.Linear(T, 2), nn.Dropout(0.3)
        self.steps: list[int] = []

    def forward(self, x):
        return self.forecast(x).values

    def forecast(self, x):
        series = x.transpose(1, 2)
        h = self.norm(self.enter(series).flatten(0, 1)).unflatten(0, series.shape[:2])
        y = self.leave(self.dropout(torch.tanh(h)))
        return Forecast(y.transpose(1, 2), self.router(series).softmax(-1).square().mean(), ())

    def router_parameters(self):
        return list(self.router.parameters())

    def after_step(self, *, step, total_steps):
        self.steps.append(step)


class Replayed:
    """Stands in for CUDA's recorder: each replay recomputes the recording, reading from the same tensors."""

    def __init__(self):
        self.aside_calls = self.replays = 0
        self.batches: list[torch.Tensor] = []

    def aside(self, call):
        self.aside_calls += 1
        return call()

    def strictly(self, call):
        return call()

    def record(self, call, parameters):
        def replay():
            self.replays += 1
            return call()

        return replay


class Waiting(Replayed):
    """The step makes the host wait, which is noticed only after it has changed the weights and drawn its masks."""

    def strictly(self, call):
        call()
        raise RuntimeError("called a synchronizing CUDA operation")


class Unrecorded(Replayed):
    """The recording itself fails."""

    def record(self, call, parameters):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


class Frozen(Replayed):
    """A graph in which the batch is a constant: it replays the batch with which it was recorded."""

    def record(self, call, parameters):
        step = call.__self__
        x, y = step.x.clone(), step.y.clone()

        def replay():
            step.x.copy_(x)
            step.y.copy_(y)
            return call()

        return replay


def windows(count: int, *, seed: int) -> SplitWindows:
    values = torch.randn(count + T + H - 1, N, generator=torch.Generator().manual_seed(seed)).cumsum(0) / 5
    return SplitWindows(rows=values, context=T, horizon=H)


def trained(monkeypatch, recorder, *, net=None, fit: Fit = WHOLE, device: str = "cpu", **more):
    """The model after training with steps that `recorder` records; None: eager steps, "CUDA": as in a run."""
    seed_everything(0, device)
    net = (net or Net()).to(device)
    settings = Training(learning_rate=0.03, batch_size=BATCH, epochs=EPOCHS, patience=100, validations_per_epoch=1)
    settings = dataclasses.replace(settings, least_validations=1)
    if recorder not in (None, "CUDA"):
        made = lambda step, kind, *, batch: GraphStep(step, batch=batch, recorder=recorder)  # noqa: E731
        monkeypatch.setattr(training_module, "as_compiled", made)
    outcome = train(
        net,
        windows=windows(WINDOWS, seed=0),
        validation=windows(7, seed=1),
        training=settings,
        balance_weight=0.1,
        seed=0,
        device=device,
        precision="float32",
        fit=fit,
        compiled="graph" if recorder else "off",
        **more,
    )
    monkeypatch.undo()
    return net, outcome


def apart(one: nn.Module, other: nn.Module) -> float:
    """The largest difference in any trained weight or buffer."""
    a, b = trainable_state(one), trainable_state(other)
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


@pytest.mark.parametrize("fit", [WHOLE, Fit(step_series=4)], ids=["whole", "parts"])
def test_replayed_steps_equal_eager_steps(monkeypatch, fit):
    """Covers the order of batches, the learning rate per step, dropout masks, both losses and the smaller batches."""
    recorder = Replayed()
    eager, expected = trained(monkeypatch, None, fit=fit)
    net, outcome = trained(monkeypatch, recorder, fit=fit)
    assert recorder.aside_calls == SETTLING and recorder.replays == FULL - SETTLING
    assert outcome.steps_made == {"steps": "graph"} and expected.steps_made == {"steps": "off"}
    assert net.steps == eager.steps == list(range(1, outcome.steps + 1)) and outcome.steps == FULL + EPOCHS
    assert apart(net, eager) < WITHIN
    for one, other in zip(outcome.history[1:], expected.history[1:], strict=True):
        for name in ("train_loss", "validation_loss", "balance_loss", "learning_rate"):
            assert one[name] == pytest.approx(other[name], rel=WITHIN), name


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (Waiting(), "called a synchronizing CUDA operation"),
        (Unrecorded(), "operation not permitted when stream is capturing"),
        (Frozen(), "of its graph and of an eager step are"),
    ],
)
def test_steps_that_cannot_be_recorded_are_trained_eagerly_with_identical_bits(monkeypatch, caplog, recorder, reason):
    """As if nothing had been tried: weights, moments, running statistics and generators are restored."""
    eager, _ = trained(monkeypatch, None)
    net, outcome = trained(monkeypatch, recorder)
    assert outcome.steps_made["steps"] == "off" and reason in outcome.steps_made["reason"]
    assert "eagerly, not as a CUDA graph" in caplog.text and reason in caplog.text
    assert recorder.replays in (0, 1) and apart(net, eager) == 0
    assert net.steps == eager.steps


def test_recomputed_layers_prevent_a_graph(monkeypatch):
    recorder = Replayed()
    _, outcome = trained(monkeypatch, recorder, fit=Fit(recompute=True))
    assert recorder.aside_calls == recorder.replays == 0 and "computed again" in outcome.steps_made["reason"]


def test_a_stopped_training_resumes_with_a_new_graph(monkeypatch, tmp_path):
    whole, _ = trained(monkeypatch, Replayed())
    with pytest.raises(Interrupted):
        trained(monkeypatch, Replayed(), checkpoint=Checkpoint(tmp_path, identity={}), signals=AskedToStop(11))
    monkeypatch.undo()
    again = Replayed()
    net, outcome = trained(monkeypatch, again, checkpoint=Checkpoint(tmp_path, identity={}))
    assert outcome.resumed_at and 0 < again.replays < FULL - SETTLING
    assert apart(net, whole) < WITHIN


def test_without_cuda_steps_are_eager_and_the_reason_is_recorded(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    eager, _ = trained(monkeypatch, None)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    net, outcome = trained(monkeypatch, "CUDA")
    assert outcome.steps_made == {"steps": "off", "reason": "there is no CUDA here"} and apart(net, eager) == 0


@pytest.mark.gpu
def test_on_cuda_a_graph_gives_the_same_as_eager_steps(monkeypatch, record_property):
    eager, _ = trained(monkeypatch, None, device=DEVICE)
    net, outcome = trained(monkeypatch, "CUDA", device=DEVICE)
    record_property("apart", apart(net, eager))
    assert outcome.steps_made["steps"] == ("graph" if DEVICE == "cuda" else "off")
    assert apart(net, eager) < WITHIN


class Reads(Net):
    """Decides on the host what to compute."""

    def forecast(self, x):
        made = super().forecast(x)
        return made._replace(values=made.values * (2 if x.mean().item() > 0 else 1))


class Draws(Net):
    """Draws a random number on the host, for which no step waits."""

    def forecast(self, x):
        made = super().forecast(x)
        return made._replace(values=made.values + float(torch.rand(())))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [Reads, Draws])
def test_on_cuda_a_network_that_needs_the_host_is_trained_eagerly(monkeypatch, kind):
    eager, _ = trained(monkeypatch, None, device=DEVICE, net=_made(kind))
    net, outcome = trained(monkeypatch, "CUDA", device=DEVICE, net=_made(kind))
    assert outcome.steps_made["steps"] == "off" and outcome.steps_made["reason"]
    assert apart(net, eager) < WITHIN


def _made(kind: type[Net]) -> Net:
    torch.manual_seed(0)
    return kind()
