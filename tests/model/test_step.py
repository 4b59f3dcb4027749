"""A measured step is a training step: it gives the same weights, bit by bit."""

import copy
import dataclasses

import pytest
import torch

from timellama.core.jobs.interruption import Interrupted, Signals
from timellama.cost.efficiency import STEPS, training_call
from timellama.data.windows import SplitWindows
from timellama.experiments.run import Training
from timellama.experiments.sweep import Cell
from timellama.methods.dlinear.network import DLinear
from timellama.training.train import train

BATCH = 4
VARIANTS = {
    "router and balance loss": {"gate_gradient": "straight-through"},
    "penalty and pruned ranks": {"adapter": "adalora"},
    "a linear map": None,
}


class AfterOneStep(Signals):
    """Stops a training as soon as a step has changed the weights."""

    def __init__(self, model):
        super().__init__()
        self.model, self.before = model, copy.deepcopy(model.state_dict())

    def check(self) -> None:
        if any(not torch.equal(tensor, self.before[key]) for key, tensor in self.model.state_dict().items()):
            raise Interrupted(15)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_measured_step_changes_the_weights_as_training_does(name, make_model, sample_run):
    options = VARIANTS[name]
    torch.manual_seed(0)
    if options is None:
        model = DLinear(context=24, horizon=8, variates=5, kernel=5, individual=False)
    else:
        model = make_model(**options)
    windows = SplitWindows(rows=torch.randn(24 + 8 + BATCH - 1, 5), context=24, horizon=8)
    assert len(windows) == BATCH
    run = dataclasses.replace(sample_run, training=Training())
    trained, measured = model, copy.deepcopy(model)
    recipe = dataclasses.replace(Training(), batch_size=BATCH, epochs=STEPS, patience=STEPS)
    with pytest.raises(Interrupted):
        train(
            trained,
            windows=windows,
            validation=windows,
            training=recipe,
            balance_weight=run.balance_weight,
            seed=0,
            device="cpu",
            precision="float32",
            signals=AfterOneStep(trained),
        )
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(0))
    x, y = windows.batch(order)
    before = copy.deepcopy(measured.state_dict())
    settings = {"threads": 1, "seconds": 1.0, "longest_call": 1.0, "train": True, "backbone_folder": None}
    cell = Cell(run=run, batch_size=BATCH, **settings)
    training_call(cell, measured.train(), x, y, device="cpu")()
    changed = [key for key, tensor in measured.state_dict().items() if not torch.equal(tensor, before[key])]
    assert changed
    for key, tensor in trained.state_dict().items():
        assert torch.equal(measured.state_dict()[key], tensor), key
