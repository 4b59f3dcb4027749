"""Loads what a configuration or an installed package adds: `module:NAME`, or an entry point of a group.

Methods, metrics, prompts, readers, families of language models and reports are all added so (docs/adding.md).
"""

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError


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


@contextmanager
def _working_folder_importable() -> Iterator[None]:
    """A module beside the configuration can be named; the script of a Snakemake job does not see it by itself."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
