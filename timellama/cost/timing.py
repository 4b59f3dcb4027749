"""How long a pass takes on this machine, from a few timed passes: real models with random weights, on random inputs.

Nothing is trained: a timed step is thrown away with its model. For each kind of model, the smallest shape and the
largest affordable one are timed. Every other shape is on the line `a calls + b operations` through the two: a cost per
call and a cost per operation.

On a CPU the time is processor time, not clock time, so that other programs do not count; it is what the run takes on an
otherwise idle machine.
"""

import dataclasses
import itertools
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from timellama.core.machine.allocator import keep_freed_memory
from timellama.cost.backbone_shapes import BackboneShape
from timellama.cost.efficiency import STEPS
from timellama.cost.efficiency_sweep import available_memory
from timellama.cost.flops import Costs, Counted, build_shape, count
from timellama.experiments.run import RANDOM_SEED, Run, Training
from timellama.methods.registry import method_of
from timellama.training.precision import autocast
from timellama.training.scores.predictions import forecast_of
from timellama.training.steps.step import TrainingStep

log = logging.getLogger(__name__)

REPEATS = 3  # our choice: the fastest is taken, since disturbances only make a pass slower
ENOUGH = 1.0  # our choice, seconds: a pass that takes longer is timed once, after a first untimed call
LONGEST = 1.0  # our choice, seconds: a pass that is expected to take longer is timed on a smaller batch
SIZE = 1024  # our choice: a product of 2 GFLOP, to guess how long a pass will take
Kind = tuple  # what the models of one kind have in common


@dataclass(frozen=True, kw_only=True)
class Point:
    """One timed pass, of `windows` windows."""

    shape: str
    windows: int
    counted: Counted
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """Seconds = `a` times calls + `b` times operations."""

    a: float
    b: float
    points: tuple[Point, ...]

    def seconds(self, counted: Counted) -> float:
        """Seconds of a pass."""
        return self.a * counted.calls + self.b * counted.flops


def fit(points: list[Point]) -> Line:
    """The line through one or two points; neither part is negative."""
    points = sorted(points, key=lambda point: point.counted.flops)
    last = points[-1]
    a, b = 0.0, last.seconds / max(last.counted.flops, 1)
    if last.counted.flops == 0:
        a, b = last.seconds / max(last.counted.calls, 1), 0.0
    elif len(points) > 1:
        (c1, f1, s1), (c2, f2, s2) = ((p.counted.calls, p.counted.flops, p.seconds) for p in (points[0], last))
        determinant = c1 * f2 - c2 * f1
        if determinant > 0:
            a = min(max((s1 * f2 - s2 * f1) / determinant, 0.0), s1 / max(c1, 1))
            b = max((s2 - a * c2) / f2, 0.0)
    return Line(a=a, b=b, points=tuple(points))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The speed of this machine, by kind of model: `workload.Speed`."""

    steps: Mapping[Kind, Line]
    forecasts: Mapping[Kind, Line]
    busy: float  # clock to processor time of the timed passes: 1 on an idle machine

    def seconds(self, run: Run, counted: Counted, *, training: bool) -> float:
        """Seconds of a pass."""
        return (self.steps if training else self.forecasts)[kind_of(run)].seconds(counted)


def kind_of(run: Run) -> Kind:
    """What models must have in common for their passes to cost the same calls and operations at equal sizes."""
    return (run.method, run.backbone and run.backbone.name, *method_of(run.method).parts_of(run.options))


def calibrate(
    shapes: Mapping[Run, Costs],
    backbones: Mapping[Run, BackboneShape | None],
    *,
    threads: int,
    device: str,
    memory: int,
    on_progress: Callable[[str], None],
) -> Measured:
    """Time two shapes of every kind. `memory` is what a timed model may take; `on_progress` gets each kind's name."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(RANDOM_SEED)
    rate = _matmul_rate(device)
    kinds: dict[Kind, list[Run]] = {}
    for run in shapes:
        kinds.setdefault(kind_of(run), []).append(run)
    steps, forecasts, busy = {}, {}, []
    for kind, runs in kinds.items():
        on_progress(" ".join(str(part) for part in kind if part not in (None, False)))
        found: dict[bool, list[Point]] = {True: [], False: []}
        for run in _ends(runs, shapes, limit=LONGEST * rate, memory=memory):
            for point, ratio, training in _timed(
                run, shapes[run], backbones[run], device=device, rate=rate, memory=memory
            ):
                found[training].append(point)
                busy.append(ratio)
        if found[True]:
            steps[kind] = fit(found[True])
        forecasts[kind] = fit(found[False])
    return Measured(steps=steps, forecasts=forecasts, busy=statistics.median(busy))


def _ends(runs: list[Run], shapes: Mapping[Run, Costs], *, limit: float, memory: int) -> list[Run]:
    """The smallest shape of a kind, and the largest within the limits if it is a different one."""

    def work(run: Run) -> int:
        return (shapes[run].step or shapes[run].forecast).flops

    ordered = sorted(runs, key=work)
    within = [run for run in ordered if work(run) <= limit and _bytes(shapes[run]) <= memory]
    chosen = [ordered[0], within[-1]] if within else [ordered[0]]
    return list(dict.fromkeys(chosen))


def _bytes(costs: Costs) -> int:
    return 4 * (costs.frozen + 4 * costs.trained) + max(costs.step.bytes if costs.step else 0, costs.forecast.bytes)


def _timed(run: Run, costs: Costs, shape: BackboneShape | None, *, device: str, rate: float, memory: int):
    """Points of a step and of a forecast, each with the ratio of clock to processor time and whether it trains."""
    training = run.training or Training()
    small = {}
    for name, counted in (("batch_size", costs.step), ("evaluation_batch_size", costs.forecast)):
        if counted and counted.flops > LONGEST * rate:
            small[name] = max(1, int(getattr(training, name) * LONGEST * rate / counted.flops))
    if small:
        run = dataclasses.replace(run, training=dataclasses.replace(training, **small))
        costs = count(run, shape=shape, memory=memory)
        training = run.training
    model = build_shape(run, shape=shape, device=device)
    label = f"T{run.context}-H{run.horizon}-N{run.variates}" + (f"-x{run.backbone.blocks}" if run.backbone else "")
    if costs.step:
        drawn = training.drawn_of(run.variates)
        columns = drawn + len(run.calendar)
        x = torch.randn(training.batch_size, run.context, columns, device=device)
        y = torch.randn(training.batch_size, run.horizon, drawn, device=device)
        step = TrainingStep(
            model.train(),
            training=training,
            balance_weight=run.balance_weight,
            device=device,
            precision=run.precision,
            fit=costs.fit,
        )
        numbers = itertools.count(1)

        def call() -> None:
            step(x, y, learning_rate=training.learning_rate, step=next(numbers), total_steps=STEPS)

        seconds, ratio = _fastest(call, device)
        yield Point(shape=label, windows=len(x), counted=costs.step, seconds=seconds), ratio, True
    x = torch.randn(training.evaluation_batch_size, run.context, run.columns, device=device)
    model.eval()

    def forecast() -> None:
        with torch.inference_mode(), autocast(device, run.precision):
            for part in x.split(costs.fit.forecast_windows or len(x)):
                forecast_of(model, part, series=costs.fit.forecast_series)

    seconds, ratio = _fastest(forecast, device)
    yield Point(shape=label, windows=len(x), counted=costs.forecast, seconds=seconds), ratio, False


def _fastest(call: Callable[[], object], device: str) -> tuple[float, float]:
    """Seconds of the fastest of a few calls, and the ratio of clock time to them; the first call is not counted."""
    call()
    found = [_clocked(call, device)]
    while len(found) < REPEATS and found[0][0] < ENOUGH:
        found.append(_clocked(call, device))
    return min(found)


def _clocked(call: Callable[[], object], device: str) -> tuple[float, float]:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    clock, processor = time.perf_counter(), time.process_time()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
        return time.perf_counter() - clock, 1.0
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    # The threads of a pass work side by side, and clock time counts one of them.
    seconds = max(processor, 1e-9) / torch.get_num_threads()
    return seconds, clock / seconds


def _matmul_rate(device: str) -> float:
    """Operations per second of a product of square matrices."""
    a = torch.randn(SIZE, SIZE, device=device)
    return 2 * SIZE**3 / _fastest(lambda: a @ a, device)[0]


def calibrate_here(
    shapes: Mapping[Run, Costs],
    backbones: Mapping[Run, BackboneShape | None],
    *,
    threads: int,
    device: str,
    on_progress: Callable[[str], None],
) -> tuple[Measured, int]:
    """`calibrate` in half of the free memory of this machine's `device`, and the number of free bytes."""
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else available_memory()
    timed = {"threads": threads, "device": device, "memory": free // 2}
    return calibrate(shapes, backbones, **timed, on_progress=lambda kind: on_progress(f"timing {kind}")), free


def start() -> tuple[float, int]:
    """Processor seconds and resident bytes of a process that has started like a job and computed nothing yet."""
    code = (
        "import time, os, timellama.training.run, timellama.training.short_term\n"
        "from snakemake import script\n"
        "from timellama.cost.efficiency_sweep import resident\n"
        "print(time.process_time(), resident(os.getpid()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    seconds, held = done.stdout.split()
    return float(seconds), int(held)
