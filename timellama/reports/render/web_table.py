"""A table as one HTML file that a reader can sort: it needs no network, no library and, to be read, no script.

An entry (ours, the paper's number, the gap) is a `tbody`, which moves as a whole and is sorted by its first row. A
click on a heading sorts ascending, a second descending, a third restores the order of the table. A cell is sorted by
its `value`, the unrounded number that the CSV file has too, or without one by its text; empty cells and dashes come
last either way. Headings are buttons, the sorted one carries `aria-sort`, and each change is announced.
"""

import math
import re
from collections.abc import Sequence
from html import escape

from timellama.reports.render.cells import Block, Cell, Entry, Row, Table

# Our choice: dark text on white at a readable size (no contrast below 4.5), and digits of one width.
STYLE = """
  :root { color-scheme: light; }
  body { margin: 1.5rem; background: #fff; color: #1f2933; font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; }
  p { max-width: 60rem; margin: 0 0 .75rem; }
  p.notes, p.hint { color: #46525e; font-size: 13px; }
  h2 { margin: 1.5rem 0 .5rem; font-size: 15px; }
  .scroll { max-width: 100%; width: max-content; margin-bottom: 1.25rem; overflow-x: auto; }
  table { border-collapse: collapse; border-bottom: 2px solid #1f2933; font-variant-numeric: tabular-nums; }
  thead { border-top: 2px solid #1f2933; border-bottom: 1px solid #1f2933; background: #f3f5f7; }
  th, td { padding: .2rem .5rem; text-align: left; vertical-align: top; font-weight: normal; white-space: nowrap; }
  th.over { border-bottom: 1px solid #9aa5b1; text-align: center; font-weight: 600; }
  th.part { padding-bottom: 0; font-weight: 600; vertical-align: bottom; }
  .r { text-align: right; } .c { text-align: center; } .long { white-space: normal; min-width: 18rem; }
  tbody { border-top: 1px solid #e4e7eb; }
  tbody.first { border-top: 1px solid #52606d; }
  tbody:hover { background: #eef4fb; }
  tr + tr td { color: #46525e; }
  .again { color: #66727f; }
  small { padding-left: .15em; font-size: 75%; color: #46525e; }
  button { all: unset; cursor: pointer; font-weight: 600; }
  button:focus-visible, .scroll:focus-visible { outline: 2px solid #0b63b0; outline-offset: 2px; }
  button::after { content: "\\2195"; padding-left: .3em; color: #7b8794; font-weight: normal; }
  [aria-sort=ascending] button::after { content: "\\25B2"; color: #0b63b0; }
  [aria-sort=descending] button::after { content: "\\25BC"; color: #0b63b0; }
  #said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  @media print { .hint, button::after { display: none; } }
"""
SCRIPT = """
  "use strict";
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

  // The cell of a row that stands in a column, where cells may span several.
  function cellAt(row, column) {
    for (const cell of row.cells) {
      column -= cell.colSpan;
      if (column < 0) return cell;
    }
    return null;
  }

  // What an entry is placed by: numbers come before words, and both before what is missing.
  function key(entry, column) {
    const cell = cellAt(entry.rows[0], column);
    const text = cell ? cell.textContent.trim() : "";
    if (cell && "value" in cell.dataset) return { kind: 0, value: Number(cell.dataset.value) };
    return { kind: text === "" || text === "\\u2013" ? 2 : 1, value: text };
  }

  function compare(a, b, sign) {
    if (a.kind !== b.kind) return a.kind - b.kind;
    return sign * (a.kind === 0 ? a.value - b.value : a.value.localeCompare(b.value, "en", { numeric: true }));
  }

  for (const table of document.querySelectorAll("table")) {
    const original = [...table.tBodies];
    for (const button of table.querySelectorAll("th button")) {
      button.addEventListener("click", () => {
        const heading = button.parentElement, order = NEXT[heading.getAttribute("aria-sort")];
        for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
        heading.setAttribute("aria-sort", order);
        const column = Number(button.dataset.column), sign = order === "descending" ? -1 : 1;
        const keyed = original.map((entry) => ({ entry, key: key(entry, column) }));
        if (order !== "none") keyed.sort((a, b) => compare(a.key, b.key, sign));
        table.append(...keyed.map((each) => each.entry));
        const name = button.getAttribute("aria-label") || button.textContent;
        const said = order === "none" ? "The order of the table." : `Sorted by ${name}, ${order}.`;
        document.getElementById("said").textContent = said;
      });
    }
  }
"""
HINT = "Click a heading to sort by it, again to reverse the order, and once more for the order of the table."
LONG = 60  # our choice: characters above which a cell's text is wrapped


def to_html(table: Table) -> str:
    """The table as an HTML file."""
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        f"<title>{_text(table.caption.split('. ')[0])}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        f'<p id="caption">{_text(table.caption)}</p>\n<p class="hint">{HINT}</p>\n',
        *(_block(block, table.columns) for block in table.blocks),
        *(f'<p class="notes">{_text(note)}</p>\n' for note in table.notes),
        f'<div id="said" role="status"></div>\n<script>{SCRIPT}</script>\n</body>\n</html>\n',
    ]
    return "".join(parts)


def _text(text: str) -> str:
    """`text` so that a browser prints it: white space becomes a space, and other control characters a question mark."""
    return escape(re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", re.sub(r"\s+", " ", text)))


def _block(block: Block, columns: str) -> str:
    used = _used(block, len(columns))
    title = f"<h2>{_text(block.title)}</h2>\n" if block.title else ""
    head = "".join(_over(row, columns, used) for row in block.header[:-1]) + _headings(block.header, columns, used)
    bodies = "".join(_group(group, columns, used) for group in block.groups)
    # So that keyboard users can scroll the table.
    opening = '<div class="scroll" tabindex="0" role="region" aria-labelledby="caption">\n'
    table = f'<table aria-labelledby="caption">\n<thead>\n{head}</thead>\n{bodies}</table>\n'
    return f"{title}{opening}{table}</div>\n"


def _used(block: Block, width: int) -> list[bool]:
    """Which columns have content: a block that has fewer than the table is padded with empty ones."""
    used = [False] * width
    for row in (*block.header, *(row for group in block.groups for entry in group for row in entry)):
        for first, cell in _placed(row):
            used[first : first + cell.span] = [
                old or bool(cell.text or cell.spread) for old in used[first : first + cell.span]
            ]
    return used


def _placed(row: Row) -> list[tuple[int, Cell]]:
    """Each cell of a row with its first column."""
    placed, column = [], 0
    for cell in row:
        placed.append((column, cell))
        column += cell.span
    return placed


def _span(first: int, cell: Cell, used: Sequence[bool]) -> str:
    """The attribute of a cell that spans several of the columns that are shown."""
    count = sum(used[first : first + cell.span])
    return f' colspan="{count}"' if count > 1 else ""


def _shown(row: Row, used: Sequence[bool]) -> list[tuple[int, Cell]]:
    return [(first, cell) for first, cell in _placed(row) if any(used[first : first + cell.span])]


def _over(row: Row, columns: str, used: Sequence[bool]) -> str:
    """A header row above the last: names of several columns."""
    cells = []
    for first, cell in _shown(row, used):
        # A cell over one column is the first line of its heading, not a name of several.
        kind, scope = ("over", "colgroup") if cell.span > 1 else (f"part {columns[first]}", "col")
        span = _span(first, cell, used)
        name = f'<th class="{kind}" scope="{scope}"{span}>{_text(cell.text)}</th>'
        cells.append(name if cell.text else f"<td{span}></td>")
    return f"<tr>{''.join(cells)}</tr>\n"


def _headings(header: Sequence[Row], columns: str, used: Sequence[bool]) -> str:
    """The last header row: one button per column, which says in full what it sorts by."""
    above = [""] * len(columns)
    for row in header[:-1]:
        for first, cell in _placed(row):
            for column in range(first, first + cell.span):
                above[column] = f"{above[column]} {cell.text}".strip()
    cells = []
    for first, cell in _shown(header[-1], used):
        span = _span(first, cell, used)
        if not cell.text:
            cells.append(f"<td{span}></td>")
            continue
        label = f' aria-label="{_text(f"{above[first]} {cell.text}")}"' if above[first] else ""
        column = sum(used[:first])
        button = f'<button type="button" data-column="{column}"{label}>{_text(cell.text)}</button>'
        cells.append(f'<th class="{columns[first]}" scope="col" aria-sort="none"{span}>{button}</th>')
    return f"<tr>{''.join(cells)}</tr>\n"


def _group(group: Sequence[Entry], columns: str, used: Sequence[bool]) -> str:
    """The entries of a group. A name given once for several is repeated, so that it moves with each."""
    lines, name = [], ""
    for number, entry in enumerate(group):
        lines.append('<tbody class="first">\n' if number == 0 else "<tbody>\n")
        for line, row in enumerate(entry):
            again = line == 0 and not row[0].text and bool(name)
            name = row[0].text if line == 0 and row[0].text else name
            cells = [
                _cell(first, Cell(text=name) if again and first == 0 else cell, columns, used, again=again)
                for first, cell in _shown(row, used)
            ]
            lines.append(f"<tr>{''.join(cells)}</tr>\n")
        lines.append("</tbody>\n")
    return "".join(lines)


def _cell(first: int, cell: Cell, columns: str, used: Sequence[bool], *, again: bool) -> str:
    text = _text(cell.text)
    text = f"<u>{text}</u>" if cell.underline else text
    text = f"<strong>{text}</strong>" if cell.bold else text
    text += f"<small>{_text(cell.spread)}</small>" if cell.spread else ""
    value = "" if cell.value is None or math.isnan(cell.value) else f' data-value="{float(cell.value)!r}"'
    kind = "c" if cell.span > 1 else columns[first]
    kind += " long" if len(cell.text) > LONG else ""
    kind += " again" if again and first == 0 else ""
    if first == 0 and cell.text:
        return f'<th class="{kind}" scope="row"{_span(first, cell, used)}{value}>{text}</th>'
    return f'<td class="{kind}"{_span(first, cell, used)}{value}>{text}</td>'
