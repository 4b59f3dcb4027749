"""How much training fits into a time: equally many series for every method, by the estimate of `timellama plan`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from timellama.cost.estimate import make_estimate, shapes_of
from timellama.cost.timing import calibrate_here, start
from timellama.cost.workload import CUDA_CONTEXT, makespan
from timellama.experiments.matrix import Matrix
from timellama.training.device import memory_at_hand

LEAST_SERIES = 2048  # our choice: with fewer, no method has more than a few steps
STEPS = 12  # our choice: halvings of the range of budgets, which narrow it to a few per cent


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How many series each training sees, how long all runs take by the estimate, and how many run side by side."""

    series: int
    seconds: float
    at_once: int


def fitted(
    matrix_of: Callable[[int], Matrix], *, seconds: float, most: int, results: Path, on_progress: Callable[[str], None]
) -> Budget:
    """The largest budget of series, at most `most`, with which the runs that are left end within `seconds`.

    `matrix_of` gives the matrix of a budget. A few steps of each shape are timed, on random inputs. If even
    `LEAST_SERIES` take longer, they are the budget. If no run is left, the seconds are 0.
    """
    whole = matrix_of(most)
    gpu = torch.cuda.is_available()
    device, threads = "cuda" if gpu else "cpu", whole.config["threads"]
    of_a_run = memory_at_hand(device, threads=threads)
    costs, backbones, shapes = shapes_of(whole, results=results, memory=of_a_run, on_progress=on_progress)
    speed, _ = calibrate_here(costs, backbones, threads=threads, device=device, on_progress=on_progress)
    overhead, held = start()
    at_once = 1 if gpu else max(1, len(os.sched_getaffinity(0)) // threads)

    def taken(series: int) -> float:
        estimate = make_estimate(
            matrix_of(series),
            results=results,
            costs=costs,
            shapes=shapes,
            speed=speed,
            overhead=overhead,
            base_bytes=CUDA_CONTEXT if gpu else held,
            on_host=not gpu,
            definitions={},
        )
        return makespan([job.seconds.total for job in estimate.jobs], at_once)

    low, high = min(LEAST_SERIES, most), most
    if taken(high) <= seconds:
        low = high
    for _ in range(STEPS if low < high else 0):
        middle = round((low * high) ** 0.5)  # geometric: budgets differ by orders of magnitude
        low, high = (middle, high) if taken(middle) <= seconds else (low, middle)
    return Budget(series=low, seconds=taken(low), at_once=at_once)
