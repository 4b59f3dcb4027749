"""Loads what a configuration or an installed package adds: `module:NAME`, or an entry point of a group.

Methods, metrics, prompts, readers, families of language models and reports are all added in this way (docs/adding.md).
"""

import importlib
import importlib.metadata
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from timellama.core.errors import InputError, did_you_mean

PACKAGE = __name__.split(".")[0]
T = TypeVar("T")


def loaded(place: str, *, of: str, kind: type | tuple[type, ...] = object) -> Any:
    """What `module:NAME` names. Modules in the current folder are found too.

    `of` begins each message: it says what the text is the value of. Suggested names are preferably of the given `kind`;
    what is found may be of another, which the caller has to check. Raises InputError for text of another form, a module
    that cannot be imported (with the file and line where it fails), and a name that the module does not have.
    """
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise InputError(f"{of}: {place!r} is not of the form module:NAME; write for example my_module:NAME")
    with _working_folder_importable():
        found = _module(module, f"{of}: {place!r} cannot be loaded")
        try:
            return getattr(found, name)
        except AttributeError as error:
            public = {key: value for key, value in vars(found).items() if not key.startswith("_")}
            alike = [key for key, value in public.items() if isinstance(value, kind)]
            hint = did_you_mean(name, alike) or did_you_mean(name, public)
            file = getattr(found, "__file__", None) or module
            raise InputError(
                f"{of}: {place!r} cannot be loaded: {file} has no {name}; correct the name after the colon{hint}"
            ) from error


def is_own(place: str) -> bool:
    """Whether `module:NAME` is in this package."""
    return place.partition(":")[0].split(".")[0] == PACKAGE


def failure(error: BaseException) -> str:
    """The type and message of an error in code from outside the package, and the line that led to it.

    That is the last line that is neither in this package nor in an installed one, where mistakes are rare.
    """
    here, paths = str(Path(__file__).resolve().parents[1]), sysconfig.get_paths()
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith((here, "<"))]
    others = tuple(paths[name] for name in ("stdlib", "purelib", "platlib"))
    frames = [each for each in frames if not each.filename.startswith(others)] or frames
    at = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split()).removesuffix(":") + at


@contextmanager
def named_failure(said: str, *, own: bool) -> Iterator[None]:
    """Reports whatever the block raises as an InputError that begins with `said`, unless the code is the package's
    `own`. An InputError stays as it is."""
    try:
        yield
    except Exception as error:
        if own or isinstance(error, InputError):
            raise
        raise InputError(f"{said} failed: {failure(error)}; correct it") from error


def _module(name: str, said: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        raise InputError(f"{said}: {error.filename}, line {error.lineno}: {error.msg}; correct that line") from error
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise InputError(
                f"{said}: there is no module {error.name!r} in this folder or on Python's path; correct the name, "
                "install its package, or add its folder to PYTHONPATH"
            ) from error
        raise InputError(f"{said}: {failure(error)}; install the package that it imports") from error
    except Exception as error:  # whatever the module does when it is imported
        raise InputError(f"{said}: {failure(error)}; correct that line") from error


def installed(group: str) -> dict[str, str]:
    """The entry points of a group: name to `module:NAME`. Raises InputError for a name that two packages register."""
    found: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group=group):
        if found.setdefault(point.name, point.value) != point.value:
            raise InputError(f"entry point {point.name!r} of {group} comes from two packages; rename or remove one")
    return found


def offered(own: Mapping[str, T], *, group: str, kind: type[T]) -> dict[str, T]:
    """The package's `own` records by name, and those of installed packages, each by its `name`.

    Raises InputError for an entry point whose object is not of `kind`, and for a name that is taken.
    """
    found = dict(own)
    for point, place in installed(group).items():
        of = f"entry point {point!r} of {group}"
        record = loaded(place, of=of)
        if not isinstance(record, kind):
            raise InputError(f"{of}: {place} is not a {kind.__module__}.{kind.__name__}; name one")
        if record.name in found:
            raise InputError(f"{of}: there already is a {kind.__name__.lower()} {record.name!r}; rename yours")
        found[record.name] = record
    return found


def chosen(name: str, own: Mapping[str, Any], *, group: str, of: str, kind: type | tuple[type, ...] = object) -> Any:
    """What a name means: one of the package's `own`, an entry point of `group`, or `module:NAME`.

    `of` says what the name is the value of, and `kind` what it should be. Raises InputError, listing the known names,
    for an unknown name, and as `loaded` does.
    """
    if name in own:
        return own[name]
    added = installed(group)
    if name in added or ":" in name:
        return loaded(added.get(name, name), of=of, kind=kind)
    known = [*own, *added]
    hint = did_you_mean(name, known)
    raise InputError(f"{of} is {name!r}; it must be one of {', '.join(known)}, or module:NAME of your own{hint}")


@contextmanager
def _working_folder_importable() -> Iterator[None]:
    """Lets a module beside the configuration be named; the script of a Snakemake job does not see it by itself."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
