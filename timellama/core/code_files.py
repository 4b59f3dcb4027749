"""The source files that code digests are computed from, and digests kept from one process to the next.

The package's files are read once per process. Its digests depend on nothing else, so they are kept beside its bytecode
under the SHA-256 of all those files: a changed, added, renamed or deleted module makes every kept digest void. To keep
them saves each process of a workflow the second and a half that computing them takes.
"""

import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from timellama.core.files import staged

PACKAGE = "timellama"
ROOT = Path(__file__).resolve().parents[1]
ENDINGS = (".py", *EXTENSION_SUFFIXES)


@functools.cache
def module_file(module: str) -> Path | None:
    """The source or compiled file of a module, ours or installed; for a package without `__init__.py`, its folder."""
    head, *rest = module.split(".")
    if head == PACKAGE:
        roots, exists = [ROOT], _package().__contains__
    else:
        found = importlib.util.find_spec(head) if head.isidentifier() else None
        if found is None:
            return None
        if not rest and not found.submodule_search_locations:
            return Path(found.origin) if found.origin and found.origin.endswith(".py") else None
        roots, exists = list(map(Path, found.submodule_search_locations or ())), Path.exists
    paths = [root.joinpath(*rest) for root in roots]
    names = [f"{path}{ending}" for ending in (".py", "/__init__.py", *EXTENSION_SUFFIXES) for path in paths]
    return next((file for file in map(Path, [*names, *paths]) if exists(file)), None)


def text_of(file: Path) -> str:
    """What a file that `module_file` found says; of a compiled module a constant, and nothing of a folder."""
    found = _package()
    content = found[file] if file in found else file.read_bytes() if file.is_file() else None
    if content is None:
        return ""
    if file.suffix == ".py":
        return content.decode("utf-8")
    # No names can be read from a compiled module, so all of it counts.
    return f"COMPILED = {hashlib.sha256(content).hexdigest()!r}"


def kept_digest(entries: Iterable[str], without: Iterable[str]) -> str | None:
    """The digest that `keep_digest` was given for the same request and the same package, if there is one."""
    return _kept().get(_request(entries, without))


def keep_digest(entries: tuple[str, ...], without: tuple[str, ...], digest: str) -> None:
    """Keep a digest for later processes, if all its code is the package's and its folder can be written to."""
    if any(entry.split(":")[0].split(".")[0] != PACKAGE for entry in entries):
        return
    kept = {"package": _state(), "digests": _kept() | {_request(entries, without): digest}}
    with suppress(OSError), staged(_keeping()) as [name]:
        name.write_text(json.dumps(kept, indent=1, sort_keys=True), encoding="utf-8")


@functools.cache
def _package() -> dict[Path, bytes | None]:
    """The package's modules with their bytes, and its folders with None.

    A digest and the state under which it is kept are both of what is read here, whatever is edited meanwhile.
    """
    found: dict[Path, bytes | None] = {}
    for folder, folders, names in os.walk(ROOT):  # links lead to the project's other files, no modules
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        found[Path(folder)] = None
        for name in sorted(names):
            if name.endswith(ENDINGS):
                found[Path(folder, name)] = Path(folder, name).read_bytes()
    return found


@functools.cache
def _state() -> str:
    """Hexadecimal SHA-256 of the names and contents of `_package`."""
    state = hashlib.sha256()
    for path, content in _package().items():
        inside = None if content is None else hashlib.sha256(content).hexdigest()
        state.update(json.dumps([path.relative_to(ROOT).as_posix(), inside]).encode())
    return state.hexdigest()


def _kept() -> dict[str, str]:
    """The kept digests of the package as it is, by request; none where the file is absent or of another state."""
    try:
        kept = json.loads(_keeping().read_bytes())
        return dict(kept["digests"]) if kept["package"] == _state() else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _keeping() -> Path:
    """Where Python would keep the bytecode of a module of this name."""
    return Path(importlib.util.cache_from_source(ROOT / "code_digests.py")).with_suffix(".json")


def _request(entries: Iterable[str], without: Iterable[str]) -> str:
    return json.dumps([[*entries], [*without]])
