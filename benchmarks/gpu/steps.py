"""Part `steps`: training steps a second of Time-LlaMA on ETTh1's shape, in one process.

As training makes them, with batches gathered on the device, and as one CUDA graph. The graph's losses are compared with
those of the same steps without it.
"""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.gpu.record import Given, arguments, plan_of, spread, timed
from timellama.data.series import load_series
from timellama.data.windows import prepare
from timellama.training.build import build
from timellama.training.step import LOSSES

COMPARED = 20  # our choice: steps whose losses are compared
SETTLED = 3  # steps before a capture, in which libraries choose their kernels


def subject(given: Given):
    """Time-LlaMA's run of seed 0, and its prepared windows."""
    name, dataset = ("smoke", "Synthetic") if given.tiny else ("cpu", "ETTh1")
    planned = plan_of(name, device=given.device).every_run().values()
    run = next(
        run
        for run in planned
        if (run.dataset, run.variant, run.seed, run.task) == (dataset, "time-llama", 0, "long-term")
        and (given.tiny or (run.horizon == 96 and run.backbone.blocks == 6))
    )
    series = load_series(given.results / f"data/{dataset}/series.npz")
    return run, prepare(series, run.split, context=run.context, horizon=run.horizon, train_percent=100)


def model_of(given: Given, run) -> nn.Module:
    """The run's model, freshly initialised from its seed."""
    torch.manual_seed(run.seed)
    folder = given.results / f"backbones/{run.backbone.name}/x{run.backbone.blocks}-{run.backbone.weights}"
    return build(run, backbone_folder=Path(folder)).to(given.device).train()


class Step:
    """A `TrainingStep` that can be captured in a CUDA graph: a tensor of losses, no autocast cache, Adam to match."""

    def __init__(self, model: nn.Module, run, *, device: str, capturable: bool, forward: Callable | None = None):
        self.model, self.run, self.device = model, run, device
        self.forward = forward or model.forecast
        self.router = list(model.router_parameters())
        known = {id(p) for p in self.router}
        self.rest = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
        more = {"capturable": True} if capturable else {}
        self.optimiser = torch.optim.Adam([*self.rest, *self.router], lr=1e-3, fused=True, **more)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of the batch x [B, T, N], y [B, H, N] before the step."""
        with torch.autocast(
            torch.device(self.device).type,
            dtype=torch.bfloat16,
            enabled=self.run.precision == "bfloat16",
            cache_enabled=False,
        ):
            forecast, balance, _ = self.forward(x)
            loss = LOSSES[self.run.training.loss](forecast.float(), y)
        total = loss if balance is None else loss + self.run.options.balance_weight * balance
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.rest, self.run.training.clip_norm)
        if self.router:
            nn.utils.clip_grad_norm_(self.router, self.run.training.router_clip_norm)
        self.optimiser.step()
        return loss.detach()


class Resident:
    """Windows of a series that lies on the device, gathered there by index."""

    def __init__(self, windows, *, device: str):
        contexts, targets = windows.contexts, windows.targets  # [windows, N, T] and [windows, N, H]
        self.context = contexts.shape[2]
        # The first row of every window, and what follows them in the last one.
        rows = [contexts[:, :, 0], contexts[-1, :, 1:].T, targets[-1].T]
        self.series = torch.cat(rows).to(device)
        self.steps = torch.arange(self.context + targets.shape[2], device=device)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, N] and y [B, H, N] of the windows at `indices`, which lie on the device."""
        both = self.series[indices[:, None] + self.steps]
        return both[:, : self.context], both[:, self.context :]


class Graph:
    """A step captured as one CUDA graph; its batch is copied to where the graph reads it."""

    def __init__(self, step: Step, x: Tensor, y: Tensor):
        self.x, self.y = x.clone(), y.clone()
        kept = {name: tensor.clone() for name, tensor in step.model.state_dict().items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(SETTLED):
                step(self.x, self.y)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        step.optimiser.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.loss = step(self.x, self.y)
        # As if the steps before the capture had not been.
        with torch.no_grad():
            for name, tensor in step.model.state_dict().items():
                tensor.copy_(kept[name])
            for state in step.optimiser.state.values():
                for value in state.values():
                    value.zero_()

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of the batch; the tensor is overwritten by the next call."""
        self.x.copy_(x)
        self.y.copy_(y)
        self.graph.replay()
        return self.loss


def compare(given: Given, run, windows, resident: Resident, *, batch: int, label: str) -> None:
    """Record the speed of one precision and batch size, eager and captured."""
    row = {"what": "step", "precision": label, "batch": batch}
    draw = torch.Generator().manual_seed(0)
    order = [torch.randint(len(windows), (batch,), generator=draw) for _ in range(COMPARED)]
    on_device = [indices.to(given.device) for indices in order]
    seconds = 0.2 if given.tiny else 2.0
    model = model_of(given, run)
    untouched = copy.deepcopy(model)
    eager = Step(model, run, device=given.device, capturable=False)
    losses = [eager(*resident.batch(indices)).item() for indices in on_device]

    def from_host() -> None:
        x, y = (part.to(given.device, non_blocking=True) for part in windows.batch(order[0]))
        eager(x, y)

    taken = timed(from_host, device=given.device, seconds=seconds, most=200)
    given.record.add(**row, how="eager, batches from the host", **spread(taken))
    taken = timed(lambda: eager(*resident.batch(on_device[0])), device=given.device, seconds=seconds, most=200)
    given.record.add(**row, how="eager, batches on the device", **spread(taken))
    if given.device != "cuda":
        return
    with given.record.attempt(**row, how="CUDA graph"):
        graph = Graph(Step(untouched, run, device=given.device, capturable=True), *resident.batch(on_device[0]))
        other = [graph(*resident.batch(indices)).item() for indices in on_device]
        apart = max(abs(a - b) / abs(a) for a, b in zip(losses, other, strict=True))
        taken = timed(lambda: graph(*resident.batch(on_device[0])), device=given.device, seconds=seconds, most=500)
        given.record.add(**row, how="CUDA graph", losses_apart=apart, **spread(taken))


def main(given: Given) -> None:
    """Record all precisions and batch sizes."""
    run, parts = subject(given)
    resident = Resident(parts.train, device=given.device)
    x, y = parts.train.batch(torch.tensor([3, len(parts.train) - 1]))
    gathered = resident.batch(torch.tensor([3, len(parts.train) - 1], device=given.device))
    same = all(torch.equal(a.cpu(), b) for a, b in zip(gathered, (x, y), strict=True))
    given.record.add(what="gathered on the device equals the host's", verdict=same)
    for label, precision, tf32 in (
        ("float32", "float32", False),
        ("float32 by TF32", "float32", True),
        ("bfloat16", "bfloat16", False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        for batch in (4,) if given.tiny else (16, 32):
            with given.record.attempt(what="step", precision=label, batch=batch):
                compare(
                    given,
                    dataclasses.replace(run, precision=precision),
                    parts.train,
                    resident,
                    batch=batch,
                    label=label,
                )


if __name__ == "__main__":
    main(arguments("steps"))
