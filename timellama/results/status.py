"""How far the runs of a configuration are, read from what they write while they work: results, locks, progress files.

Nothing is touched: a lock is looked up in the system's list and not tried, so that it cannot disturb a starting run.
"""

import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from timellama.core import layout
from timellama.core.jobs import lock
from timellama.core.jobs.job_state import STOPPED, TESTING, Progress, read_error, read_progress
from timellama.experiments.run import Run
from timellama.experiments.sweep import Sweep
from timellama.results.aggregate import read_metrics
from timellama.results.digests import code_of_run
from timellama.training.scores.metric_objects import EXTRA, errors_of

DONE, RUNNING, FAILED, LEFT = "done", "running", "failed", "left"
STATES = (DONE, RUNNING, FAILED, LEFT)
LOCKS = Path("/proc/locks")


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of one run. What is not known is None; `seconds_left` is an upper bound for the training.

    `outdated` says that a finished run is of other code, and the workflow will make it again.
    """

    folder: str
    state: str
    note: str = ""
    outdated: bool = False
    step: int | None = None
    total: int | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    steps_per_second: float | None = None
    seconds_left: float | None = None


def run_status(run: Run, *, results: Path, now: datetime) -> Status:
    """The state of a run. `now` is a time with a zone. Raises InputError for a damaged `metrics.json`."""
    result = layout.metrics_of(run.folder)
    kept = layout.within(results, layout.checkpoints_of(result))
    progress = read_progress(kept)
    if is_locked(kept / lock.NAME):
        return _running(run.folder, progress, holder=_holder(kept / lock.NAME), now=now)
    metrics = layout.within(results, result)
    if metrics.is_file():
        return _done(run, metrics)
    error = read_error(layout.within(results, layout.log_of(result)))
    if error:
        return Status(folder=run.folder, state=FAILED, note=str(error), step=error.step, total=error.total)
    return _ended(run.folder, progress, kept) if progress else Status(folder=run.folder, state=LEFT)


def _ended(folder: str, progress: Progress, kept: Path) -> Status:
    """The status of a run that is neither done nor failed and that no process of this machine works on."""
    if progress.state != STOPPED and progress.host != socket.gethostname():
        state, note = LEFT, f"last seen at work on {progress.host}, {progress.updated}"
    else:
        state = LEFT if progress.state == STOPPED else FAILED
        note = progress.ending(kept)
    return Status(folder=folder, state=state, note=note, step=progress.step, total=progress.total)


def sweep_status(sweep: Sweep, *, results: Path) -> Status:
    """The state of an efficiency sweep; one that is being measured holds no lock and counts as left."""
    result = layout.sweep_of(sweep.folder)
    if layout.within(results, result).is_file():
        return Status(folder=sweep.folder, state=DONE)
    error = read_error(layout.within(results, layout.log_of(result)))
    if error:
        return Status(folder=sweep.folder, state=FAILED, note=str(error))
    return Status(folder=sweep.folder, state=LEFT)


def count(statuses: Iterable[Status]) -> dict[str, int]:
    """How many are in each state."""
    states = [status.state for status in statuses]
    return {state: states.count(state) for state in STATES}


def is_locked(path: Path, *, locks: Path = LOCKS) -> bool:
    """Whether a process of this machine holds the lock at `path`; on systems without /proc, whether its process lives.

    A lock held by another machine of a cluster on a shared disk is not seen.
    """
    try:
        status = path.stat()
        holder = path.read_text(encoding="utf-8")
        if locks.is_file():
            place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
            return any(place in line.split() for line in locks.read_text(encoding="ascii").splitlines())
    except OSError:
        return False  # it ended while we looked
    process = _process(holder)
    if process is None:
        return False
    try:
        os.kill(process, 0)  # signal 0 only checks
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process(text: str) -> int | None:
    """The process named in a lock's text."""
    found = re.match(r"process (\d+)", text)
    return int(found[1]) if found else None


def _holder(path: Path) -> int | None:
    try:
        return _process(path.read_text(encoding="utf-8"))
    except OSError:
        return None  # it ended while we looked


def _running(folder: str, progress: Progress | None, *, holder: int | None, now: datetime) -> Status:
    """The status of a run that the process `holder` works on; what another process has left says nothing about it."""
    if progress is None or progress.process != holder:
        return Status(folder=folder, state=RUNNING, note="starting")
    left, elapsed = progress.seconds_left, (now - datetime.fromisoformat(progress.updated)).total_seconds()
    return Status(
        folder=folder,
        state=RUNNING,
        note="testing" if progress.state == TESTING else "" if progress.best_step else "no validation yet",
        step=progress.step,
        total=progress.total,
        train_loss=progress.train_loss,
        validation_loss=progress.validation_loss,
        steps_per_second=progress.steps_per_second,
        seconds_left=None if left is None else max(left - elapsed, 0.0),
    )


def _done(run: Run, path: Path) -> Status:
    metrics = read_metrics(path)
    return Status(
        folder=run.folder,
        state=DONE,
        note=", ".join(f"{name} {value:.4f}" for name, value in errors_of(metrics).items() if value is not None),
        outdated=not _of_this_code(run, metrics),
        step=metrics.get("steps"),
        validation_loss=metrics.get("validation_loss"),
    )


def is_current(run: Run, path: Path) -> bool:
    """Whether `path` is the result of a run by the present code. Raises InputError if it is damaged."""
    return path.is_file() and _of_this_code(run, read_metrics(path))


def is_measured(run: Run, path: Path, definitions: Mapping[str, str]) -> bool:
    """Whether a finished run was measured by exactly these metrics of a configuration's own.

    `definitions` are digests by place (`metric_objects.definitions`). The workflow retrains a run that was not; M4 has
    none of them. Raises InputError if the file is damaged.
    """
    if run.task == "short-term":
        return True
    kept = read_metrics(path).get(EXTRA, {}).values()
    return {record["place"]: record["definition"] for record in kept} == dict(definitions)


def _of_this_code(run: Run, metrics: Mapping[str, Any]) -> bool:
    return metrics.get("provenance", {}).get("source_digest") == code_of_run(run)
