"""The training loop: schedules, order, selection on validation only, finite losses, equal bits for equal seeds."""

import dataclasses
import logging
import math

import pytest
import torch
from torch import nn

from tests.refusal import refused
from timellama.data.windows import SplitWindows
from timellama.experiments.run import Training
from timellama.methods.forecaster import Forecaster
from timellama.training import train as training_module
from timellama.training.scores.predictions import spread
from timellama.training.steps.schedule import learning_rate
from timellama.training.steps.step import TrainingStep
from timellama.training.train import TrainingFailed, batches, train, trainable_state

T, H, N = 6, 2, 3


def windows(count: int, *, seed: int = 0) -> SplitWindows:
    values = torch.randn(count + T + H - 1, N, generator=torch.Generator().manual_seed(seed)).cumsum(0) / 5
    return SplitWindows(rows=values, context=T, horizon=H)


class Linear(Forecaster):
    """One linear map with a frozen twin that must not move."""

    def __init__(self):
        super().__init__()
        self.map, self.frozen = nn.Linear(T, H), nn.Linear(T, H).requires_grad_(False)

    def forward(self, x):
        return (self.map(x.transpose(1, 2)) + 0 * self.frozen(x.transpose(1, 2))).transpose(1, 2)


def run(
    model: nn.Module,
    *,
    seed: int = 0,
    train_on: SplitWindows | None = None,
    choose_by: SplitWindows | None = None,
    **changed,
):
    settings = Training(**({"learning_rate": 0.01, "batch_size": 4, "epochs": 3, "patience": 100} | changed))
    return train(
        model,
        windows=train_on or windows(10),
        validation=choose_by or windows(7, seed=1),
        training=settings,
        balance_weight=0.0,
        seed=seed,
        device="cpu",
        precision="float32",
    )


def model(seed: int = 0) -> Linear:
    torch.manual_seed(seed)
    return Linear()


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        ("cosine", 0, 1.0),
        ("cosine", 20, 0.5),
        ("cosine", 39, (1 + math.cos(math.pi * 39 / 40)) / 2),
        ("halving", 9, 1.0),
        ("halving", 19, 1.0),
        ("halving", 20, 0.5),
        ("halving", 39, 0.25),
        ("early-halving", 9, 1.0),
        ("early-halving", 10, 0.5),
        ("early-halving", 39, 0.125),
        ("delayed-decay", 39, 1.0),
        ("delayed-decay", 40, 0.9),
        ("constant", 39, 1.0),
    ],
)
def test_schedules_match_hand_computed_values(schedule, step, factor):
    settings = Training(learning_rate=0.2, schedule=schedule)
    assert learning_rate(settings, step=step, steps_per_epoch=10, total_steps=40) == pytest.approx(0.2 * factor)


def test_an_unknown_schedule_is_named():
    with refused("schedule", "'linear'", "'cosine'", "'constant'", error=ValueError):
        learning_rate(Training(schedule="linear"), step=0, steps_per_epoch=1, total_steps=1)


def test_each_epoch_holds_every_window_once_including_the_last_small_batch():
    order = batches(10, 4, torch.Generator().manual_seed(0))
    for _ in range(2):
        epoch = [next(order) for _ in range(3)]
        assert [len(b) for b in epoch] == [4, 4, 2]
        assert sorted(torch.cat(epoch).tolist()) == list(range(10))


def test_spread_takes_both_ends_and_no_window_twice():
    assert spread(5, None).tolist() == spread(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert spread(101, 3).tolist() == [0, 50, 100]
    chosen = spread(1000, 333).tolist()
    assert len(set(chosen)) == 333 and chosen == sorted(chosen)


def test_the_frozen_part_does_not_move_and_is_not_saved():
    net = model()
    frozen = net.frozen.weight.clone()
    before = net.map.weight.clone()
    run(net)
    assert torch.equal(net.frozen.weight, frozen) and not torch.equal(net.map.weight, before)
    assert set(trainable_state(net)) == {"map.weight", "map.bias"}


def test_the_best_validated_weights_are_restored(monkeypatch):
    net, losses, states = model(), iter([5.0, 3.0, 1.0, 2.0, 1.5, 4.0, 2.0]), []

    def validate(given, *_, **__):
        states.append(trainable_state(given))
        return next(losses), []

    monkeypatch.setattr(training_module, "validate", validate)
    trained = run(net, epochs=2, validations_per_epoch=3)
    assert trained.best_step == 2 and trained.validation_loss == 1.0 and trained.steps == 6
    assert all(torch.equal(t, states[2][name]) for name, t in trainable_state(net).items())
    assert not torch.equal(states[2]["map.weight"], states[6]["map.weight"])


def test_weight_decay_shrinks_a_weight_by_the_hand_computed_amount():
    net = model()
    net.idle = nn.Parameter(torch.ones(1))
    step = TrainingStep(net, training=Training(weight_decay=0.5), balance_weight=0.0, device="cpu", precision="float32")
    net.register_forward_hook(lambda _, __, y: y + 0 * net.idle)
    x, y = windows(7).batch(torch.arange(4))
    step(x, y, learning_rate=0.01, step=1, total_steps=1)
    assert net.idle.item() == pytest.approx(1 - 0.01 * 0.5, rel=1e-6), "its gradient is 0: only decay moves it"


def test_an_untrained_model_that_no_step_improves_is_kept():
    net = model()
    began, data = trainable_state(net), windows(7, seed=1)
    x, y = data.batch(torch.arange(7))
    untrained = (net(x) - y).square().mean().item()
    trained = run(net, choose_by=data, learning_rate=10.0)
    first = trained.history[0]
    assert (first["step"], first["train_loss"], first["learning_rate"]) == (0, None, None)
    assert first["validation_loss"] == trained.validation_loss == pytest.approx(untrained, rel=1e-6)
    assert trained.best_step == 0 < trained.steps
    assert all(torch.equal(t, began[name]) for name, t in trainable_state(net).items())


def test_training_stops_after_patience_validations_without_a_better_one(monkeypatch):
    losses = iter([5.0, 3.0, 1.0, 2.0, 1.5, 4.0, 2.0])
    monkeypatch.setattr(training_module, "validate", lambda *_, **__: (next(losses), []))
    assert run(model(), epochs=2, validations_per_epoch=3, patience=2).steps == 4


def test_a_short_budget_is_still_validated_often_enough():
    trained = run(model(), max_steps=16, epochs=100, train_on=windows(400), least_validations=8)
    assert trained.steps == 16 and [row["step"] for row in trained.history] == list(range(0, 17, 2))


def test_validation_is_a_mean_over_windows_not_over_batches():
    net, data = model(), windows(7, seed=1)
    settings = Training(evaluation_batch_size=4)
    loss, _ = training_module.validate(net, data, training=settings, device="cpu", precision="float32")
    x, y = data.batch(torch.arange(7))
    # float32 forward passes of 4 and of 7 windows may use different kernels.
    assert loss == pytest.approx((net(x).double() - y.double()).square().mean().item(), rel=1e-6)


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not():
    first, again, other = model(), model(), model()
    assert run(first).history[-1]["validation_loss"] == run(again).history[-1]["validation_loss"]
    run(other, seed=1)
    assert torch.equal(first.map.weight, again.map.weight)
    assert not torch.equal(first.map.weight, other.map.weight)


def test_data_order_does_not_depend_on_what_the_model_draws():
    class Drawing(Linear):
        def forward(self, x):
            torch.rand(3)
            return super().forward(x)

    plain, drawing = model(), Drawing()
    drawing.load_state_dict(plain.state_dict())
    run(plain), run(drawing)
    assert torch.equal(plain.map.weight, drawing.map.weight)


@pytest.mark.parametrize("where", [0, 5, 11])
def test_a_loss_that_is_nan_stops_at_its_step(where):
    class Broken(Linear):
        calls = 0

        def forward(self, x):
            y = super().forward(x)
            if self.training:
                self.calls += 1
                y = y * (math.nan if self.calls == where + 1 else 1.0)
            return y

    with refused(where + 1, "learning_rate", "clip_norm", error=TrainingFailed) as failed:
        run(Broken(), epochs=4, validations_per_epoch=1, least_validations=1)
    assert failed.value.step == where + 1


def test_a_validation_loss_that_is_nan_stops_at_its_step(monkeypatch):
    losses = iter([2.0, 1.0, math.nan])
    monkeypatch.setattr(training_module, "validate", lambda *_, **__: (next(losses), []))
    with refused("validation", 2, "learning_rate", error=TrainingFailed) as failed:
        run(model(), epochs=2, validations_per_epoch=3)
    assert failed.value.step == 2


def test_the_router_is_clipped_separately_and_the_balance_loss_is_weighted(monkeypatch):
    class Routed(Forecaster):
        """Two parameters; the balance loss pulls on the router a thousand times as hard."""

        def __init__(self):
            super().__init__()
            self.map, self.router = nn.Linear(T, H), nn.Parameter(torch.ones(1))

        def forecast(self, x):
            return self.map(x.transpose(1, 2)).transpose(1, 2), 1000 * self.router.sum(), []

        def router_parameters(self):
            return [self.router]

    clipped = []
    original = nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        nn.utils, "clip_grad_norm_", lambda p, limit: clipped.append((len(list(p)), limit, original(p, limit).item()))
    )
    net = Routed()
    train(
        net,
        windows=windows(4),
        validation=windows(3),
        training=Training(batch_size=4, epochs=1, clip_norm=0.7, router_clip_norm=0.3),
        balance_weight=0.5,
        seed=0,
        device="cpu",
        precision="float32",
    )
    (rest, router) = clipped
    assert rest[:2] == (2, 0.7) and router == (1, 0.3, 500.0)


def test_progress_is_logged_in_plain_lines(caplog):
    with caplog.at_level(logging.INFO):
        run(model(), epochs=1, validations_per_epoch=1, least_validations=1)
    assert "step 3 of 3" in caplog.text and "validation" in caplog.text and "s left" in caplog.text


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Training().epochs = 3
