"""What runs take before any of them is started: steps, windows, memory, disk, and how they spread over workers.

Numbers come from the plan and from counted costs (`flops`). The time of a step is given by a caller that has
measured it (`timing`) or assumes it (`Assumed`). Training stops early when patience ends, so steps and times are
upper bounds.
"""

import dataclasses
import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from timellama.cost.backbone_shapes import BackboneShape
from timellama.cost.flops import Costs, Counted
from timellama.data.catalogue.datasets import Dataset
from timellama.data.splits import Split
from timellama.experiments.run import Run, Training
from timellama.experiments.work import Work
from timellama.methods.registry import method_of

PROMPT_STEP = 40  # our choice, characters: prompts within ten tokens of each other count as one length
CUDA_CONTEXT = 1 << 30  # our choice: what CUDA, its libraries and the allocator's rounding hold besides tensors
ANY_SPLIT = Split(rule="ratio", train=0.7, validation=0.1, test=0.2)  # costs do not depend on it
ADAM_COPIES = 3  # numbers kept per trained parameter besides itself: two moments, and the best weights so far

CHECKPOINT_COPIES = (
    5  # the weights themselves and, in the buffer that is written, the weights, two moments and the best weights
)

# Measured on 39 finished runs of config/cpu.yaml: 2.4 to 2.65 bytes resident, besides weights and data, for each byte
# that is alive. The C library keeps what was freed (`timellama.core.machine.allocator`).
HELD_ON_CPU = 2.5


class Speed(Protocol):
    """Seconds of a pass of a run's model."""

    def seconds(self, run: Run, counted: Counted, *, training: bool) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """A device that is not here: as fast as its matrix products at a share of their peak, but never faster than the
    host sends operations to it."""

    flops_per_second: float
    seconds_per_call: float

    def seconds(self, run: Run, counted: Counted, *, training: bool) -> float:
        """Seconds of a pass."""
        return max(counted.flops / self.flops_per_second, counted.calls * self.seconds_per_call)


def shape_run(run: Run) -> Run:
    """The run without anything that does not change its costs: runs of one shape cost the same per step."""
    training = run.training and Training(
        batch_size=run.training.batch_size,
        evaluation_batch_size=run.training.evaluation_batch_size,
        sampling=run.training.sampling,
    )
    backbone = run.backbone and dataclasses.replace(run.backbone, pin="", weights="pretrained")
    length = math.ceil(len(run.prompt) / PROMPT_STEP) * PROMPT_STEP if run.prompt is not None else None
    return dataclasses.replace(
        run,
        task="",
        dataset="",
        data_sha256=None,
        reading=None,
        split=ANY_SPLIT,
        train_percent=100,
        variant=run.method,
        options=method_of(run.method).costs_as(run.options),
        training=training,
        backbone=backbone,
        prompt=None if length is None else "x" * length,
        seed=0,
    )


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Where the time of a run goes."""

    start: float
    training: float
    validation: float
    test: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.start + self.training + self.validation + self.test


def run_seconds(run: Run, work: Work, costs: Costs, speed: Speed, *, overhead: float) -> Seconds:
    """Seconds of a whole run, including its start and its test."""
    forecast = speed.seconds(run, costs.forecast, training=False)
    return Seconds(
        start=overhead,
        training=work.steps * speed.seconds(run, costs.step, training=True) if costs.step else 0.0,
        validation=work.validation_batches * forecast,
        test=work.test_batches * forecast,
    )


def run_flops(work: Work, costs: Costs) -> int:
    """Floating-point operations of a whole run."""
    training = work.steps * costs.step.flops if costs.step else 0
    return training + (work.validation_batches + work.test_batches) * costs.forecast.flops


def static_bytes(run: Run, costs: Costs) -> int:
    """Memory of weights and optimiser."""
    size = 2 if run.precision == "bfloat16" else 4  # of a frozen weight
    return size * costs.frozen + 4 * (1 + ADAM_COPIES) * costs.trained


def device_bytes(run: Run, costs: Costs, *, held: float) -> tuple[int, int]:
    """Memory of weights, optimiser and the larger of a step and a forecast, on the device that computes: at least, at
    most.

    The two differ only in bfloat16, where autocast keeps some of the activations in 2 bytes per number and some in 4.
    `held` is how many bytes of activations the allocator holds for each one that is alive.
    """
    size = 2 if run.precision == "bfloat16" else 4
    static = static_bytes(run, costs)
    between = int(held * max(costs.step.bytes if costs.step else 0, costs.forecast.bytes))
    return static + between * size // 4, static + between


def host_bytes(run: Run, dataset: Dataset, shape: BackboneShape | None, costs: Costs) -> int:
    """Memory besides the device's: the series with its calendar (as read in 8 bytes per number, standardised, and in 4
    bytes), the file of a language model's blocks, mapped beside the weights made from it, and a checkpoint while it is
    written."""
    blocks = 4 * sum(math.prod(size) for size in shape.tensors.values()) if shape else 0
    return dataset.rows * run.columns * (8 + 8 + 4) + blocks + 4 * CHECKPOINT_COPIES * costs.trained


def prepared_bytes(shape: BackboneShape, *, number: int) -> int:
    """Disk space in bytes of a prepared backbone whose numbers take `number` bytes each."""
    return number * (sum(math.prod(size) for size in shape.tensors.values()) + shape.vocabulary * shape.width)


def makespan(seconds: Iterable[float], workers: int) -> float:
    """When the last of these jobs ends on `workers` workers, each taking the longest job left (Graham 1969: at most a
    third above the best)."""
    ends = [0.0] * workers
    for job in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + job)
    return max(ends)


def workers_needed(seconds: Sequence[float], deadline: float) -> int | None:
    """The fewest workers with which all jobs end by `deadline`; None if a single job takes longer."""
    if not seconds:
        return 0
    if max(seconds) > deadline:
        return None
    low, high = max(1, math.ceil(sum(seconds) / deadline)), len(seconds)
    while low < high:
        middle = (low + high) // 2
        if makespan(seconds, middle) <= deadline:
            high = middle
        else:
            low = middle + 1
    return low
