"""`timellama plan`: the resources that a configuration takes, before anything runs."""

import dataclasses
import math
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timellama.cli.console import (
    CHECK_FAILED,
    DEFAULT_CONFIG,
    RESULTS,
    ConfigFile,
    Json,
    load_matrix,
    print_json,
    progress_line,
)
from timellama.cli.plan_text import print_plan
from timellama.core.errors import InputError

if TYPE_CHECKING:
    from timellama.cost.estimate import Estimate, Job
    from timellama.cost.workload import Speed

# NVIDIA A100 80GB, data sheet nvidia-1758950-r4: 312 TFLOP/s of dense bfloat16 products, 80 GB.
PEAK, GPU_MEMORY = 312.0, 80.0
SHARE = 0.3  # our choice, not measured: the answer scales with it
# Microseconds that torch takes on the host to launch an operation on a GPU: 57 ms for a step of 1,378 kernels on an
# H100 (docs/reference/gpu).
CALL = 40.0
GPU_START = 30.0  # our choice, seconds: several for the scheduler, Python, CUDA and reading 3 GB of weights
NO_SMALLER = "its batch is one window already: a step needs a larger device"
SHOWN = 10  # rows of runs that are shown
SPREAD = (1, 8, 100)


def plan(
    configfile: ConfigFile = DEFAULT_CONFIG,
    without: Annotated[list[str] | None, typer.Option(help="Leave a method out; may be given several times.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once; on a CPU the default is what fits.")] = None,
    side_by_side: Annotated[int, typer.Option(min=1, help="Runs that share a GPU, as `snakemake -j` starts them.")] = 1,
    measure: Annotated[bool, typer.Option(help="Time a few steps on this machine; else use --peak.")] = True,
    peak: Annotated[float, typer.Option(min=0.001, help="TFLOP/s of a device that is not here.")] = PEAK,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="The share of --peak that runs reach.")] = SHARE,
    gpu_memory: Annotated[float, typer.Option(min=0.1, help="GB of a GPU that is not here.")] = GPU_MEMORY,
    job_overhead: Annotated[float | None, typer.Option(min=0, help="Seconds a job takes besides its work.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a configuration takes before anything runs: runs, downloads, disk, memory and time.

    Operations and memory are counted from shapes. Time comes from a few timed steps on this machine, on random inputs
    with random weights that are thrown away; nothing is trained. If the configuration requests CUDA and there is none
    here, or with --no-measure, a GPU is assumed: --peak times --share. Early stopping can only reduce the time. The
    exit code is 1 if a run does not fit in memory or the disk is too small.

    Examples:
      timellama plan
      timellama plan --configfile config/cpu.yaml --workers 2
      timellama plan --configfile config/paper.yaml --without time-llm --without gpt4ts
      timellama plan --configfile config/paper.yaml --peak 989 --share 0.25 --json
    """
    from timellama.cost.estimate import make_estimate, shapes_of
    from timellama.cost.workload import CUDA_CONTEXT
    from timellama.reports.registry import of_configuration
    from timellama.training.scores.metric_objects import EXTRA, definitions, find_metrics

    made = _without(load_matrix(configfile), without or [])
    if not made.every_run():
        remedy = "leave out fewer with --without" if without else "name one that has experiments beside `efficiency`"
        raise InputError(f"{configfile} has no runs to plan: {remedy}")
    # Errors that would stop the workflow while it plans stop here too.
    measured = definitions(find_metrics(made.config.get(EXTRA, ())))
    of_configuration(made.config)
    on_progress = progress_line()

    import torch

    from timellama.training.device import SHARE_OF_GPU, memory_at_hand

    here = torch.cuda.is_available()
    wanted = made.config["device"]
    gpu = wanted.startswith("cuda") or (wanted == "auto" and here)
    if given := made.config.get("memory_gb"):
        of_a_run = given * 1e9
    elif measure and (here or not gpu):
        of_a_run = memory_at_hand("cuda" if gpu else "cpu", threads=made.config["threads"])
    else:
        of_a_run = SHARE_OF_GPU * gpu_memory * 1e9
    costs, backbones, shapes = shapes_of(made, results=RESULTS, memory=of_a_run, on_progress=on_progress)
    speed: Speed
    if measure and (here or not gpu):
        from timellama.cost.timing import calibrate_here, start

        device = "cuda" if gpu else "cpu"
        threads = made.config["threads"]
        speed, free = calibrate_here(costs, backbones, threads=threads, device=device, on_progress=on_progress)
        started, held = start()
        overhead = started if job_overhead is None else job_overhead
        basis = _of_measured(speed, device)
    else:
        from timellama.cost.workload import Assumed

        free = int(gpu_memory * 1e9)
        speed = Assumed(flops_per_second=peak * 1e12 * share, seconds_per_call=CALL * 1e-6)
        overhead = GPU_START if job_overhead is None else job_overhead
        basis = {
            "basis": "assumed",
            "peak_tflops": peak,
            "share": share,
            "microseconds_a_call": CALL,
            "gpu_memory_gb": gpu_memory,
        }
        gpu, held = True, 0
    on_progress("")
    estimate = make_estimate(
        made,
        results=RESULTS,
        costs=costs,
        shapes=shapes,
        speed=speed,
        overhead=overhead,
        base_bytes=CUDA_CONTEXT if gpu else held,
        on_host=not gpu,
        definitions=measured,
    )
    at_once = workers or (1 if gpu else max(1, len(os.sched_getaffinity(0)) // made.config["threads"]))
    answer = _answer(
        made, estimate, basis | {"job_overhead": overhead}, at_once=at_once, memory=free, of_a_run=of_a_run, gpu=gpu
    )
    _share(answer, estimate, side_by_side, rate=getattr(speed, "flops_per_second", None))
    if as_json:
        print_json(answer)
    else:
        print_plan(answer)
    short = estimate.disk_bytes > estimate.disk_free or answer["do_not_fit"]
    raise typer.Exit(CHECK_FAILED if short else 0)


def _without(plan: Any, methods: list[str]) -> Any:
    for method in methods:
        if method not in plan.methods:
            raise InputError(f"--without is {method!r}; the methods are {', '.join(plan.methods)}")
    kept = {
        name: [run for run in runs if not {run.variant, run.method} & set(methods)] for name, runs in plan.runs.items()
    }
    cells = tuple(cell for cell in plan.impossible if cell.variant not in methods)
    return dataclasses.replace(plan, runs={name: runs for name, runs in kept.items() if runs}, impossible=cells)


def _of_measured(speed: Any, device: str) -> dict[str, Any]:
    points = [
        {
            "kind": " ".join(str(part) for part in kind if part not in (None, False)),
            "pass": name,
            "shape": point.shape,
            "windows": point.windows,
            "seconds": point.seconds,
            "gflop": point.counted.flops / 1e9,
        }
        for name, lines in (("step", speed.steps), ("forecast", speed.forecasts))
        for kind, line in lines.items()
        for point in line.points
    ]
    return {"basis": "measured", "device": device, "busy": speed.busy, "points": points}


def _answer(
    made: Any, estimate: "Estimate", basis: dict, *, at_once: int, memory: int, of_a_run: float, gpu: bool
) -> dict[str, Any]:
    from timellama.cost.estimate import BY_TOMORROW, summary_of
    from timellama.cost.workload import makespan, workers_needed
    from timellama.experiments.impossible_cells import grouped
    from timellama.experiments.memory import WHOLE
    from timellama.training.scores.metric_objects import EXTRA

    seconds = [job.seconds.total for job in estimate.jobs]
    heavy = [job for job in estimate.jobs if job.least_bytes > memory]
    groups: dict[str, list[Job]] = {}
    for job in estimate.jobs:
        groups.setdefault(job.run.method, []).append(job)
    experiments = {
        name: {"runs": len(runs), "left": len({r.folder for r in runs} & {j.run.folder for j in estimate.jobs})}
        for name, runs in made.runs.items()
    }
    return {
        "configuration": made.config["name"],
        "metrics": list(made.config.get(EXTRA, ())),
        "runs": {
            "all": len(made.every_run()),
            "done": estimate.done,
            "left": len(estimate.jobs),
            "measured_again": estimate.measured_again,
        },
        "experiments": experiments,
        "efficiency_sweeps": len(made.sweeps),
        "impossible": [dataclasses.asdict(group) for group in grouped(made.impossible)],
        "time": basis,
        "device": "gpu" if gpu else "cpu",
        "workers": at_once,
        "hours": {
            "one_after_another": sum(seconds) / 3600,
            "with_workers": {str(n): makespan(seconds, n) / 3600 for n in sorted({at_once, *SPREAD}) if seconds},
            "longest_run": max(seconds, default=0.0) / 3600,
            "of_runs_that_do_not_fit": sum(job.seconds.total for job in heavy) / 3600,
        }
        | {
            part: sum(getattr(job.seconds, part) for job in estimate.jobs) / 3600
            for part in ("start", "training", "validation", "test")
        },
        "workers_for_tomorrow": workers_needed(seconds, BY_TOMORROW),
        "longer_than_a_day": sum(each > BY_TOMORROW for each in seconds),
        "exaflop": sum(job.flops for job in estimate.jobs) / 1e18,
        "methods": {
            name: {
                "runs": len(jobs),
                "hours": sum(job.seconds.total for job in jobs) / 3600,
                "exaflop": sum(job.flops for job in jobs) / 1e18,
                "longest_hours": max(job.seconds.total for job in jobs) / 3600,
                "largest_bytes": max(job.bytes for job in jobs),
                "largest_bytes_whole": max(job.whole_bytes for job in jobs),
                "in_parts": sum(job.costs.fit != WHOLE for job in jobs),
                "computed_again": sum(job.costs.fit.recompute for job in jobs),
            }
            for name, jobs in groups.items()
        },
        "memory": {
            "limit": memory,
            "of_a_run": of_a_run,
            "largest": max((job.bytes for job in estimate.jobs), default=0),
        },
        "do_not_fit": [_heavy(job, memory) for job in heavy],
        "over_allowance": [
            {"folder": job.run.folder, "bytes": job.least_bytes, "weight_bytes": job.weight_bytes}
            for job in estimate.jobs
            if job.least_bytes > of_a_run
        ],
        "may_not_fit": [_heavy(job, memory) for job in estimate.jobs if job.least_bytes <= memory < job.bytes],
        "longest": [
            {"folder": job.run.folder, "hours": job.seconds.total / 3600, "steps": job.work.steps, "bytes": job.bytes}
            for job in sorted(estimate.jobs, key=lambda job: -job.seconds.total)[:SHOWN]
        ],
        "downloads": [
            {"name": d.name, "source": d.source, "bytes": d.bytes, "estimated": d.estimated} for d in estimate.downloads
        ],
        "disk": {"needed": estimate.disk_bytes, "free": estimate.disk_free},
        "checked_against": {
            "runs": len(estimate.checks),
            **summary_of(estimate.checks),
            "each": [dataclasses.asdict(check) for check in estimate.checks],
        },
    }


def _share(answer: dict[str, Any], estimate: "Estimate", runs: int, *, rate: float | None) -> None:
    """The hours if `runs` runs share a GPU: their starts and the host's launches run side by side, products do not.

    Without the `rate` of products, only the starts are assumed to run side by side.
    """
    from timellama.cost.estimate import BY_TOMORROW
    from timellama.cost.workload import makespan, workers_needed

    answer["side_by_side"], hours = runs, answer["hours"]["with_workers"]
    if runs == 1:
        return
    seconds = [job.seconds.total for job in estimate.jobs]
    busy = sum(job.flops / rate if rate else job.seconds.total - job.seconds.start for job in estimate.jobs)
    for number in hours:
        hours[number] = max(makespan(seconds, int(number) * runs), busy / int(number)) / 3600
    if (needed := workers_needed(seconds, BY_TOMORROW)) is not None:
        answer["workers_for_tomorrow"] = max(math.ceil(needed / runs), math.ceil(busy / BY_TOMORROW))


def _heavy(job: "Job", memory: int) -> dict[str, Any]:
    """A run that needs more memory than there is, and which of its training settings to lower."""
    sizes = {"batch_size": job.step_bytes, "evaluation_batch_size": job.forecast_bytes}
    over = [name for name, needed in sizes.items() if needed > memory] or [max(sizes, key=lambda name: sizes[name])]
    single = "batch_size" in over and job.run.training and job.run.training.batch_size == 1
    remedy = NO_SMALLER if single else f"lower its training's {' and '.join(over)} under `overrides`"
    return {"folder": job.run.folder, "method": job.run.method, "bytes": job.least_bytes, "remedy": remedy}
