"""What a table is made of, whatever its output format: cells, rows, entries, blocks. `markup.py` renders it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: plain text, and a spread (a standard deviation) printed small behind it. `span` counts columns.

    `value` is the unrounded number behind the text, which a page sorts by. NaN and None mean no number.
    """

    text: str = ""
    value: float | None = None
    spread: str = ""
    bold: bool = False
    underline: bool = False
    span: int = 1


Row = tuple[Cell, ...]
Entry = tuple[Row, ...]  # the rows about one thing, such as ours, the paper's and the gap


@dataclass(frozen=True, kw_only=True)
class Block:
    """Header rows, and groups of entries separated by rules. A block with a title starts with a line that shows it."""

    header: tuple[Row, ...]
    groups: tuple[tuple[Entry, ...], ...]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of blocks that share their columns. `columns` has one letter per column: l, r or c.

    The caption is what a reader needs at once, in two or three sentences; `notes` below the table have the rest.

    `landscape` is for a table that is wider than high; a vertical rule precedes the column `rule`, counted from 0.
    `numbers` are the unrounded numbers behind the cells, one mapping per number (`results/numbers.py`), if it has any.
    """

    columns: str
    blocks: tuple[Block, ...]
    caption: str
    label: str
    notes: tuple[str, ...] = ()
    landscape: bool = False
    rule: int | None = None
    numbers: tuple[Mapping[str, Any], ...] = ()


def rows_of(table: Table) -> Iterator[tuple[str, Any]]:
    """Every row of a table with its place, as `blocks[0].groups[1][0][0]`; what is nested otherwise comes as it is."""
    levels = ("groups", "entries of a group", "rows of an entry")
    for number, block in enumerate(_each(table.blocks, "blocks")):
        at = f"blocks[{number}]"
        if not isinstance(block, Block):
            raise TypeError(f"{at} is of type {type(block).__name__}, but must be a Block")
        for place, row in enumerate(_each(block.header, f"{at}.header, the rows of a header")):
            yield f"{at}.header[{place}]", row
        waiting = [(f"{at}.groups", block.groups)]
        for level in levels:
            waiting = [
                (f"{where}[{place}]", inner)
                for where, outer in waiting
                for place, inner in enumerate(_each(outer, f"{where}, the {level}"))
            ]
        yield from waiting


def _each(value: Any, what: str) -> Any:
    if not isinstance(value, tuple | list):
        raise TypeError(f"{what}, is a {type(value).__name__}, but must be a tuple")
    return value


def require_table(table: Table) -> None:
    """Raises TypeError, with the place, where a table is not nested correctly, and ValueError for a wrong width.

    The four levels below a block's `groups`: groups, entries, rows, cells.
    """
    for key in ("columns", "caption", "label"):
        if not isinstance(getattr(table, key), str):
            raise TypeError(f"its {key} is a {type(getattr(table, key)).__name__}, but must be text")
    for place, row in rows_of(table):
        for number, cell in enumerate(_each(row, f"{place}, a row of cells")):
            if not isinstance(cell, Cell):
                raise TypeError(f"{place}[{number}] is a {type(cell).__name__}, but must be a Cell")
            if not isinstance(cell.text, str):
                raise TypeError(f"{place}[{number}].text is {cell.text!r}, but must be text")
        width = sum(cell.span for cell in row)
        if width != len(table.columns):
            raise ValueError(
                f"{place} has {width} columns, but `columns` is {table.columns!r}, which is {len(table.columns)}"
            )
