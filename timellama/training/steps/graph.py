"""A training step as one CUDA graph: recorded once, then replayed, so that the host launches one thing instead of some
3 000.

References: the CUDA graphs of torch's documentation (notes/cuda, "CUDA Graphs", whole-network capture), and
`torch.optim`'s `capturable`. A graph reads its batch and its learning rate from fixed addresses. Dropout masks come
from the generator that eager steps draw from, and continue from its state.

The first steps of a training are made eagerly, on another stream, so that libraries choose their kernels. The next
one is made twice from the same state, eagerly and as a graph, and the graph is kept only if both agree: one that holds
what should have been recomputed at each step does not. What cannot be recorded continues eagerly from the same state.

AdaLoRA's `after_step` is not in the graph. A batch smaller than the others is trained on eagerly.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from timellama.training.steps.checkpoint import generator_states, restore_generators
from timellama.training.steps.step import Losses, TrainingStep

log = logging.getLogger(__name__)

SETTLING = 3  # eager steps before a recording; torch's documentation warms up three times
# How far a graph's loss and gradients may be from the eager ones, relative to their norm. Our choice: another kernel
# for a product rounds float32 to 1e-6 and bfloat16 to 1e-2, and a wrong graph is further off.
APART = {"float32": 1e-4, "bfloat16": 5e-2}


class Recorder(Protocol):
    """What records a step; the tests have one that needs no CUDA."""

    def aside(self, call: Callable[[], Losses]) -> Losses:
        """Call it where a recording may follow."""

    def strictly(self, call: Callable[[], Losses]) -> Losses:
        """Call it aside; RuntimeError if it does what no graph can hold."""

    def record(self, call: Callable[[], Losses], parameters: list[Tensor]) -> Callable[[], Losses]:
        """Record it without computing it. The returned function replays it and leaves its gradients on `parameters`."""


class CudaRecorder:
    """Records in a CUDA graph on `device`."""

    def __init__(self, device: str):
        self.device = torch.device(device)
        with torch.cuda.device(self.device):
            self.stream = torch.cuda.Stream()

    def aside(self, call: Callable[[], Losses]) -> Losses:
        """Call it on a separate stream, which the main one waits for."""
        with torch.cuda.device(self.device):
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                made = call()
            torch.cuda.current_stream().wait_stream(self.stream)
        return made

    def strictly(self, call: Callable[[], Losses]) -> Losses:
        """Call it aside; RuntimeError if it makes the host wait for the device, or draws numbers on the host.

        A recording that fails for the first reason leaves torch's generator unusable, so this is checked beforehand.
        """
        before, mode = generator_states(), torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            made = self.aside(call)
        finally:
            torch.cuda.set_sync_debug_mode(mode)
        after = generator_states()
        for name in ("python", "numpy"):
            if before[name] != after[name]:
                raise RuntimeError(f"it draws numbers from {name} on the host")
        if not torch.equal(before["torch"], after["torch"]):
            raise RuntimeError("it draws numbers from torch on the host")
        return made

    def record(self, call: Callable[[], Losses], parameters: list[Tensor]) -> Callable[[], Losses]:
        """Record it in a graph. The losses of a replay are copies, which the next one does not change."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph):
            loss, balance = call()
        slopes = [parameter.grad for parameter in parameters]

        def replay() -> Losses:
            graph.replay()
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter.grad = slope
            return loss.clone(), None if balance is None else balance.clone()

        return replay


class _State:
    """A copy of all that an update changes, restored in place because graphs keep addresses."""

    def __init__(self, step: TrainingStep):
        model, optimiser = step.model, step.optimiser
        self.tensors = [p for p in model.parameters() if p.requires_grad] + list(model.buffers())
        self.tensors += [t for state in optimiser.state.values() for t in state.values() if isinstance(t, Tensor)]
        self.copies = [tensor.detach().clone() for tensor in self.tensors]
        self.generators = generator_states()

    @torch.no_grad()
    def restore(self) -> None:
        for tensor, copy in zip(self.tensors, self.copies, strict=True):
            tensor.copy_(copy)
        restore_generators(self.generators)


class GraphStep:
    """A `TrainingStep` that is replayed as a graph for batches of `batch` entries.

    Without a `recorder`, and if layers are recomputed in the backward pass, which resets a generator on the host, all
    steps are eager.
    """

    def __init__(self, step: TrainingStep, *, batch: int, recorder: Recorder | None):
        self.step, self.batch = step, batch
        self.recorder = recorder
        self.settled = 0
        self.replay: Callable[[], Losses] | None = None
        self.refused: str | None = None
        if recorder is None:
            self._refuse("there is no CUDA here")
        elif step.fit.recompute:
            self._refuse("its layers are computed again in the backward pass, to stay within its memory")

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """The step's own."""
        return self.step.optimiser

    def __call__(self, x: Tensor, y: Tensor, *, learning_rate: float, step: int, total_steps: int) -> Losses:
        """As `TrainingStep.__call__`."""
        self.step.set_rate(learning_rate)
        losses = self._update(x, y, learning_rate)
        self.step.model.after_step(step=step, total_steps=total_steps)
        return losses

    def how(self) -> dict[str, str]:
        """How steps were made, and the reason if they were eager."""
        return {"steps": "graph"} if self.replay else {"steps": "off", "reason": self.refused or "too few steps"}

    def _update(self, x: Tensor, y: Tensor, rate: float) -> Losses:
        if self.refused or len(x) != self.batch:
            return self.step.update(x, y)
        if self.settled < SETTLING:
            self.settled += 1
            self.x, self.y, self.rate = x.clone(), y.clone(), torch.tensor(rate, dtype=torch.float32, device=x.device)
            return self.recorder.aside(lambda: self.step.update(x, y))
        if self.replay is None:
            return self._record(x, y, rate)
        return self._replayed(x, y, rate)

    def _replayed(self, x: Tensor, y: Tensor, rate: float) -> Losses:
        self.x.copy_(x)
        self.y.copy_(y)
        self.rate.fill_(rate)
        return self.replay()

    def _record(self, x: Tensor, y: Tensor, rate: float) -> Losses:
        """Make the step eagerly and as a graph; keep what the graph made, or what the step makes without one.

        While the graph is recorded, its input tensors hold the previous batch.
        """
        before = _State(self.step)
        try:
            loss, _ = self.recorder.strictly(lambda: self.step.update(x, y))
            eager = (loss[None], self._slopes())
            before.restore()
            self.replay = self.recorder.record(self._from_places, self._trained())
            losses = self._replayed(x, y, rate)
            self._compare(eager, (losses[0][None], self._slopes()))
        except RuntimeError as error:
            self.replay = None
            self._refuse(str(error).strip().splitlines()[0])
            before.restore()
            return self.step.update(x, y)
        log.info("steps of training are replayed as a CUDA graph")
        return losses

    def _from_places(self) -> Losses:
        with self._of_a_graph():
            return self.step.update(self.x, self.y)

    @contextmanager
    def _of_a_graph(self) -> Iterator[None]:
        """AdamW reads its rate where a graph can find it, and does not object to a recording."""
        groups = self.optimiser.param_groups
        rate = groups[0]["lr"]
        self.step.set_rate(self.rate)
        for group in groups:
            group["capturable"] = True
        try:
            yield
        finally:
            self.step.set_rate(rate)
            for group in groups:
                group["capturable"] = False

    def _trained(self) -> list[Tensor]:
        return [*self.step.rest, *self.step.router]

    def _slopes(self) -> Tensor:
        return torch.cat([p.grad.flatten().float() for p in self._trained() if p.grad is not None])

    def _compare(self, eager: tuple[Tensor, ...], replayed: tuple[Tensor, ...]) -> None:
        """Raise RuntimeError if the graph's loss or gradients are not the eager ones."""
        for what, one, other in zip(("loss", "gradients"), eager, replayed, strict=True):
            apart = ((one - other).norm() / one.norm().clamp_min(1e-12)).item()
            if not apart <= APART[self.step.precision]:
                raise RuntimeError(f"the {what} of its graph and of an eager step are {apart:.1e} of their norm apart")

    def _refuse(self, reason: str) -> None:
        self.refused = reason
        log.warning("steps of training are made eagerly, not as a CUDA graph: %s", reason)
