"""Loads what a configuration or an installed package adds: `module:NAME`, or an entry point of a group.

Methods, metrics, prompts, readers, families of language models and reports are all added so (docs/adding.md).
"""

import difflib
import importlib
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from timellama.core.errors import InputError

T = TypeVar("T")


def loaded(place: str, *, of: str) -> Any:
    """What `module:NAME` names. A module of the folder that Python runs in is found too.

    `of` begins each message: what the text is the value of. Raises InputError for a text of another form, a module that
    cannot be imported, and a name that it does not have.
    """
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise InputError(f"{of}: {place!r} is not of the form module:NAME; write for example my_module:NAME")
    try:
        with _working_folder_importable():
            return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{of}: {place!r} cannot be loaded ({error}); correct the name, install its package, or add its folder to "
            "PYTHONPATH"
        ) from error


def installed(group: str) -> dict[str, str]:
    """The entry points of a group: name to `module:NAME`. Raises InputError for a name that two packages give."""
    found: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group=group):
        if found.setdefault(point.name, point.value) != point.value:
            raise InputError(f"entry point {point.name!r} of {group} is given by two packages; rename or remove one")
    return found


def offered(own: Mapping[str, T], *, group: str, kind: type[T]) -> dict[str, T]:
    """The package's `own` records by name, and those of installed packages, each by its `name`.

    Raises InputError for an entry point whose object is no `kind`, and for a name that is taken.
    """
    found = dict(own)
    for point, place in installed(group).items():
        of = f"entry point {point!r} of {group}"
        record = loaded(place, of=of)
        if not isinstance(record, kind):
            raise InputError(f"{of}: {place} is no {kind.__module__}.{kind.__name__}; name one")
        if record.name in found:
            raise InputError(f"{of}: there is a {kind.__name__.lower()} {record.name!r}; rename yours")
        found[record.name] = record
    return found


def chosen(name: str, own: Mapping[str, Any], *, group: str, of: str) -> Any:
    """What a name means: one of the package's `own`, an entry point of `group`, or `module:NAME`.

    `of` is what the name is the value of. Raises InputError, with what there is, where it means nothing, and as
    `loaded`.
    """
    if name in own:
        return own[name]
    added = installed(group)
    if name in added or ":" in name:
        return loaded(added.get(name, name), of=of)
    known = [*own, *added]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{of} is {name!r}; it must be one of {', '.join([*known, 'module:NAME of your own'])}{hint}")


@contextmanager
def _working_folder_importable() -> Iterator[None]:
    """A module beside the configuration can be named; the script of a Snakemake job does not see it by itself."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
