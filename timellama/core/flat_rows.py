"""JSON objects as lines of one CSV file and back, without loss: what is read is what was written, to the last bit.

A nested value is in the column named by its keys, joined by `/` (`run/training/batch_size`); a list is one cell. A
cell is plain text, if it is one line and cannot be mistaken for anything else, or JSON. Python writes the shortest text
that reads back as the same float. An empty cell means that the object does not have the key.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from timellama.core.errors import InputError

SEPARATOR = "/"


def flatten(document: Mapping[str, Any]) -> dict[str, str]:
    """The cells of an object by column. Raises InputError for a key that a column's name cannot hold."""
    return dict(_flat(document, ""))


def _flat(value: Any, column: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping) or (not value and column):
        yield column, _written(value)
        return
    for key, inner in value.items():
        if not isinstance(key, str) or not key or not key.isprintable() or SEPARATOR in key:
            raise InputError(f"the key {key!r} cannot name a column: give it letters, without {SEPARATOR!r}")
        yield from _flat(inner, f"{column}{SEPARATOR}{key}" if column else key)


def _written(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    plain = isinstance(value, str) and value.isprintable() and value and _read(value) is value
    return value if plain else text


def _read(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def nested(cells: Mapping[str, str]) -> dict[str, Any]:
    """The object whose `flatten` gives these cells. Raises InputError if a value is nested inside another value."""
    document: dict[str, Any] = {}
    for column, cell in cells.items():
        *outer, last = column.split(SEPARATOR)
        place: Any = document
        for key in outer:
            place = place.setdefault(key, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last in place:
            raise InputError(f"the column {column!r} names a value inside another value, or is a duplicate")
        place[last] = _read(cell)
    return document


def to_csv(rows: Iterable[Mapping[str, str]], *, first: Sequence[str]) -> str:
    """Lines under a header; the columns in `first` come first, then the others by name."""
    rows = list(rows)
    used = {column for row in rows for column in row}
    columns = [column for column in first if column in used]
    columns += sorted(used - set(columns))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def from_csv(text: str) -> list[dict[str, str]]:
    """The rows that `to_csv` wrote, without their empty cells. Raises InputError for a line of another length."""
    lines = list(csv.reader(io.StringIO(text, newline="")))
    header = lines[0] if lines else []
    if twice := [column for place, column in enumerate(header) if column in header[:place]]:
        raise InputError(f"two columns have the name {twice[0]!r}; give each its own name")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise InputError(f"row {number} has {len(line)} cells, the header {len(header)}")
    return [{column: cell for column, cell in zip(header, line, strict=True) if cell} for line in lines[1:]]
