"""Downloads one address to one file, resuming what a broken connection left and trying again after a pause.

Standard library only. A partial file is resumed with a Range request guarded by If-Range, so a server whose file has
changed since sends the whole new one; a server that ignores ranges does so too, and the download then starts over.
"""

import errno
import http.client
import logging
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from timellama import __version__

log = logging.getLogger(__name__)

# Our choices: five tries with pauses of 1, 2, 4 and 8 s outlast a server's restart without stalling a run that cannot
# work.
ATTEMPTS = 5
FIRST_PAUSE = 1.0  # seconds, doubled after each failure
TIMEOUT = 30.0  # seconds without a byte before a connection counts as dead
CHUNK = 1 << 20  # bytes; large enough that the loop costs nothing
LOGGED_SHARES = 10  # a log gets one line per tenth of a file
LOGGED_BYTES = 50 << 20  # and one per 50 MiB if the size is not known
PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses that a later try may not get
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class NotThere(Exception):
    """A place does not have the file, or not the right one; the next place may."""


class NoRoom(Exception):
    """The disk is full; no other place can help."""


class _TryAgain(Exception):
    """A failure that may pass."""


class _Meter(Protocol):
    def update(self, n: int) -> object: ...
    def close(self) -> object: ...


def forget(part: Path) -> None:
    """Removes a partial file and what was kept beside it."""
    part.unlink(missing_ok=True)
    _version(part).unlink(missing_ok=True)


def download(
    address: str,
    part: Path,
    *,
    size: int | None,
    progress: bool,
    sleep: Callable[[float], None] = time.sleep,
    timeout: float = TIMEOUT,
) -> bool:
    """Downloads `address` to the file `part`, which may hold a beginning; returns whether that beginning was used.

    `size` is the expected number of bytes, if known. Where a partial file came from, and the server's name of its
    version, are kept beside it in `<part>.version`. Raises NotThere after the last try or on a refusal, NoRoom when the
    disk is full.
    """
    failures, furthest, resumed = 0, _length(part), False
    while True:
        try:
            resumed |= _attempt(address, part, size, progress, timeout)
            return resumed
        except _TryAgain as failure:
            if _length(part) > furthest:  # it got further than ever: not the same failure again
                failures, furthest = 0, _length(part)
            failures += 1
            if failures >= ATTEMPTS:
                raise NotThere(f"{failure} ({ATTEMPTS} tries)") from failure
            pause = FIRST_PAUSE * 2 ** (failures - 1)
            log.warning("%s: %s; trying again in %g s", address, failure, pause)
            sleep(pause)


def copy_stream(reading: IO[bytes], writing: IO[bytes], path: Path, meter: _Meter | None = None) -> None:
    """Copies to the end of `reading`; raises NoRoom when the disk of `path` is full."""
    while chunk := reading.read(CHUNK):
        try:
            writing.write(chunk)
            writing.flush()
        except OSError as error:
            if error.errno in NO_ROOM:
                raise NoRoom(f"the disk was full after {_length(path)} bytes") from error
            raise
        if meter:
            meter.update(len(chunk))


def _attempt(address: str, part: Path, size: int | None, progress: bool, timeout: float) -> bool:
    """One request; returns whether it continued a beginning."""
    begin = _length(part)
    if begin and begin == size:
        return True  # stopped between the last byte and the check of the whole file
    version = _version(part)
    origin, _, marker = version.read_text().partition("\n") if version.is_file() else ("", "", "")
    if origin != address:
        begin = 0  # nothing says that this beginning is from this address
    headers = {"User-Agent": f"timellama/{__version__}"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
        if marker:
            headers["If-Range"] = marker
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return _receive(address, response, part, begin, size, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
        elif error.code not in PASSING:
            raise NotThere(f"HTTP {error.code} {error.reason}{_hint(error.code)}") from error
        raise _TryAgain(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _TryAgain(f"no connection: {error.reason}") from error
    except TimeoutError as error:
        raise _TryAgain(f"no answer for {timeout:g} s") from error
    except (ConnectionError, http.client.HTTPException) as error:
        raise _TryAgain(f"the connection broke: {error!r}") from error
    except ValueError as error:
        raise NotThere(f"not an address: {error}") from error


def _receive(
    address: str,
    response: http.client.HTTPResponse,
    part: Path,
    begin: int,
    size: int | None,
    progress: bool,
) -> bool:
    partial = response.status == http.client.PARTIAL_CONTENT
    if partial and not (response.headers.get("Content-Range") or "").startswith(f"bytes {begin}-"):
        part.unlink(missing_ok=True)
        raise _TryAgain("the server sent a range other than the one requested")
    begin = begin if partial else 0
    announced = response.headers.get("Content-Length")
    total = begin + int(announced) if announced is not None else size
    if size is not None and total != size:
        raise NotThere(f"wrong file: the server announces {total} bytes, expected {size}")
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - begin > free:
        raise NoRoom(f"needs {total - begin} more bytes, {free} are free")
    marker = response.headers.get("ETag", "")
    if not marker or marker.startswith("W/"):  # a weak tag does not promise the same bytes
        marker = response.headers.get("Last-Modified", "")
    _version(part).write_text(f"{address}\n{marker}")
    meter = _meter(address.rsplit("/", 1)[-1], total, begin) if progress else None
    try:
        with part.open("ab" if partial else "wb") as file:
            copy_stream(response, file, part, meter)
    finally:
        if meter:
            meter.close()
    if total is not None and _length(part) < total:
        raise _TryAgain(f"the connection ended after {_length(part)} of {total} bytes")
    return partial


def _meter(name: str, total: int | None, begin: int) -> _Meter:
    """A bar on a terminal, lines in a log."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        return tqdm(desc=name, total=total, initial=begin, unit="B", unit_scale=True, unit_divisor=1024)
    return _Lines(name, total, begin)


class _Lines:
    """Progress for a log: one line per tenth, or per 50 MiB if the size is not known."""

    def __init__(self, name: str, total: int | None, begin: int) -> None:
        self.name, self.total, self.done = name, total, begin
        self.step = max(1, total // LOGGED_SHARES) if total else LOGGED_BYTES
        self.next = begin + self.step

    def update(self, n: int) -> None:
        self.done += n
        if self.done >= self.next:
            self.next = self.done + self.step
            share = f" of {self.total} bytes ({100 * self.done // self.total} %)" if self.total else " bytes"
            log.info("%s: %d%s", self.name, self.done, share)

    def close(self) -> None:
        pass


def _version(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _hint(status: int) -> str:
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return " (the file may need a licence to be accepted: download it by hand and use a mirror folder)"
    return ""
