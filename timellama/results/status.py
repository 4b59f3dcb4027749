"""How far the runs of a configuration are, read from what they leave while they work: results, locks, logs.

Nothing is touched: a lock is looked up in the system's list and not tried, so that no starting run can stumble over it.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from timellama.core import lock
from timellama.experiments.run import Run
from timellama.experiments.sweep import Sweep
from timellama.results.aggregate import read_metrics
from timellama.results.digests import code_of_run
from timellama.results.runs import METRICS
from timellama.training.metric_objects import errors_of

DONE, RUNNING, FAILED, LEFT = "done", "running", "failed", "left"
STATES = (DONE, RUNNING, FAILED, LEFT)
CHECKPOINT = "checkpoint"  # `timellama.training.checkpoint.NAME`; that module loads torch, which takes seconds
LOCKS = Path("/proc/locks")
STAMP = r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ "  # of `joblog.FORMAT`
# The line that `train` writes at each validation.
PROGRESS = re.compile(
    STAMP
    + r"INFO step (?P<step>\d+) of (?P<total>\d+), epoch \S+: train (?P<train>\S+), validation (?P<validation>\S+), "
    r"rate \S+, \S+ steps/s, at most (?P<left>\d+) s left",
    re.MULTILINE,
)
STOPPED = re.compile(STAMP + r"WARNING stopped by \w+ after step (?P<step>\d+) of (?P<total>\d+)", re.MULTILINE)
ENOUGH = re.compile(STAMP + r"INFO no better validation loss in", re.MULTILINE)
ERROR = re.compile(STAMP + r"ERROR the job failed\n(?P<traceback>.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where one run stands. What is not known is None; `seconds_left` is of the training, and at most that.

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
    seconds_left: float | None = None


def run_status(run: Run, *, results: Path, now: datetime) -> Status:
    """The state of a run. `now` is local time, as in logs. Raises InputError for a damaged `metrics.json`."""
    kept = results / "checkpoints" / run.folder
    log = _read(results / "logs/train" / f"{run.folder}.log")
    if is_locked(kept / lock.NAME):
        return _running(run.folder, log, now)
    metrics = results / run.folder / METRICS
    if metrics.is_file():
        return _done(run, metrics)
    failed = ERROR.search(log)
    if failed:
        return Status(folder=run.folder, state=FAILED, note=_last_line(failed["traceback"]))
    last = [match for pattern in (PROGRESS, STOPPED) for match in pattern.finditer(log)]
    if last and (kept / CHECKPOINT).is_file():
        at = max(last, key=lambda match: int(match["step"]))
        note = f"stopped after step {at['step']} of {at['total']}; goes on from its checkpoint"
        return Status(folder=run.folder, state=LEFT, note=note, step=int(at["step"]), total=int(at["total"]))
    return Status(folder=run.folder, state=LEFT)


def sweep_status(sweep: Sweep, *, results: Path) -> Status:
    """The state of an efficiency sweep; one that is being measured holds no lock and counts as left."""
    if (results / f"{sweep.folder}.json").is_file():
        return Status(folder=sweep.folder, state=DONE)
    failed = ERROR.search(_read(results / "logs" / f"{sweep.folder}.log"))
    if failed:
        return Status(folder=sweep.folder, state=FAILED, note=_last_line(failed["traceback"]))
    return Status(folder=sweep.folder, state=LEFT)


def count(statuses: Iterable[Status]) -> dict[str, int]:
    """How many are in each state."""
    states = [status.state for status in statuses]
    return {state: states.count(state) for state in STATES}


def is_locked(path: Path, *, locks: Path = LOCKS) -> bool:
    """Whether a process of this machine holds the lock at `path`; on systems without /proc, whether its process lives.

    A lock that another machine of a cluster holds on a shared disk is not seen.
    """
    try:
        status = path.stat()
        holder = path.read_text(encoding="utf-8")
        if locks.is_file():
            place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
            return any(place in line.split() for line in locks.read_text(encoding="ascii").splitlines())
    except OSError:
        return False  # it ended while we looked
    found = re.match(r"process (\d+)", holder)
    if not found:
        return False
    try:
        os.kill(int(found[1]), 0)  # signal 0 does nothing but ask
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _running(folder: str, log: str, now: datetime) -> Status:
    lines = list(PROGRESS.finditer(log))
    if not lines:
        return Status(folder=folder, state=RUNNING, note="no validation yet")
    last = lines[-1]
    step, total = int(last["step"]), int(last["total"])
    elapsed = (now - datetime.fromisoformat(last["time"])).total_seconds()
    tested = step == total or ENOUGH.search(log, last.end()) is not None
    return Status(
        folder=folder,
        state=RUNNING,
        note="testing" if tested else "",
        step=step,
        total=total,
        train_loss=float(last["train"]),
        validation_loss=float(last["validation"]),
        seconds_left=None if tested else max(int(last["left"]) - elapsed, 0.0),
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
    """Whether `path` is the result of a run, by the code that there is. Raises InputError where it is damaged."""
    return path.is_file() and _of_this_code(run, read_metrics(path))


def _of_this_code(run: Run, metrics: Mapping[str, Any]) -> bool:
    return metrics.get("provenance", {}).get("source_digest") == code_of_run(run)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "see its log"
