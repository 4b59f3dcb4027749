"""A table as PDF: the same bytes twice, and an error that says what is missing or wrong."""

import shutil

import pytest

from tests.refusal import refused
from timellama.reports.render.cells import Block, Cell, Table
from timellama.reports.render.markup import to_latex
from timellama.reports.render.table_pdf import compiled

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
ROW = (Cell(text="7"), Cell(text="0.5", bold=True))
TABLE = Table(columns="lr", blocks=(Block(header=(ROW,), groups=(((ROW,),),)),), caption="Errors.", label="tab:errors")


@needs_latex
def test_the_same_table_gives_the_same_bytes(tmp_path):
    tex, first, second = tmp_path / "a.tex", tmp_path / "deep/a.pdf", tmp_path / "b.pdf"
    tex.write_text(to_latex(TABLE), encoding="utf-8")
    compiled(tex, first)
    compiled(tex, second)
    assert first.read_bytes().startswith(b"%PDF") and first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tex", "b.pdf", "deep"]


@needs_latex
def test_an_error_of_latex_is_shown_and_leaves_no_file(tmp_path):
    tex = tmp_path / "a.tex"
    tex.write_text(to_latex(TABLE).replace(r"\toprule", r"\nosuchrule"), encoding="utf-8")
    with refused("pdflatex", tex, "nosuchrule"):
        compiled(tex, tmp_path / "a.pdf")
    assert not (tmp_path / "a.pdf").exists()


def test_a_missing_pdflatex_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused(tmp_path / "a.pdf", "pdflatex", "texlive-latex-recommended"):
        compiled(tmp_path / "a.tex", tmp_path / "a.pdf")
