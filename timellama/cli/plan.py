"""`timellama plan`: what a configuration takes, before anything runs."""

import dataclasses
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timellama.cli.console import (
    CHECK_FAILED,
    DEFAULT_CONFIG,
    RESULTS,
    ConfigFile,
    Json,
    console,
    load_plan,
    print_json,
    print_table,
    spell_bytes,
)
from timellama.core.errors import InputError
from timellama.reports.render.markup import spell_time

if TYPE_CHECKING:
    from timellama.cost.estimate import Estimate, Job
    from timellama.cost.workload import Speed

# NVIDIA A100 80GB, data sheet nvidia-1758950-r4: 312 TFLOP/s of dense bfloat16 products, 80 GB.
PEAK, GPU_MEMORY = 312.0, 80.0
SHARE = 0.3  # our choice, not measured: the answer scales with it
CALL = 10.0  # our choice, microseconds: what torch takes on the host to send one operation to a GPU
GPU_START = 30.0  # our choice, seconds: a scheduler's several, Python, CUDA and reading 3 GB of weights
NO_SMALLER = "its batch is one window already: a step needs a larger device"
SHOWN = 10  # rows of runs that are shown
SPREAD = (1, 8, 100)


def plan(
    configfile: ConfigFile = DEFAULT_CONFIG,
    without: Annotated[list[str] | None, typer.Option(help="Leave a method out; may be given several times.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once; on a CPU the default is what fits.")] = None,
    measure: Annotated[bool, typer.Option(help="Time a few steps on this machine; else use --peak.")] = True,
    peak: Annotated[float, typer.Option(min=0.001, help="TFLOP/s of a device that is not here.")] = PEAK,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="The share of --peak that runs reach.")] = SHARE,
    gpu_memory: Annotated[float, typer.Option(min=0.1, help="GB of a GPU that is not here.")] = GPU_MEMORY,
    job_overhead: Annotated[float | None, typer.Option(min=0, help="Seconds a job takes beside its work.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a configuration takes before anything runs: runs, downloads, disk, memory and time.

    Operations and memory are counted from shapes. Time comes from a few timed steps on this machine, on random inputs
    with random weights that are thrown away; nothing is trained. Where the configuration asks for CUDA and there is
    none here, or with --no-measure, a GPU is assumed: --peak times --share. Early stopping can only make it less. The
    exit code is 1 where a run does not fit in memory or the disk is too small.

    Examples:
      timellama plan
      timellama plan --configfile config/cpu.yaml --workers 2
      timellama plan --configfile config/paper.yaml --without time-llm --without gpt4ts
      timellama plan --configfile config/paper.yaml --peak 989 --share 0.25 --json
    """
    from timellama.cost.estimate import make_estimate, shapes_of
    from timellama.cost.workload import CUDA_CONTEXT

    made = _without(load_plan(configfile), without or [])
    if not made.every_run():
        raise InputError(f"{configfile} has no runs to plan: name one that has experiments beside `efficiency`")
    on_progress = _progress()

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
        from timellama.cost.efficiency_sweep import available_memory
        from timellama.cost.timing import calibrate, start

        device = "cuda" if gpu else "cpu"
        free = torch.cuda.mem_get_info()[0] if gpu else available_memory()
        speed = calibrate(
            costs,
            backbones,
            threads=made.config["threads"],
            device=device,
            memory=free // 2,
            on_progress=lambda kind: on_progress(f"timing {kind}"),
        )
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
    )
    at_once = workers or (1 if gpu else max(1, len(os.sched_getaffinity(0)) // made.config["threads"]))
    answer = _answer(
        made, estimate, basis | {"job_overhead": overhead}, at_once=at_once, memory=free, of_a_run=of_a_run, gpu=gpu
    )
    if as_json:
        print_json(answer)
    else:
        _print(answer, estimate)
    short = estimate.disk_bytes > estimate.disk_free or answer["do_not_fit"]
    raise typer.Exit(CHECK_FAILED if short else 0)


def _without(plan: Any, methods: list[str]) -> Any:
    for method in methods:
        if method not in plan.methods:
            raise InputError(f"--without is {method!r}; the methods are {', '.join(plan.methods)}")
    kept = {
        name: [run for run in runs if not {run.variant, run.method} & set(methods)] for name, runs in plan.runs.items()
    }
    return dataclasses.replace(plan, runs={name: runs for name, runs in kept.items() if runs})


def _progress():
    """A line that writes over itself, where somebody looks."""
    from tqdm import tqdm

    bar = tqdm(bar_format="{desc}", disable=None, leave=False)

    def on_progress(text: str) -> None:
        bar.set_description_str(text)
        if not text:
            bar.close()

    return on_progress


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
    from timellama.experiments.memory import WHOLE

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
        "runs": {"all": len(made.every_run()), "done": estimate.done, "left": len(estimate.jobs)},
        "experiments": experiments,
        "efficiency_sweeps": len(made.sweeps),
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


def _heavy(job: "Job", memory: int) -> dict[str, Any]:
    """A run that needs more than there is, and what of its training would have to be smaller."""
    sizes = {"batch_size": job.step_bytes, "evaluation_batch_size": job.forecast_bytes}
    over = [name for name, needed in sizes.items() if needed > memory] or [max(sizes, key=lambda name: sizes[name])]
    single = "batch_size" in over and job.run.training and job.run.training.batch_size == 1
    remedy = NO_SMALLER if single else f"lower its training's {' and '.join(over)} under `overrides`"
    return {"folder": job.run.folder, "method": job.run.method, "bytes": job.least_bytes, "remedy": remedy}


def _by_cause(runs: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        found.setdefault((run["method"], run["remedy"]), []).append(run)
    return found


def _print(answer: dict[str, Any], estimate: "Estimate") -> None:
    out, runs = console(), answer["runs"]
    gpu = answer["device"] == "gpu"

    def say(text: str) -> None:
        out.print(text, soft_wrap=True)

    rows = [[name, counts["runs"], counts["left"]] for name, counts in answer["experiments"].items()]
    rows.append(["all, each once", runs["all"], runs["left"]])
    print_table(
        ["experiment", "runs", "left"], rows, right=["runs", "left"], title=f"configuration {answer['configuration']}"
    )
    cut = any(part["in_parts"] for part in answer["methods"].values())
    rows = [
        [
            name,
            part["runs"],
            spell_time(part["hours"] * 3600),
            f"{part['exaflop']:.3g}",
            spell_bytes(part["largest_bytes"]),
            *((spell_bytes(part["largest_bytes_whole"]), part["in_parts"], part["computed_again"]) if cut else ()),
        ]
        for name, part in sorted(answer["methods"].items(), key=lambda item: -item[1]["hours"])
    ]
    right = ["left", "time, one by one", "EFLOP", "memory at most"]
    right += ["if whole", "cut to fit", "computed again"] if cut else []
    print_table(["method", *right], rows, right=right, title="what is left, at most (early stopping makes it less)")
    basis, hours = answer["time"], answer["hours"]
    if basis["basis"] == "measured":
        say(
            f"Time: {len(basis['points'])} passes timed on this machine ({basis['device']}, random inputs and weights, "
            "nothing trained), other shapes scaled by counted operations."
        )
        if basis["device"] == "cpu":
            say(
                "It is processor time, as on an idle machine; just now a pass took "
                f"{basis['busy']:.1f} times as long by the clock."
            )
    else:
        say(
            f"Time: assumed, not measured: a GPU of {basis['peak_tflops']:g} TFLOP/s of which runs reach "
            f"{100 * basis['share']:g} %, and {basis['microseconds_a_call']:g} us an operation that the host sends."
        )
    say(f"Each job takes {basis['job_overhead']:.0f} s beside its work.")
    unit = "GPU(s)" if gpu else "run(s) at once"
    for number, taken in hours["with_workers"].items():
        say(f"  {number:>3} {unit}: {spell_time(taken * 3600)}")
    parts = ", ".join(
        f"{name} {spell_time(hours[name] * 3600)}" for name in ("training", "validation", "test", "start")
    )
    say(f"Of the sum: {parts}")
    say(f"The longest run alone: {spell_time(hours['longest_run'] * 3600)}")
    needed = answer["workers_for_tomorrow"]
    if needed is None:
        say(f"Not by tomorrow on any number: {answer['longer_than_a_day']} run(s) alone take more than 24 h")
    elif runs["left"]:
        say(f"By tomorrow (24 h): {needed} {unit}")
    rows = [
        [each["folder"], spell_time(each["hours"] * 3600), each["steps"], spell_bytes(each["bytes"])]
        for each in answer["longest"]
    ]
    print_table(["the longest runs", "time", "steps", "memory"], rows, right=["time", "steps", "memory"])
    memory = answer["memory"]
    say(
        f"Memory: {spell_bytes(memory['largest'])} for the largest run, {spell_bytes(memory['limit'])} "
        + ("a GPU" if gpu else "free")
    )
    if cut:
        say(
            f"A run may take {spell_bytes(int(memory['of_a_run']))}: the batches of runs that are cut to fit pass in "
            "parts, or their layers are computed again in the backward pass. Whole batches would take what stands "
            "under `if whole`."
        )
    for each in answer["over_allowance"]:
        say(
            f"  {each['folder']} takes {spell_bytes(each['bytes'])} at least all the same: its weights alone, with "
            f"what is kept of the trained ones, take {spell_bytes(each['weight_bytes'])}"
        )
    for name, words in (("do_not_fit", "do not fit"), ("may_not_fit", "may not fit")):
        for (method, remedy), runs in _by_cause(answer[name]).items():
            bytes_ = sorted(run["bytes"] for run in runs)
            say(
                f"  {len(runs)} run(s) of {method} {words} ({spell_bytes(bytes_[0])} to {spell_bytes(bytes_[-1])} at "
                f"least): {remedy}; --json names them"
            )
    if answer["do_not_fit"]:
        say(f"  The times above hold {spell_time(hours['of_runs_that_do_not_fit'] * 3600)} of runs that do not fit")
    for each in answer["downloads"]:
        size = spell_bytes(each["bytes"]) + (", by its shape" if each["estimated"] else "")
        say(f"Download: {each['name']} ({'size not published' if each['bytes'] is None else size})")
    disk = answer["disk"]
    say(f"Disk: {spell_bytes(disk['needed'])} more, {spell_bytes(disk['free'])} free")
    if answer["efficiency_sweeps"]:
        say(
            f"Not in these times: {answer['efficiency_sweeps']} efficiency sweep(s), which stop by themselves at "
            "`longest_call`"
        )
    checked = answer["checked_against"]
    if checked["runs"]:
        say(
            f"Check: for {checked['runs']} finished run(s), predicted to measured processor time "
            f"{checked['time_median']:.2f} ({checked['time_least']:.2f} to {checked['time_most']:.2f}), memory "
            f"{checked['memory_median']:.2f} ({checked['memory_least']:.2f} to {checked['memory_most']:.2f})"
        )
