"""One process per folder: a second one that would write the same files gets an error that names the first."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from timellama.core.errors import InputError

log = logging.getLogger(__name__)

NAME = "lock"


@contextmanager
def locked(folder: Path, *, purpose: str) -> Iterator[None]:
    """Hold the lock of `folder`, which is created if absent and removed if empty. The lock ends with its process.

    `purpose` names the work in messages. Raises InputError while another process holds the lock, naming that process.
    """
    path = folder / NAME
    file = _open_locked(path, purpose)
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()}, started {datetime.now(UTC).isoformat(timespec='seconds')}")
        file.flush()
        yield
    finally:
        # Removed while it is held, so that no other process's lock is removed.
        path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder stays if there is anything else in it
            folder.rmdir()
        file.close()


def _open_locked(path: Path, purpose: str) -> IO[str]:
    """The open and locked file at `path`, whose last holder may remove it at any moment until it is locked."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "a process that has just begun"
            file.close()
            raise InputError(
                f"{purpose} is already being computed by {holder}; wait until it has ended, or end it with `kill` "
                "(it keeps its progress), and start again"
            ) from None
        except OSError as error:
            log.warning("%s does not support locks (%s): make sure that no run is started twice", path.parent, error)
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()
