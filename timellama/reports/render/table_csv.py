"""A table as CSV: the numbers behind it where it has them, else what it shows, one line per row."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from timellama.reports.render.cells import Block, Row, Table


def to_csv(table: Table) -> str:
    """`Table.numbers` under their columns; for a table without them, each printed row under its headings."""
    width = len(table.columns)
    headings = [name for block in table.blocks[:1] for name in _headings(block.header, width)]
    return written(table.numbers or [line for block in table.blocks for line in _lines(block, width)], columns=headings)


def written(rows: Iterable[Mapping[str, Any]], *, columns: Iterable[str] = ()) -> str:
    """Rows under a header of all their columns, which are `columns` where there is no row.

    None is an empty cell, a float its shortest exact text.
    """
    rows = list(rows)
    text = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row) or columns)
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _lines(block: Block, width: int) -> list[dict[str, str]]:
    """The printed rows by heading; a row with an empty first cell takes that of the row above in its group.

    A row that is one cell over all columns is the heading of those below it, like a block's title.
    """
    headings, above = _headings(block.header, width), block.title
    lines = []
    for group in block.groups:
        first = ""
        for row in (row for entry in group for row in entry):
            texts = _texts(row)
            if len(row) == 1 and len(texts) == width > 1:
                above = texts[0]
                continue
            first = texts[0] or first
            line = {"part": above} if above else {}
            lines.append(line | dict(zip(headings, [first, *texts[1:]], strict=False)))
    return lines


def _headings(header: Sequence[Row], width: int) -> list[str]:
    """One name per column: its headings from top to bottom, with a number after a repeated one."""
    parts = [_spread_out(row) for row in header]
    names: list[str] = []
    for column in range(width):
        name = " ".join(texts[column] for texts in parts if column < len(texts) and texts[column])
        name = name or f"column {column + 1}"
        names.append(name if name not in names else f"{name} ({column + 1})")
    return names


def _spread_out(row: Row) -> list[str]:
    """The text of a heading, once for each column that it spans."""
    return [cell.text for cell in row for _ in range(cell.span)]


def _texts(row: Row) -> list[str]:
    """One text per column, with its spread; a cell over several columns is in the first of them."""
    return [text for cell in row for text in (f"{cell.text} {cell.spread}".strip(), *[""] * (cell.span - 1))]
