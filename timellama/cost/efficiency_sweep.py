"""Measures a sweep: one fresh process per cell, from small to large, without the cells that would not fit.

Before a cell is started, its memory and time are predicted from smaller cells (`predict`), once there are enough. A
cell above the limit is not started; its row says so and has the predictions. A started process is watched: it is killed
when it holds more than the limit or its time is up, and what it had reported by then is kept. So the machine is never
taken down, and a cell that does not fit is a row, not a failure.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from timellama.core import provenance
from timellama.core.files import write_json
from timellama.core.machine.control_groups import memory_limits
from timellama.experiments.sweep import Cell, Sweep
from timellama.methods.registry import method_of

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "timellama.cost.efficiency")
WATCH_EVERY = 0.05  # our choice, seconds: a process fills at most a few hundred megabytes between two looks
LOADING = 300.0  # our choice, seconds: imports and a language model from a slow disk
LONG_CALLS = (
    12  # how many calls of the longest time a cell may make: warm-up, 3 and the count; as many for training, rounded
)
MEASURED, NO_MEMORY, TOO_SLOW, IMPOSSIBLE = "measured", "out of memory", "too slow", "impossible"
Row = dict


class CellFailed(RuntimeError):
    """A cell's process ended with an error; the message has the end of the process's output."""


def available_memory(
    meminfo: Path = Path("/proc/meminfo"),
    groups: Path = Path("/sys/fs/cgroup"),
    own: Path = Path("/proc/self/cgroup"),
) -> int:
    """Bytes that a new process may fill without swapping.

    The minimum of the system's own estimate and what this process's control group and those around it have left (a
    container, a cluster's job).
    """
    lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines())
    free = [int(lines["MemAvailable"].split()[0]) * 1024]
    free += [allowed - used for allowed, used in memory_limits(groups, own)]
    return max(min(free), 0)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def extrapolate(points: Sequence[tuple[int, float]], variates: int, *, power: int) -> float | None:
    """A value at N variates from (N, value) of smaller N; None with too few points.

    The value grows with this `power` of N: 0, the largest of the points; 1, the line through the last two; 2, the
    parabola through the last three if it is above that line. More variates never take less, so a value below that of a
    smaller N is noise and is raised to it.
    """
    if power == 0:
        return max((value for _, value in points), default=None)
    if len(points) < 2:
        return None
    numbers, values = zip(*sorted(points), strict=True)
    values = list(accumulate(values, max))
    (n1, n2), (v1, v2) = numbers[-2:], values[-2:]
    slope = (v2 - v1) / (n2 - n1)
    value = v2 + slope * (variates - n2)
    if power == 2 and len(points) > 2:
        n0, v0 = numbers[-3], values[-3]
        bend = (slope - (v1 - v0) / (n1 - n0)) / (n2 - n0)
        value += max(bend, 0) * (variates - n1) * (variates - n2)
    return value


def _known(row: Row, stage: str) -> dict | None:
    """Seconds and bytes of a stage: measured (by the first call if it was the only one) or predicted."""
    numbers = row.get(stage)
    if not numbers:
        return row[f"{stage}_predicted"]
    return {"seconds": numbers["seconds"] or numbers["first"], "bytes": numbers["peak"]}


def predict(rows: Sequence[Row], *, stage: str, variates: int, batch_size: int, power: int) -> dict | None:
    """Seconds and peak bytes of a cell's `stage` (`forward` or `training`) from smaller cells; None with too few.

    Both are modelled as a + b g(N), b the batch size: a constant part, such as weights and their gradients, and one
    that every sample adds. So v(N, b) = v(n, b) + b / c (v(N, c) - v(n, c)) from a smaller n and batch c. If N has no
    smaller batch or does not matter (`power` 0), `extrapolate` from smaller N at the same batch. A smaller cell that
    was not run counts with its own prediction.
    """
    known = {(row["variates"], row["batch_size"]): of for row in rows if (of := _known(row, stage))}
    smaller = sorted(n for n, b in known if b == batch_size and n < variates)
    pairs = [(n, c) for n in smaller for _, c in known if c < batch_size and {(n, c), (variates, c)} <= set(known)]
    found = {}
    for name in ("seconds", "bytes"):
        if pairs and power > 0:
            n, c = max(pairs)
            added = known[variates, c][name] - known[n, c][name]
            found[name] = known[n, batch_size][name] + batch_size / c * max(added, 0)
        else:
            points = [(n, known[n, batch_size][name]) for n in smaller]
            found[name] = extrapolate(points, variates, power=power)
    return None if None in found.values() else found


def verdict(
    predicted: Mapping | None, rows: Sequence[Row], *, stage: str, cell: tuple[int, int], limit: int, longest: float
) -> str:
    """Whether a stage of `cell` (N, batch size) is to be measured, or why not.

    It is not measured if the prediction is above a limit, or if a cell with no more variates and no larger batch has
    failed.
    """
    for row in rows:
        if row["variates"] <= cell[0] and row["batch_size"] <= cell[1] and row[f"{stage}_status"] != MEASURED:
            return row[f"{stage}_status"]
    if predicted and predicted["bytes"] > limit:
        return NO_MEMORY
    return TOO_SLOW if predicted and predicted["seconds"] > longest else MEASURED


def run_cell(cell: Cell, *, limit: int, deadline: float, command: Sequence[str] = COMMAND) -> tuple[dict, str | None]:
    """Measure a cell in a separate process: what it reported, and why it was stopped (None if it was not).

    `limit`: bytes that the process may hold; `deadline`: seconds that it may take.
    Raises CellFailed if it ends with an error of its own.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": str(cell.threads),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(provenance.ROOT.parent), os.environ.get("PYTHONPATH")])),
    }
    stopped = None
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as given:
        given.write(cell.to_json().encode())
        given.seek(0)
        child = subprocess.Popen(list(command), stdin=given, stdout=told, stderr=said, env=environment)
        ends = time.monotonic() + deadline
        try:
            while child.poll() is None and stopped is None:
                if resident(child.pid) > limit:
                    stopped = NO_MEMORY
                elif time.monotonic() > ends:
                    stopped = TOO_SLOW
                else:
                    time.sleep(WATCH_EVERY)
        finally:
            child.kill()  # no effect on one that has ended
            child.wait()
        for file in (told, said):
            file.seek(0)
        # A line that was cut short by a kill has no newline.
        stages = [json.loads(line) for line in told.read().decode().splitlines(keepends=True) if line.endswith("\n")]
        if stopped is None and child.returncode == -9:
            stopped = NO_MEMORY  # only the kernel kills it otherwise
        if stopped is None and child.returncode != 0:
            end = said.read().decode(errors="replace").strip()[-2000:]
            raise CellFailed(
                f"{cell.run.variant} at N {cell.run.variates}, batch {cell.batch_size} ended with code "
                f"{child.returncode}:\n{end}"
            )
    numbers = {key: value for stage in stages for key, value in stage.items()}
    if numbers.pop("out_of_memory", False):
        stopped = NO_MEMORY
    return numbers, stopped


def conclude(numbers: Mapping, stopped: str | None, stage: str) -> str:
    """How a stage of a started cell ended."""
    if "impossible" in numbers:
        return IMPOSSIBLE
    if numbers.get(stage):
        return MEASURED if numbers[stage]["seconds"] is not None else TOO_SLOW
    return stopped or MEASURED


def measure_cell(
    sweep: Sweep,
    cell: tuple[int, int],
    rows: Sequence[Row],
    *,
    limit: int,
    resident_limit: int,
    backbone_folder: Path | None,
    run: Callable[..., tuple[dict, str | None]] = run_cell,
) -> Row:
    """The row of one (N, batch size), measured or predicted from `rows`.

    `limit` is for the device's memory, which is what is predicted; `resident_limit` is for the process's own memory.
    """
    variates, batch_size = cell
    power = method_of(sweep.run.method).power
    row: Row = {"variates": variates, "batch_size": batch_size, "limit_bytes": limit}
    for stage in ("forward", "training"):
        row[f"{stage}_predicted"] = predicted = predict(
            rows, stage=stage, variates=variates, batch_size=batch_size, power=power
        )
        row[f"{stage}_status"] = verdict(
            predicted, rows, stage=stage, cell=cell, limit=limit, longest=sweep.longest_call
        )
    if row["forward_status"] != MEASURED:
        log.info("N %d, batch %d: not started, %s", variates, batch_size, row["forward_status"])
        return row | {"training_status": row["forward_status"]}
    train = row["training_status"] == MEASURED and method_of(sweep.run.method).trains
    numbers, stopped = run(
        sweep.cell(
            variates, batch_size, train=train, backbone_folder=str(backbone_folder) if backbone_folder else None
        ),
        limit=resident_limit,
        deadline=LOADING + LONG_CALLS * sweep.longest_call,
    )
    row |= numbers
    row["forward_status"] = conclude(numbers, stopped, "forward")
    if train or row["forward_status"] != MEASURED:
        row["training_status"] = conclude(numbers, stopped, "training")
        if row["forward_status"] != MEASURED:
            row["training_status"] = row["forward_status"]
    forward = row.get("forward") or {}
    if forward.get("seconds"):
        row["samples_per_second"] = batch_size / forward["seconds"]
    if "flops" in row:
        row["peak_share"] = row["flops"] / forward["seconds"] / row["matmul_flops_per_second"]
    log.info("N %d, batch %d: %s, training %s", variates, batch_size, row["forward_status"], row["training_status"])
    return row


def measure_sweep(
    sweep: Sweep, *, backbone_folder: Path | None, output: Path, source_digest: str, memory: int | None = None
) -> dict:
    """Measure all cells of a sweep and write them; `memory` replaces the free bytes if a caller knows better."""
    started, commit = datetime.now(UTC), provenance.commit()
    resident_limit = limit = int((memory or available_memory()) * sweep.memory_share)
    hardware, versions, rows = provenance.hardware(), provenance.versions(), []
    for cell in sweep.cells():
        row = measure_cell(
            sweep, cell, rows, limit=limit, resident_limit=resident_limit, backbone_folder=backbone_folder
        )
        if row.get("device_free_bytes"):  # a GPU's free memory is known once a process has used it
            row["limit_bytes"] = limit = int(row["device_free_bytes"] * sweep.memory_share)
        # Each row can be read on its own, also in another table.
        rows.append(
            row
            | {"dtype": sweep.run.precision, "threads": sweep.threads, "processor": hardware["processor"]}
            | {"versions": {library: versions[library] for library in ("python", "torch", "transformers")}}
        )
    document = {
        "sweep": json.loads(sweep.to_json()) | {"run": json.loads(sweep.run.to_json())},
        "rows": rows,
        "provenance": {
            **commit,
            "source_digest": source_digest,
            "versions": versions,
            "hardware": hardware,
            "started": started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    write_json(output, document)
    return document
