"""Part `steps`: training steps per second of Time-LlaMA on ETTh1's shape, in one process.

Steps are measured as training makes them, with batches gathered on the device, and as one CUDA graph. The graph's
losses are compared with those of the same steps without it.
"""

import copy
import dataclasses
import itertools
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu.record import Given, arguments, matrix_of, spread, timed
from timellama.data.series import load_series
from timellama.data.windows import SplitWindows, prepare
from timellama.experiments.compiling import GRAPH, OFF
from timellama.experiments.run import Run
from timellama.methods.forecaster import Forecaster
from timellama.training.build import build
from timellama.training.device import seed_everything
from timellama.training.steps.compiled import as_compiled, how
from timellama.training.steps.graph import SETTLING
from timellama.training.steps.step import TrainingStep

COMPARED = 20  # our choice: steps whose losses are compared
TOTAL = 1000  # steps of the training that these steps pretend to belong to


def subject(given: Given):
    """Time-LlaMA's run with seed 0, and its prepared windows."""
    name, dataset = ("smoke", "Synthetic") if given.tiny else ("cpu", "ETTh1")
    planned = matrix_of(name, device=given.device).experiment("long_term")
    run = next(
        run
        for run in planned
        if (run.dataset, run.variant, run.seed, run.task) == (dataset, "time-llama", 0, "long-term")
        and (given.tiny or (run.horizon == 96 and run.backbone.blocks == 6))
    )
    series = load_series(given.results / f"data/{dataset}/series.npz")
    return run, prepare(series, run.split, context=run.context, horizon=run.horizon, train_percent=100)


def model_of(given: Given, run: Run) -> Forecaster:
    """The run's model, freshly initialised from its seed."""
    torch.manual_seed(run.seed)
    folder = given.results / f"backbones/{run.backbone.name}/x{run.backbone.blocks}-{run.backbone.weights}"
    return build(run, backbone_folder=Path(folder)).to(given.device).train()


class Step:
    """A run's `TrainingStep`, called with only a batch; `compiled` as in `Run.compiled`."""

    def __init__(self, model: Forecaster, run: Run, *, device: str, batch: int, compiled: str = OFF):
        self.training, self.numbers = run.training, itertools.count(1)
        step = TrainingStep(
            model,
            training=run.training,
            balance_weight=run.balance_weight,
            device=device,
            precision=run.precision,
        )
        self.step = as_compiled(step, compiled, batch=batch)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of the batch x [B, T, N], y [B, H, N] before the step."""
        number = next(self.numbers)
        rate = self.training.learning_rate
        return self.step(x, y, learning_rate=rate, step=number, total_steps=TOTAL)[0]


def compare(given: Given, run: Run, windows: SplitWindows, *, batch: int, label: str) -> None:
    """Record the speed of one precision and batch size, eager and captured."""
    row = {"what": "step", "precision": label, "batch": batch}
    there = windows.to(given.device)
    draw = torch.Generator().manual_seed(0)
    order = [torch.randint(len(windows), (batch,), generator=draw) for _ in range(COMPARED)]
    on_device = [indices.to(given.device) for indices in order]
    seconds = 0.2 if given.tiny else 2.0
    model = model_of(given, run)
    untouched = copy.deepcopy(model)
    eager = Step(model, run, device=given.device, batch=batch)
    losses = [eager(*there.batch(indices)).item() for indices in on_device]

    def from_host() -> None:
        x, y = (part.to(given.device, non_blocking=True) for part in windows.batch(order[0]))
        eager(x, y)

    taken = timed(from_host, device=given.device, seconds=seconds, most=200)
    given.record.add(**row, how="eager, batches from the host", **spread(taken))
    taken = timed(lambda: eager(*there.batch(on_device[0])), device=given.device, seconds=seconds, most=200)
    given.record.add(**row, how="eager, batches on the device", **spread(taken))
    with given.record.attempt(**row, how="CUDA graph"):
        graph = Step(untouched, run, device=given.device, batch=batch, compiled=GRAPH)
        other = [graph(*there.batch(indices)).item() for indices in on_device]
        if given.device != "cuda":
            return  # all of them were eager
        require_graph(graph)
        apart = [abs(a - b) / abs(a) for a, b in zip(losses, other, strict=True)]
        taken = timed(lambda: graph(*there.batch(on_device[0])), device=given.device, seconds=seconds, most=500)
        # The losses up to the first replay and the one after it, whose weights the first replay has changed.
        first = max(apart[: SETTLING + 2])
        given.record.add(**row, how="CUDA graph", losses_apart=max(apart), first_apart=first, **spread(taken))


def require_graph(step: Step) -> None:
    """Raise RuntimeError with the reason if the steps were eager."""
    made = how(step.step)
    if made["steps"] != GRAPH:
        raise RuntimeError(f"the steps were eager: {made['reason']}")


def main(given: Given) -> None:
    """Record all precisions and batch sizes."""
    run, parts = subject(given)
    seed_everything(run.seed, given.device)
    there = parts.train.to(given.device)
    chosen = torch.tensor([3, len(parts.train) - 1])
    same = all(
        torch.equal(a.cpu(), b)
        for a, b in zip(there.batch(chosen.to(given.device)), parts.train.batch(chosen), strict=True)
    )
    given.record.add(what="gathered on the device equals the host's", verdict=same)
    for label, precision, tf32 in (
        ("float32", "float32", False),
        ("float32 by TF32", "float32", True),
        ("bfloat16", "bfloat16", False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        for batch in (4,) if given.tiny else (16, 32):
            with given.record.attempt(what="step", precision=label, batch=batch):
                compare(given, dataclasses.replace(run, precision=precision), parts.train, batch=batch, label=label)


if __name__ == "__main__":
    main(arguments("steps"))
