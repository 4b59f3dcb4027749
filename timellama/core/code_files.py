"""The source files that code digests are computed from, and digests kept from one process to the next.

The package's files are read once per process. A digest of the package's code is kept beside its bytecode, even where
Python is told to write none, under the SHA-256 of everything that it depends on: all modules of the package, the code
that computes digests, and the Python that runs it. A changed, added, renamed or deleted module makes every kept digest
void. Keeping them saves planning a workflow the second and a half that computing them takes.
"""

import functools
import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from timellama.core.files import sha256_of, staged

PACKAGE = "timellama"
ROOT = Path(__file__).resolve().parents[1]
ENDINGS = (".py", *EXTENSION_SUFFIXES)
# What computes digests in this process; the files may be edited while it runs.
ALGORITHM = [sha256_of(Path(__file__).with_name(name)) for name in ("code_files.py", "code_digest.py")]
PYTHON = [sys.version, *EXTENSION_SUFFIXES]


@dataclass(frozen=True, kw_only=True, eq=False)
class Package:
    """One reading of the package: its modules with their bytes, its folders with None, and the SHA-256 of both."""

    files: Mapping[Path, bytes | None]
    state: str


@functools.cache
def package() -> Package:
    """The package as this process first read it: a digest and the state under which it is kept are both of it."""
    files: dict[Path, bytes | None] = {}
    for folder, folders, names in os.walk(ROOT, followlinks=True, onerror=_raise):
        above = Path(folder).resolve()
        folders[:] = sorted(
            name
            for name in folders
            if name.isidentifier() and name != "__pycache__" and not above.is_relative_to((above / name).resolve())
        )
        files[Path(folder)] = None
        for name in sorted(names):
            if name.endswith(ENDINGS):
                with suppress(FileNotFoundError):  # deleted since it was listed, or a link that leads nowhere
                    files[Path(folder, name)] = Path(folder, name).read_bytes()
    state = hashlib.sha256(json.dumps([ALGORITHM, PYTHON]).encode())
    for path, content in files.items():
        inside = None if content is None else hashlib.sha256(content).hexdigest()
        state.update(json.dumps([path.relative_to(ROOT).as_posix(), inside]).encode())
    return Package(files=files, state=state.hexdigest())


def module_file(module: str) -> Path | None:
    """The source or compiled file of a module, ours or installed; for a package without `__init__.py`, its folder."""
    return _module_file(module, package())


@functools.cache
def _module_file(module: str, found: Package) -> Path | None:
    head, *rest = module.split(".")
    if head == PACKAGE:
        roots, exists = [ROOT], found.files.__contains__
    else:
        spec = importlib.util.find_spec(head) if head.isidentifier() else None
        if spec is None:
            return None
        if not rest and not spec.submodule_search_locations:
            return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
        roots, exists = list(map(Path, spec.submodule_search_locations or ())), Path.exists
    paths = [root.joinpath(*rest) for root in roots]
    names = [f"{path}{ending}" for ending in (".py", "/__init__.py", *EXTENSION_SUFFIXES) for path in paths]
    return next((file for file in map(Path, [*names, *paths]) if exists(file)), None)


def text_of(file: Path) -> str:
    """The text of a file that `module_file` found; for a compiled module a constant, for a folder nothing."""
    files = package().files
    content = files[file] if file in files else file.read_bytes() if file.is_file() else None
    if content is None:
        return ""
    if file.suffix == ".py":
        return content.decode("utf-8")
    # No names can be read from a compiled module, so all of it counts.
    return f"COMPILED = {hashlib.sha256(content).hexdigest()!r}"


def kept_digest(entries: tuple[str, ...], without: tuple[str, ...]) -> str | None:
    """The digest that `keep_digest` was given for the same request and the same package, if there is one."""
    return _kept().get(json.dumps([entries, without])) if _is_ours(entries, without) else None


def keep_digest(entries: tuple[str, ...], without: tuple[str, ...], digest: str) -> None:
    """Keep a digest for later processes if all its code is the package's, where its folder can be written to."""
    if not _is_ours(entries, without):
        return
    kept = {"package": package().state, "digests": _kept() | {json.dumps([entries, without]): digest}}
    # Not `write_json`, which waits for the disk: a digest that is lost is computed again.
    with suppress(OSError, NotImplementedError), staged(_keeping()) as [name]:
        name.write_text(json.dumps(kept, indent=1, sort_keys=True), encoding="utf-8")


def _is_ours(entries: tuple[str, ...], without: tuple[str, ...]) -> bool:
    return all(re.split(r"[.:]", name)[0] == PACKAGE for name in (*entries, *without))


def _kept() -> dict[str, str]:
    """The kept digests of the package as it is, by request; none if the file is absent, damaged or of another state."""
    try:
        kept = json.loads(_keeping().read_bytes())
        digests = dict(kept["digests"]) if kept["package"] == package().state else {}
        return digests if all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values()) else {}
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError):
        return {}


def _keeping() -> Path:
    """Where Python would keep the bytecode of a module of this name. Raises NotImplementedError if it keeps none."""
    return Path(importlib.util.cache_from_source(ROOT / "code_digests.py")).with_suffix(".json")


def _raise(error: OSError) -> None:
    raise error
