"""What a job leaves for others to read: `progress.json` while a training is under way, an error file when a job fails.

`progress.json` is in the folder of the training's checkpoints, and the error file is beside the job's log, because
Snakemake deletes the outputs of a job that fails. Both are replaced as a whole, so a reader never sees half a file.
Neither is part of a result.
"""

import dataclasses
import json
import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

log = logging.getLogger(__name__)

PROGRESS = "progress.json"
CHECKPOINT = "checkpoint"  # `timellama.training.steps.checkpoint.NAME`; that module loads torch, which takes seconds
ERROR_ENDING = ".error.json"  # instead of a log's `.log`
SECONDS_BETWEEN = 5.0  # our choice: often enough for a reader, too seldom to slow a training down
RUNNING, TESTING, STOPPED = "running", "testing", "stopped"
T = TypeVar("T")
NO_MESSAGE = "it left no error message; often the system ends a process that way when memory is short"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training has got. Times are UTC in ISO 8601; what is not known yet is None.

    `state` is running, testing (no step is left) or stopped (by `signal`). `attempt` counts the processes that
    wrote this file, from 1, and `resumed_at` holds the steps after which a later process continued.
    """

    state: str
    step: int
    total: int
    started: str
    updated: str
    process: int
    host: str
    attempt: int
    resumed_at: list[int]
    train_loss: float | None = None
    validation_loss: float | None = None
    best: float | None = None
    best_step: int | None = None
    steps_per_second: float | None = None
    seconds_left: float | None = None
    signal: str | None = None

    def ending(self, folder: Path) -> str:
        """How the training in `folder` ended, if no process is running any more and there is no error file."""
        after = f"after step {self.step} of {self.total}"
        end = "; it resumes from its checkpoint" if (folder / CHECKPOINT).is_file() else ""
        if self.state == STOPPED:
            return f"stopped by {self.signal} {after}{end}"
        return f"killed {after}{' while it was tested' if self.state == TESTING else ''}: {NO_MESSAGE}{end}"


class ProgressWriter:
    """Writes `progress.json` in `folder` for this process. If that fails, a warning says so and training continues."""

    def __init__(self, folder: Path):
        before = read_progress(folder)
        self.path = folder / PROGRESS
        self._fixed = {
            "started": _now(),
            "process": os.getpid(),
            "host": socket.gethostname(),
            "attempt": before.attempt + 1 if before else 1,
        }
        self._next = 0.0
        self._last: dict[str, Any] = {}
        self._refused = False

    @property
    def due(self) -> bool:
        """Whether the last file is old enough to be replaced for its age only."""
        return time.monotonic() >= self._next

    def write(self, state: str, *, step: int, total: int, seconds: float, **facts: Any) -> None:
        """Replace the file. `seconds` is the time spent training; `facts` are further fields of `Progress`."""
        speed = step / seconds if step and seconds else None
        left = (total - step) / speed if speed and state == RUNNING else None
        self._write(
            {"state": state, "step": step, "total": total, "steps_per_second": speed, "seconds_left": left, **facts}
        )

    def stopped(self, signal: str) -> None:
        """Mark what was written last as the end of this process, which `signal` asked to stop."""
        if self._last:
            self._write(self._last | {"state": STOPPED, "seconds_left": None, "signal": signal})

    def _write(self, facts: dict[str, Any]) -> None:
        self._next, self._last = time.monotonic() + SECONDS_BETWEEN, facts
        try:
            _replace(self.path, dataclasses.asdict(Progress(**facts, **self._fixed, updated=_now())))
        except OSError as error:
            if not self._refused:
                log.warning(
                    "%s cannot be written (%s): `timellama status` will not show this training", PROGRESS, error
                )
            self._refused = True

    def remove(self) -> None:
        """Delete the file, and what a process killed while writing it left: the run is finished."""
        self.path.unlink(missing_ok=True)
        _staged(self.path).unlink(missing_ok=True)


def read_progress(folder: Path) -> Progress | None:
    """The progress of the training whose checkpoints are in `folder`; None if there is none that can be read."""
    return _read(folder / PROGRESS, Progress)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobError:
    """Why a job failed: the error's type and message, the time (UTC), and what it knows about step and parameters."""

    type: str
    message: str
    time: str
    process: int
    host: str
    step: int | None = None
    total: int | None = None
    parameters: list[str] = dataclasses.field(default_factory=list)
    remedy: str | None = None

    @classmethod
    def of(cls, error: BaseException, *, progress: Progress | None = None) -> Self:
        """From an exception, which may carry `step`, `parameters` and `remedy`, and the job's last known progress."""
        step = getattr(error, "step", None)
        return cls(
            type=type(error).__name__,
            message=str(error),
            time=_now(),
            process=os.getpid(),
            host=socket.gethostname(),
            step=progress.step if step is None and progress else step,
            total=progress.total if progress else None,
            parameters=list(getattr(error, "parameters", ())),
            remedy=getattr(error, "remedy", None),
        )

    def __str__(self) -> str:
        return " ".join(f"{self.type}: {self.message}".split()).removesuffix(":")


def error_file(log_file: Path) -> Path:
    """Where the job that logs to `log_file` leaves its error."""
    return log_file.with_name(log_file.name.removesuffix(".log") + ERROR_ENDING)


def write_error(log_file: Path, error: JobError) -> None:
    """Replace the error file of a job."""
    _replace(error_file(log_file), dataclasses.asdict(error))


def read_error(log_file: Path) -> JobError | None:
    """The error of the job that logs to `log_file`; None if its last attempt left none that can be read."""
    return _read(error_file(log_file), JobError)


def remove_error(log_file: Path) -> None:
    """Delete the error of an earlier attempt, if there is one."""
    error_file(log_file).unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _replace(path: Path, content: dict[str, Any]) -> None:
    """Replace the whole file or nothing. It is not synchronised to disk: a power cut that loses it loses no result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = _staged(path)
    try:
        staged.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise


def _staged(path: Path) -> Path:
    """Always the same name: the next process replaces what a killed one left. Only one process writes at a time."""
    return path.with_name(f".{path.name}.new")


def _read(path: Path, kind: Callable[..., T]) -> T | None:
    try:
        return kind(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
