r"""A table (`cells.py`) as LaTeX and as Markdown, and the file of each rendering; `web_table.py` has the HTML.

All renderings come from one `Table`, so they say the same. The LaTeX file compiles alone with pdflatex, and can be
included in a paper with `\input` (its preamble needs booktabs and graphicx): it checks whether \documentclass has been
used. Parts of at most `PART_LINES` lines (`LANDSCAPE_LINES` on a page on its side) become one float each, and a part
that is wider or higher than the page is scaled down, so nothing runs off the page of any class, one column or two.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from timellama.core.files import staged
from timellama.reports.render.cells import Block, Cell, Entry, Row, Table

PART_LINES = 58  # our choice: with the caption, as many lines as fit an A4 page at \footnotesize
LANDSCAPE_LINES = 42  # our choice: the same for the page on its side, with some notes
SIGNIFICANT = 3  # our choice: digits of a measurement, whose repetitions differ in the third
MISSING = "\N{EN DASH}"

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "&": r"\&",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "[": "{[}",  # after the end of a row it would begin an argument
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # OT1 fonts have no straight quote
    "`": r"\`{}",
    "\N{ZERO WIDTH NON-JOINER}": "{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{BULLET}": r"\textbullet{}",
    "\N{SECTION SIGN}": r"\S{}",
    "\N{COPYRIGHT SIGN}": r"\copyright{}",
    "\N{LATIN SMALL LETTER SHARP S}": r"\ss{}",
    "\N{LATIN SMALL LETTER O WITH STROKE}": r"\o{}",
    "\N{LATIN CAPITAL LETTER O WITH STROKE}": r"\O{}",
    "\N{LATIN SMALL LETTER L WITH STROKE}": r"\l{}",
    "\N{LATIN CAPITAL LETTER L WITH STROKE}": r"\L{}",
    "\N{LATIN SMALL LETTER AE}": r"\ae{}",
    "\N{LATIN CAPITAL LETTER AE}": r"\AE{}",
    "\N{LATIN SMALL LIGATURE OE}": r"\oe{}",
    "\N{LATIN CAPITAL LIGATURE OE}": r"\OE{}",
    "\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}",
}
_MATHS = {
    "\N{DAGGER}": r"\dagger",
    "\N{MINUS SIGN}": "-",
    "\N{PLUS-MINUS SIGN}": r"\pm",
    "\N{MULTIPLICATION SIGN}": r"\times",
    "\N{DIVISION SIGN}": r"\div",
    "\N{MIDDLE DOT}": r"\cdot",
    "\N{DEGREE SIGN}": r"^\circ",
    "\N{LESS-THAN OR EQUAL TO}": r"\leq",
    "\N{GREATER-THAN OR EQUAL TO}": r"\geq",
    "\N{ALMOST EQUAL TO}": r"\approx",
    "\N{NOT EQUAL TO}": r"\neq",
    "\N{RIGHTWARDS ARROW}": r"\rightarrow",
    "\N{INFINITY}": r"\infty",
    "\N{SUPERSCRIPT TWO}": "^2",
    "\N{SUPERSCRIPT THREE}": "^3",
    "\N{MICRO SIGN}": r"\mu",
    **{
        chr(code): "\\" + unicodedata.name(chr(code)).removeprefix("GREEK SMALL LETTER ").lower()
        for code in [*range(0x3B1, 0x3BB), *range(0x3BC, 0x3BF), 0x3C0, 0x3C1, *range(0x3C3, 0x3CA)]
    },
    "\N{GREEK SMALL LETTER LAMDA}": r"\lambda",  # Unicode spells it without b
}
_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": r"\`",
    "\N{COMBINING ACUTE ACCENT}": r"\'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": r"\^",
    "\N{COMBINING TILDE}": r"\~",
    "\N{COMBINING MACRON}": r"\=",
    "\N{COMBINING BREVE}": r"\u",
    "\N{COMBINING DOT ABOVE}": r"\.",
    "\N{COMBINING DIAERESIS}": r"\"",
    "\N{COMBINING RING ABOVE}": r"\r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": r"\H",
    "\N{COMBINING CARON}": r"\v",
    "\N{COMBINING CEDILLA}": r"\c",
}


def _latex_character(character: str) -> str:
    """ASCII LaTeX for one character; its code point where plain LaTeX has no symbol for it."""
    if character in _LATEX:
        return _LATEX[character]
    if character in _MATHS:
        return rf"\ensuremath{{{_MATHS[character]}}}"
    if " " <= character <= "~":
        return character
    decomposed = unicodedata.normalize("NFD", character)
    if len(decomposed) == 2 and decomposed[0].isascii() and decomposed[0].isalpha() and decomposed[1] in _ACCENTS:
        # An accent goes on a dotless i.
        base = r"\i" if decomposed[0] == "i" and decomposed[1] != "\N{COMBINING CEDILLA}" else decomposed[0]
        return f"{_ACCENTS[decomposed[1]]}{{{base}}}"
    return f"(U+{ord(character):04X})"


def escape_latex(text: str) -> str:
    """`text` as ASCII LaTeX that prints it: white space becomes one space, and hyphens do not join into dashes."""
    plain = re.sub("-(?=-)", "-\N{ZERO WIDTH NON-JOINER}", _one_line(text))
    plain = re.sub(r"^\*", "\N{ZERO WIDTH NON-JOINER}*", plain)  # a star there would belong to the previous row
    return "".join(map(_latex_character, plain))


def _one_line(text: str) -> str:
    """NFC text with every run of white space as one space."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text))


def escape_markdown(text: str) -> str:
    """`text` as GitHub Markdown that prints it, inside a table too. For a paragraph use `markdown_paragraph`."""
    text = _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|*_`\[\]~$#])", r"\\\1", text)


def markdown_paragraph(text: str) -> str:
    """`text` as a paragraph of GitHub Markdown, whose beginning opens no list and underlines nothing."""
    return re.sub(r"^( ?\d*)([-+=.)])", r"\1\\\2", escape_markdown(text))


def significant(value: float | None, digits: int = SIGNIFICANT) -> str:
    """A number with this many significant digits, never in scientific notation; a dash for None."""
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    decimals = digits - 1 - int(f"{value:.{digits - 1}e}".split("e")[1])
    return f"{round(value, decimals):.{max(decimals, 0)}f}"


def fixed(value: float, decimals: int, *, signed: bool = False) -> str:
    """`value` rounded, with a true minus sign and no negative zero; a dash for NaN."""
    if math.isnan(value):
        return MISSING
    text = f"{value:{'+' if signed else ''}.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def spread(value: float, decimals: int) -> str:
    """A standard deviation or half width as printed after a mean; empty for NaN."""
    return "" if math.isnan(value) else f"\N{PLUS-MINUS SIGN}{value:.{decimals}f}"


def listed(items: Iterable[Any]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    texts = [str(item) for item in items]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def spell_time(seconds: float | None) -> str:
    """`3 h 5 min`, in the two largest units, `0.4 s` below ten seconds; a question mark for None."""
    if seconds is None:
        return "?"
    if 0 < seconds < 0.05:
        return "under 0.1 s"
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def _latex_cell(cell: Cell, alignment: str) -> str:
    text = escape_latex(cell.text)
    text = rf"\underline{{{text}}}" if cell.underline else text
    text = rf"\textbf{{{text}}}" if cell.bold else text
    text += rf"\textsubscript{{{escape_latex(cell.spread)}}}" if cell.spread else ""
    return rf"\multicolumn{{{cell.span}}}{{{alignment}}}{{{text}}}" if cell.span > 1 else text


def _latex_header(row: Row) -> list[str]:
    """A header row, and the rules below the cells that span several columns."""
    lines = [" & ".join(_latex_cell(cell, "c") for cell in row) + r" \\"]
    first, rules = 1, []
    for cell in row:
        last = first + cell.span - 1
        rules += [rf"\cmidrule(lr){{{first}-{last}}}"] if cell.span > 1 and cell.text else []
        first = last + 1
    return lines + ([" ".join(rules)] if rules else [])


def _latex_group(group: tuple[Entry, ...]) -> list[str]:
    """The lines of a group; an entry of several lines has some space above it."""
    lines: list[str] = []
    for entry in group:
        lines += [r"\addlinespace[2pt]"] if lines and len(entry) > 1 else []
        lines += [" & ".join(_latex_cell(cell, "l") for cell in row) + r" \\" for row in entry]
    return lines


def _latex_parts(table: Table) -> list[list[str]]:
    """The lines of each part; a part ends between two groups, and starts with the header of its block."""
    parts: list[list[str]] = []
    most = LANDSCAPE_LINES if table.landscape else PART_LINES
    length = most  # so that the first block opens a part
    for block in table.blocks:
        header = [line for row in block.header for line in _latex_header(row)]
        if block.title:
            title = Cell(text=block.title, span=len(table.columns))
            header = [_latex_cell(title, "@{}l@{}") + r" \\", r"\addlinespace", *header]
        bodies = [_latex_group(group) for group in block.groups]
        whole = len(header) + sum(len(body) for body in bodies)
        if length + whole > most >= whole:
            length = most  # a block that fits in one part is not split
        opens = True
        for body in bodies:
            lines = [*header, r"\midrule", *body] if opens else body
            if length + len(lines) > most:
                parts.append([])
                length, lines = 0, [*header, r"\midrule", *body]
            elif parts[-1]:
                lines = [r"\midrule[\heavyrulewidth]" if opens else r"\midrule", *lines]
            parts[-1] += lines
            length += len(lines)
            opens = False
    return parts


_OPENING = r"""% Compiles alone with pdflatex, or is taken into a paper with \input.
% The paper's preamble then needs: \usepackage{booktabs,graphicx}
\makeatletter
\ifx\documentclass\@twoclasseserror
  \let\timellamaend\relax
\else
  \documentclass[10pt]{article}
  \usepackage[a4paper,margin=15mm]{geometry}
  \usepackage{booktabs,graphicx}
  \pagestyle{empty}\setlength{\@fptop}{0pt}
  \begin{document}
  \def\timellamaend{\end{document}}
\fi
\makeatother
\ifdefined\timellamabox\else\newsavebox{\timellamabox}\fi
"""
_FIT = r"""\ifdim\wd\timellamabox>\linewidth
  \sbox{\timellamabox}{\resizebox{\linewidth}{!}{\usebox{\timellamabox}}}\fi
\ifdim\dimexpr\ht\timellamabox+\dp\timellamabox\relax>.8\textheight
  \sbox{\timellamabox}{\resizebox*{!}{.8\textheight}{\usebox{\timellamabox}}}\fi
\usebox{\timellamabox}
"""


def to_latex(table: Table) -> str:
    """The table as a LaTeX file, in ASCII."""
    text = [_OPENING.replace("a4paper,", "a4paper,landscape,") if table.landscape else _OPENING]
    columns = table.columns if table.rule is None else f"{table.columns[: table.rule]}|{table.columns[table.rule :]}"
    parts = _latex_parts(table)
    for number, lines in enumerate(parts):
        text.append("\\begin{table*}[!tp]\n\\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}\n")
        if number == 0:
            label = re.sub("[^a-z0-9:-]", "-", table.label.lower())
            text.append(rf"\caption{{{escape_latex(table.caption)}}}\label{{{label}}}" + "\n")
        else:
            text.append(f"\\tablename~\\thetable, continued (part {number + 1} of {len(parts)})\n")
        text.append("\\par\\medskip\n\\sbox{\\timellamabox}{%\n")
        text.append("\\begin{tabular}{@{}" + columns + "@{}}\n\\toprule\n" + "\n".join(lines))
        text.append("\n\\bottomrule\n\\end{tabular}}\n" + _FIT)
        if table.notes and number == len(parts) - 1:
            notes = r"\par ".join(escape_latex(note) for note in table.notes)
            text.append("\\par\\medskip\n\\begin{minipage}{\\linewidth}" + notes + "\\end{minipage}\n")
        text.append("\\end{table*}\n")
    return "".join([*text, "\\timellamaend\n"])


def _markdown_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    text = f"<u>{text}</u>" if cell.underline else text
    text = f"**{text}**" if cell.bold else text
    return text + (f"<sub>{escape_markdown(cell.spread)}</sub>" if cell.spread else "")


def _markdown_header(block: Block, width: int) -> list[str]:
    """The header rows as one: a cell below one that spans is named after both."""
    names = [""] * width
    for row in block.header:
        column = 0
        for cell in row:
            for position in range(column, column + cell.span):
                names[position] = f"{names[position]} {_markdown_cell(cell)}".strip()
            column += cell.span
    return names


def to_markdown(table: Table) -> str:
    """The table as GitHub Markdown; a row of a block is one line."""
    rule = {"l": "---", "r": "---:", "c": ":---:"}
    text = [markdown_paragraph(table.caption)]
    for block in table.blocks:
        lines = [_markdown_header(block, len(table.columns)), [rule[column] for column in table.columns]]
        for row in (row for group in block.groups for entry in group for row in entry):
            lines.append([part for cell in row for part in [_markdown_cell(cell), *[""] * (cell.span - 1)]])
        text += [f"**{escape_markdown(block.title)}**"] if block.title else []
        text.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
    text += [markdown_paragraph(note) for note in table.notes]
    return "\n\n".join(text) + "\n"


def write_files(texts: Mapping[Path, str]) -> None:
    """Writes each text to its path; a reader sees a whole file, old or new, never a partial one."""
    with staged(*texts) as names:
        for name, text in zip(names, texts.values(), strict=True):
            name.write_text(text, encoding="utf-8", newline="\n")
