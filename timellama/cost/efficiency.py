"""Measures one cell of the efficiency report: latency, training step, peak memory, parameters and operations.

Runs as a separate process, `python -m timellama.cost.efficiency`: a `Cell` as JSON on standard input, lines of JSON on
standard output, one per stage, so that a process that dies while it trains has reported what it measured before. The
order is load, forecasts, operations, matmul peak, training. `docs/efficiency.md` explains how to read each number.
"""

import itertools
import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from timellama.core.machine.allocator import keep_freed_memory
from timellama.experiments.run import RANDOM_SEED, Training
from timellama.experiments.sweep import Cell
from timellama.methods.forecaster import Forecaster
from timellama.methods.registry import method_of
from timellama.training.build import build
from timellama.training.device import device_name, pick_device
from timellama.training.precision import autocast, products
from timellama.training.run import count_parameters
from timellama.training.steps.step import TrainingStep
from timellama.training.trial import try_network

WARM_UP = 3  # our choice: the first call allocates and fills caches, the third no longer differs from the tenth
LEAST_CALLS, MOST_CALLS = 3, 100  # our choice: 3 give a median; from 20 calls the 95th percentile is not the slowest
LONG = 3  # our choice: a call that takes more than this many times the time for all of them is not repeated
MOST_STEPS = 10  # our choice: only the median of training steps is reported
STEPS = 1000  # our choice, the length for which AdaLoRA plans its ranks; a step costs the same in a shorter training
MATMUL_SIZE, MATMULS = 2048, 5  # our choice: large enough for a CPU or GPU to reach its rate, 17 GFLOP each
# Operations that move numbers or write constants and calculate nothing. Views and pointwise operations are recognised
# by torch's own marks.
# fmt: off
MOVES = frozenset((
    "_assert_async", "_local_scalar_dense", "_to_copy", "_unsafe_view", "alias_copy", "arange", "as_strided_scatter",
    "cat", "constant_pad_nd", "copy_", "detach_", "embedding", "empty", "empty_like", "empty_strided", "expand_copy",
    "fill_", "flip", "full", "full_like", "gather", "index", "index_put", "index_select", "lift_fresh", "new_empty",
    "new_ones", "new_zeros", "nonzero", "ones", "ones_like", "repeat", "replication_pad1d", "roll", "scalar_tensor",
    "select_backward", "slice_backward", "stack", "unfold_copy", "zero_", "zeros", "zeros_like",
))
# fmt: on


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that at least this share of all values does not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def adapter_numbers(model: Forecaster) -> int | None:
    """How many numbers its LoRA modules and their routers train; None for a method that has no such part."""
    parameters = model.adapter_parameters()
    return None if parameters is None else sum(p.numel() for p in parameters if p.requires_grad)


class _Seen(TorchDispatchMode):
    """Counts the operations that reach the device, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func] += 1
        return func(*args, **(kwargs or {}))


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Operations of one fused attention: Q K^T and scores V, not reduced by a mask, as torch counts its GPU kernels."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


def _product_in_place(_: Sequence[int], a: Sequence[int], b: Sequence[int], *__: Any, **___: Any) -> int:
    """Operations of a product [.., m, k] times [.., k, n] that is added in place."""
    return 2 * math.prod(a) * b[-1]


def operations(call: Callable[[], object]) -> tuple[int, dict[str, int]]:
    """Floating-point operations of `call` by torch's counter, and the calculations that it does not count.

    A multiplication and an addition are two operations. torch's counter knows matrix products, convolutions and GPU
    attention kernels; the CPU's attention kernel and products in place are added here. The second value counts the
    calls of every other operation, except views, pointwise operations (torch's own tag) and `MOVES`.
    """
    aten = torch.ops.aten
    added = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        # torch's own counts of these refuse keys and values with fewer heads than the queries.
        aten._scaled_dot_product_flash_attention: _attention,
        aten._scaled_dot_product_efficient_attention: _attention,
        aten._scaled_dot_product_cudnn_attention: _attention,
        aten.addmm_: _product_in_place,
        aten.baddbmm_: _product_in_place,
    }
    counter = FlopCounterMode(display=False, custom_mapping=added)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one fused encoder layer would hide all its products
    try:
        with _Seen() as seen, counter:
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    uncounted: Counter = Counter()
    for func, count in seen.counts.items():
        packet = func.overloadpacket
        name = packet.__name__
        trivial = func.is_view or torch.Tag.pointwise in func.tags or name in MOVES
        if func.namespace == "aten" and packet not in counter.flop_registry and not trivial:
            uncounted[name] += count
    return counter.get_total_flops(), dict(sorted(uncounted.items()))


def synchronise(device: str) -> None:
    """Wait until CUDA has finished all its work; a CPU already has."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def clock(call: Callable[[], object], device: str) -> float:
    """Seconds of one call."""
    synchronise(device)
    before = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - before


def repeated(call: Callable[[], object], *, device: str, seconds: float, most: int) -> list[float]:
    """Seconds of each call: at least `LEAST_CALLS`, then as many as fit into `seconds`, at most `most`.

    A call that takes more than `LONG` times `seconds` is not repeated.
    """
    taken: list[float] = []
    while not taken or (
        taken[0] <= LONG * seconds and (len(taken) < LEAST_CALLS or (sum(taken) < seconds and len(taken) < most))
    ):
        taken.append(clock(call, device))
    return taken


def reset_peak(device: str) -> None:
    """Reset the peak memory of CUDA's allocator, or of this process (Linux, man 5 proc, clear_refs)."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory(device: str) -> dict[str, int | None]:
    """Bytes now and the peak since `reset_peak`: allocated on CUDA, resident on a CPU; reserved on CUDA only."""
    if device.startswith("cuda"):
        now, peak = torch.cuda.memory_allocated(device), torch.cuda.max_memory_allocated(device)
        return {"now": now, "peak": peak, "reserved": torch.cuda.max_memory_reserved(device)}
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return {"now": int(kilobytes["VmRSS"]) * 1024, "peak": int(kilobytes["VmHWM"]) * 1024, "reserved": None}


def timed(call: Callable[[], object], *, cell: Cell, device: str, warm_up: int, most: int) -> dict:
    """Median and 95th percentile of the calls after `warm_up` calls, and the peak memory of all of them.

    A first call that takes longer than `cell.seconds` is enough warm-up. If it takes longer than `cell.longest_call`,
    there is no other, and `seconds` is None.
    """
    reset_peak(device)
    first = clock(call, device)
    if first > cell.longest_call:
        return {"first": first, "seconds": None, "p95": None, "calls": 0, **memory(device)}
    for _ in range(warm_up - 1 if first < cell.seconds else 0):
        call()
    taken = repeated(call, device=device, seconds=cell.seconds, most=most)
    middle, slow = statistics.median(taken), percentile(taken, 0.95)
    return {"first": first, "seconds": middle, "p95": slow, "calls": len(taken), **memory(device)}


def matmul_peak(device: str, precision: str) -> float:
    """Floating-point operations per second of the fastest of several products of square matrices."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(MATMUL_SIZE, MATMUL_SIZE, device=device).to(dtype) for _ in range(2))
    with products(device, precision):
        clock(lambda: a @ b, device)
        return 2 * MATMUL_SIZE**3 / min(clock(lambda: a @ b, device) for _ in range(MATMULS))


def forward_call(model: Forecaster, x: Tensor, *, device: str, precision: str) -> Callable[[], object]:
    """One forecast of the batch x [B, T, N] as evaluation makes it: no gradients, the run's precision."""

    def call() -> None:
        with torch.inference_mode(), autocast(device, precision):
            model.forecast(x)

    return call


def training_call(cell: Cell, model: Forecaster, x: Tensor, y: Tensor, *, device: str) -> Callable[[], object]:
    """One training step on x [B, T, N] and y [B, H, N], as training makes it with the default recipe."""
    training = Training()
    step = TrainingStep(
        model, training=training, balance_weight=cell.run.balance_weight, device=device, precision=cell.run.precision
    )
    numbers = itertools.count(1)

    def call() -> None:
        # The time of a step does not depend on the learning rate, so the default is used.
        step(x, y, learning_rate=training.learning_rate, step=next(numbers), total_steps=STEPS)

    return call


def measure(cell: Cell, say: Callable[[dict], None]) -> None:
    """Measure a cell on random input and `say` each stage's numbers as soon as they are known."""
    run = cell.run
    device = pick_device(run.device)
    torch.set_num_threads(cell.threads)
    keep_freed_memory()  # as a run does
    torch.manual_seed(RANDOM_SEED)
    free = torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else None
    folder = Path(cell.backbone_folder) if cell.backbone_folder else None
    model = build(run, backbone_folder=folder).to(device).eval()
    try_network(model, run, device=device)
    x = torch.randn(cell.batch_size, run.context, run.columns, device=device)
    y = torch.randn(cell.batch_size, run.horizon, run.variates, device=device)
    say(
        {
            "device": device_name(device),
            "device_free_bytes": free,
            "parameters": count_parameters(model) | {"adapters": adapter_numbers(model)},
            "loaded_bytes": memory(device)["now"],
        }
    )
    call = forward_call(model, x, device=device, precision=run.precision)
    forward = timed(call, cell=cell, device=device, warm_up=WARM_UP, most=MOST_CALLS)
    say({"forward": forward})
    if forward["seconds"] is None:
        return
    flops, uncounted = operations(call)
    say({"flops": flops, "uncounted": uncounted, "matmul_flops_per_second": matmul_peak(device, run.precision)})
    if cell.train and method_of(run.method).trains:
        step = training_call(cell, model.train(), x, y, device=device)
        say({"training": timed(step, cell=cell, device=device, warm_up=1, most=MOST_STEPS)})


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error is how CUDA, Python or the CPU allocator reports that memory has run out."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)


def main() -> None:
    """Read a cell, measure it, and write one line of JSON per stage; all other output goes to standard error."""
    lines, sys.stdout = sys.stdout, sys.stderr
    # If memory runs out anyway, the kernel kills this process before any other.
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")

    def say(stage: dict) -> None:
        print(json.dumps(stage), file=lines, flush=True)

    try:
        measure(Cell.from_json(sys.stdin.read()), say)
    except ValueError as error:
        say({"impossible": str(error)})
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        say({"out_of_memory": True})


if __name__ == "__main__":
    main()
