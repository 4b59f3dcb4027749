"""What a table is made of, whatever it is written as: cells, rows, entries, blocks. `markup.py` renders it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: plain text, and a spread (a standard deviation) printed small behind it. `span` counts columns.

    `value` is the number that the text prints, unrounded: what a page sorts by. NaN and None are none.
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
    """Header rows, and groups of entries that rules part. A block with a title starts with a line that says it."""

    header: tuple[Row, ...]
    groups: tuple[tuple[Entry, ...], ...]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of blocks that share their columns. `columns` has one letter a column: l, r or c.

    The caption is what a reader needs at once, in two or three sentences; `notes` below the table have the rest.

    `landscape` is for one that is wider than high; a vertical rule stands before the column `rule`, counted from 0.
    `numbers` are the unrounded numbers behind the cells, a mapping a number (`results/numbers.py`), where it has them.
    """

    columns: str
    blocks: tuple[Block, ...]
    caption: str
    label: str
    notes: tuple[str, ...] = ()
    landscape: bool = False
    rule: int | None = None
    numbers: tuple[Mapping[str, Any], ...] = ()
