"""Writes the canonical files so that the same content has the same bytes and a file is either whole or absent.

With `numpy.savez` the archive's headers depend on the library's version; here each entry has a fixed date and no
compression, so a digest of the file identifies its content. Nothing is ever pickled.
"""

import csv
import hashlib
import io
import json
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from timellama.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

FIXED_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can hold


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def staged(*paths: Path) -> Iterator[list[Path]]:
    """A name beside each path, for a file that replaces it when the block ends and is deleted when the block fails.

    Missing folders are created. If there are several files, none is moved into place before all are written.
    """
    names = [path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}") for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield names
        for name, path in zip(names, paths, strict=True):
            name.replace(path)
    finally:
        for name in names:
            name.unlink(missing_ok=True)


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that replaces `path` when the block ends, and is deleted when the block fails."""
    with staged(path) as [name], name.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def remove_unfinished(path: Path) -> None:
    """Delete what processes killed within `staged` left beside `path`; no process may be writing it now."""
    for unfinished in path.parent.glob(f".{path.name}.*"):
        unfinished.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, "np.ndarray"]) -> None:
    """Writes `arrays` as an uncompressed `.npz`, the same bytes for the same content, atomically."""
    import numpy as np  # here, since planning imports this module

    with atomic(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", FIXED_DATE), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)


def read_arrays(path: Path, names: tuple[str, ...], *, perhaps: tuple[str, ...] = ()) -> dict[str, "np.ndarray"]:
    """The arrays `names`, and those of `perhaps` that are present, of an `.npz` that `write_arrays` wrote.

    Raises InputError when the file is absent, damaged, or holds other arrays.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            if set(archive.files) - set(perhaps) != set(names):
                raise InputError(f"{path}: holds the arrays {archive.files}, expected {list(names)}; rebuild it")
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable array file ({error}); delete it so that it is rebuilt") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes `value` as indented JSON with sorted keys, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic(path) as file:
        file.write((text + "\n").encode())


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows under a header, atomically; the header is written even if there are no rows."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic(path) as file:
        file.write(text.getvalue().encode())
