"""How the raw files of a data set are read: the readers by name, and how one is added from outside the package.

Reference: none; a reader is `read(dataset, raw) -> Rows`. Its record names that function as `module:function`, so that
planning loads no numpy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from timellama.core.errors import InputError
from timellama.core.outside import chosen, installed

if TYPE_CHECKING:
    import numpy as np

GROUP = "timellama.readers"  # of entry points


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What a reader finds: values float64 [rows, N], timestamps datetime64[s or ms] [rows], the N names, and facts.

    facts: what the user should know about the file. A reader that fills cells counts them by column under
    `interpolated_cells`. The reader `file` counts its `repairs`. A reader of text gives `replacement_characters`,
    `byte_order_mark` and `line_ends`.
    """

    values: "np.ndarray"
    time: "np.ndarray"
    columns: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader: what the catalogue calls it, and `module:function` of `read(dataset, raw) -> Rows`.

    files: how many raw files it takes, None for any number. stamped: it needs `time_column`. separate: it reads
    separate series instead of rows; its function is `read(dataset, raw, out, quirks)` and writes the canonical file.
    """

    name: str
    read: str
    files: int | None = 1
    stamped: bool = False
    separate: bool = False


READERS = {
    reader.name: reader
    for reader in (
        Reader(name="table", read="timellama.data.table:read", stamped=True),
        Reader(name="file", read="timellama.data.files.file_reader:read"),
        Reader(name="nycflights13", read="timellama.data.nycflights13:read"),
        Reader(name="m4", read="timellama.data.m4.archive:normalise", files=2, separate=True),
    )
}


def reader_of(name: str) -> Reader:
    """The reader of a name, an entry point, or `module:NAME`: a `Reader`, or a function of any number of files.

    Raises InputError if there is none.
    """
    found = chosen(name, READERS, group=GROUP, of="reader")
    if isinstance(found, Reader):
        return found
    if not callable(found):
        raise InputError(f"reader {name!r} is neither a function nor a timellama.data.reader.Reader; name one")
    return Reader(name=name, read=installed(GROUP).get(name, name), files=None)
