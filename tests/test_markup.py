# ruff: noqa: RUF001 -- signs that look like others are what is tested
"""Text prints as intended: escapes, both renderings, and LaTeX that compiles on its own and in a paper."""

import re
import shutil
import subprocess

import pytest

from tests.refusal import refused
from timellama.reports.render.cells import Block, Cell, Table
from timellama.reports.render.files import write
from timellama.reports.render.markup import (
    escape_latex,
    escape_markdown,
    fixed,
    listed,
    spell_time,
    spread,
    to_latex,
    to_markdown,
)
from timellama.reports.render.table_csv import to_csv
from timellama.reports.render.web_table import to_html

NASTY = r"a%b_c&d$e#f{g}h~i^j\k<l>m|n\"o`p*q[r]--s--- é ß Łódź μ π ± − – ’ 漢字 🦙 ?` !` ''"
needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None or shutil.which("pdftotext") is None, reason="needs pdflatex and pdftotext"
)


def render(markdown):
    """HTML as a reader of GitHub's dialect renders it."""
    reader = pytest.importorskip("markdown_it")
    return reader.MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown)


def table(rows=3, *, text=NASTY, groups=1):
    header = (
        (Cell(), Cell(text="Time-LlaMA", span=2)),
        (Cell(text="Data set"), Cell(text="MSE"), Cell(text="MAE")),
    )
    entry = ((Cell(text=text), Cell(text="0.377", spread="±0.002", bold=True), Cell(text="0.398", underline=True)),)
    block = Block(header=header, groups=((entry,) * rows,) * groups, title=text)
    return Table(columns="lll", blocks=(block,), caption=f"Caption {text}", label="tab:a_b", notes=(f"Note {text}",))


def compile_latex(folder, text):
    (folder / "main.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "main.tex"]
    for _ in range(2):  # the second run knows the labels
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / "main.log").read_text(errors="replace")
    assert not re.findall(r"^(?:Overfull|LaTeX Warning).*", log, flags=re.MULTILINE)
    printed = subprocess.run(["pdftotext", "-layout", "main.pdf", "-"], cwd=folder, capture_output=True, text=True)
    return printed.stdout


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("%", r"\%"),
        ("_", r"\_"),
        ("&", r"\&"),
        ("$", r"\$"),
        ("#", r"\#"),
        ("{}", r"\{\}"),
        ("~", r"\textasciitilde{}"),
        ("^", r"\textasciicircum{}"),
        ("\\", r"\textbackslash{}"),
        ("<|>", r"\textless{}\textbar{}\textgreater{}"),
        ("a--b", "a-{}-b"),
        ("---", "-{}-{}-"),
        ("–", "--"),
        ("±", r"\ensuremath{\pm}"),
        ("−1", r"\ensuremath{-}1"),
        ("é", r"\'{e}"),
        ("e\N{COMBINING ACUTE ACCENT}", r"\'{e}"),
        ("ï", r"\"{\i}"),
        ("λ", r"\ensuremath{\lambda}"),
        ("漢", "(U+6F22)"),
        ("\x07", "(U+0007)"),
        ("a\n\t b", "a b"),
        ("a[0]", "a{[}0]"),
        ("*a*", "{}*a*"),
        ("", ""),
    ],
)
def test_latex_escapes(text, latex):
    assert escape_latex(text) == latex


def test_every_character_becomes_ascii():
    characters = [chr(code) for code in [*range(0x3000), *range(0x1F600, 0x1F610)]]
    assert all(escape_latex(character).isascii() for character in characters)


@pytest.mark.parametrize("character", list("|*_`[]~$#\\"))
def test_markdown_escapes(character):
    assert escape_markdown(f"a{character}b") == f"a\\{character}b"


def test_markdown_escapes_html():
    assert escape_markdown("<b>&amp;\nx") == "&lt;b&gt;&amp;amp; x"


def test_markdown_prints_the_text():
    html = render(escape_markdown(NASTY))
    plain = html.strip().removeprefix("<p>").removesuffix("</p>")
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        plain = plain.replace(entity, character)
    assert plain == NASTY


def test_markdown_table_keeps_its_columns():
    html = render(to_markdown(table(2)))
    assert html.count("<tr>") == 3
    assert html.count("<td>") == 6
    assert "<th>Time-LlaMA MSE</th>" in html
    assert "<strong>0.377</strong><sub>±0.002</sub>" in html
    assert "<u>0.398</u>" in html


def test_numbers_and_lists_are_formatted():
    assert fixed(0.3774, 3) == "0.377"
    assert fixed(1.26, 1, signed=True) == "+1.3"
    assert fixed(-1.26, 1, signed=True) == "−1.3"
    assert fixed(-0.04, 1, signed=True) == "0.0"
    assert fixed(0.04, 1, signed=True) == "0.0"
    assert fixed(float("nan"), 3) == "–"
    assert spread(0.00149, 3) == "±0.001"
    assert spread(float("nan"), 3) == ""
    assert listed([1]) == "1"
    assert listed([1, 2, 3]) == "1, 2 and 3"


def test_marks_are_rendered_in_latex():
    text = to_latex(table(1, text="x"))
    assert r"x & \textbf{0.377}\textsubscript{\ensuremath{\pm}0.002} & \underline{0.398} \\" in text
    assert r"\label{tab:a-b}" in text
    assert r"& \multicolumn{2}{c}{Time-LlaMA} \\" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert text.isascii()


def test_a_long_table_is_split_between_groups():
    text = to_latex(table(10, text="x", groups=12))
    parts = text.split(r"\begin{table*}")[1:]
    assert len(parts) == 3
    assert sum(part.count("x & ") for part in parts) == 120
    assert all(part.count("x & ") % 10 == 0 for part in parts)
    assert all(part.count(r"\multicolumn{2}{c}{Time-LlaMA}") == 1 for part in parts)
    assert "continued (part 3 of 3)" in parts[2]
    assert [part.count("Note x") for part in parts] == [0, 0, 1]


def test_a_block_that_fits_a_part_is_not_split():
    block = table(30, text="x").blocks[0]
    text = to_latex(Table(columns="lll", blocks=(block, block), caption="c", label="l"))
    assert [part.count("x & ") for part in text.split(r"\begin{table*}")[1:]] == [30, 30]


def test_writing_is_complete_and_repeatable(tmp_path):
    paths = [
        tmp_path / "deep" / "a.tex",
        tmp_path / "other" / "a.md",
        tmp_path / "other" / "a.html",
        tmp_path / "a.csv",
    ]
    write(table(), *paths)
    first = [path.read_bytes() for path in paths]
    assert first == [render(table()).encode() for render in (to_latex, to_markdown, to_html, to_csv)]
    write(table(), *paths)
    assert [path.read_bytes() for path in paths] == first
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(paths)


def test_an_unknown_file_ending_is_refused_and_nothing_is_written(tmp_path):
    with refused(tmp_path / "a.docx", ".tex", ".md", ".html", ".csv"):
        write(table(), tmp_path / "a.tex", tmp_path / "a.docx")
    assert not list(tmp_path.iterdir())


@needs_latex
def test_a_table_compiles_on_its_own_and_prints_the_text(tmp_path):
    printed = compile_latex(tmp_path, to_latex(table()))
    assert "0.377±0.002" in printed.replace(" ", "")
    for piece in (
        "a%b",
        "c&d$e#f{g}h",
        r"j\k<l>m|n",
        "o`p*q[r]--s---",
        "± − –",
        "(U+6F22)(U+5B57)",
        "(U+1F999)",
        "?` !`",
    ):
        assert piece in printed


@needs_latex
@pytest.mark.parametrize("first", ["['values', 3] do not fit", "*", "* a note"])
def test_a_row_that_begins_like_an_argument_of_the_row_before_is_printed(tmp_path, first):
    rows = (((Cell(text="a"),), (Cell(text=first),)),)
    block = Block(header=((Cell(text="reason"),),), groups=(rows,))
    printed = compile_latex(tmp_path, to_latex(Table(columns="l", blocks=(block,), caption="One.", label="o")))
    assert first.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") in printed.replace("\N{ASTERISK OPERATOR}", "*")


@needs_latex
@pytest.mark.parametrize("options", ["", "twocolumn"])
@pytest.mark.parametrize("rows", [3, 40])
def test_a_table_can_be_included_in_a_paper(tmp_path, options, rows):
    (tmp_path / "one.tex").write_text(to_latex(table(rows, text="a rather long name of a data set", groups=3)))
    (tmp_path / "two.tex").write_text(to_latex(table(1)).replace("tab:a-b", "tab:two"))
    paper = (
        rf"\documentclass[{options}]{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}"
        r"\sloppy Before Table~\ref{tab:a-b}. \input{one} Between. \input{two} Behind.\end{document}"
    )
    printed = compile_latex(tmp_path, paper)
    for word in ("Before Table 1.", "Between.", "Behind.", "Table 2:"):
        assert word in " ".join(printed.split())


@needs_latex
def test_a_wide_table_is_scaled_to_the_page(tmp_path):
    header = (tuple(Cell(text=f"a long heading {number}") for number in range(20)),)
    rows = ((tuple(Cell(text="0.123") for _ in range(20)),),)
    wide = Table(columns="l" * 20, blocks=(Block(header=header, groups=(rows,)),), caption="Wide.", label="w")
    assert "a long heading 19" in " ".join(compile_latex(tmp_path, to_latex(wide)).split())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (0.0, "0 s"),
        (0.004, "under 0.1 s"),
        (0.41, "0.4 s"),
        (9.96, "10 s"),
        (42.4, "42 s"),
        (59.6, "1 min"),
        (720, "12 min"),
        (3600, "1 h"),
        (12240, "3 h 24 min"),
        (181440, "2 d 2 h"),
    ],
)
def test_times_are_spelled_in_their_two_largest_units(seconds, text):
    assert spell_time(seconds) == text
