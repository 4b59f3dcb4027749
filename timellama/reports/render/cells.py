"""What a table is made of, whatever it is written as: cells, rows, entries, blocks. `markup.py` renders it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: plain text, and a spread (a standard deviation) printed small behind it. `span` counts columns."""

    text: str = ""
    spread: str = ""
    bold: bool = False
    underline: bool = False
    span: int = 1


Row = tuple[Cell, ...]
Entry = tuple[Row, ...]  # the rows that tell of one thing, such as ours, the paper's and the gap


@dataclass(frozen=True, kw_only=True)
class Block:
    """Header rows, and groups of entries that rules part. A block with a title starts with a line that says it."""

    header: tuple[Row, ...]
    groups: tuple[tuple[Entry, ...], ...]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of blocks that share their columns. `columns` has one letter a column: l, r or c."""

    columns: str
    blocks: tuple[Block, ...]
    caption: str
    label: str
    notes: tuple[str, ...] = ()
