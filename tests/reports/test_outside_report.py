"""What can be wrong about a report from outside the package is told in one message, naming it and the remedy."""

import csv
import sys

import pytest
from matplotlib.figure import Figure

from timellama.core.errors import InputError
from timellama.reports.claims.rules import PAPER_DATASETS, PARTS
from timellama.reports.registry import built, reports
from timellama.reports.render.cells import Block, Cell, Table
from timellama.reports.report import Needs, Report, ReportContext

HEADER = ((Cell(text="Method"), Cell(text="Windows")),)
ROW = (Cell(text="DLinear"), Cell(text="217"))


def table(groups, header=HEADER, **changes):
    block = Block(header=header, groups=groups)
    return Table(**{"columns": "lr", "blocks": (block,), "caption": "One.", "label": "tab:one"} | changes)


def made(monkeypatch, name, returned):
    """What the registry makes of what a builder returns."""
    monkeypatch.setattr(sys.modules[__name__], "builder", lambda _: returned, raising=False)
    report = Report(name=name, title="", caption="", needs=Needs(), build=f"{__name__}:builder")
    return built(ReportContext(report=report, files={}))


@pytest.mark.parametrize(
    ("name", "returned", "told"),
    [
        ("table_own", "| a |", "returns a str, but must return a .*Table, .*table_"),
        ("table_own", None, "returns a NoneType"),
        ("table_own", {".md": "| a |"}, "returns a dict, .*.tex, .md, .html, .csv"),
        ("table_own", (Figure(), ""), "returns a tuple of Figure, str"),
        ("own", table((((ROW,),),)), "call the report table_own"),
        ("own", Figure(), "returns a Figure, but must return a matplotlib figure and the remark"),
        ("own", (Figure(), None), "a tuple of Figure, NoneType"),
        ("own", ("plot.png", ""), "a tuple of str, str"),
        ("table_own", table(((ROW,),)), r"blocks\[0\].groups\[0\]\[0\]\[0\], .*Cell"),
        (
            "table_own",
            table((ROW,)),
            r"blocks\[0\].groups\[0\]\[0\], the rows of an entry, is a Cell, but must be a tuple",
        ),
        ("table_own", table((((("DLinear", "217"),),),)), r"\[0\] is a str, but must be a Cell"),
        (
            "table_own",
            table((((ROW[:1],),),)),
            r"groups\[0\]\[0\]\[0\] has 1 columns, but `columns` is 'lr', which is 2",
        ),
        ("table_own", table((((ROW,),),), header=HEADER[0]), r"header\[0\], a row of cells, is a Cell"),
        ("table_own", table((((ROW,),),), blocks=HEADER), r"blocks\[0\] is of type tuple, but must be a Block"),
        ("table_own", table((((ROW,),),), caption=None), "its caption is a NoneType"),
        ("table_own", table(((((*ROW[:1], Cell(text=217)),),),)), r"\[1\].text is 217, but must be text"),
    ],
)
def test_what_is_no_table_and_no_figure_is_refused(monkeypatch, name, returned, told):
    with pytest.raises(InputError, match=f"^report '{name}': {__name__}:builder .*{told}"):
        made(monkeypatch, name, returned)


def test_what_is_one_is_kept(monkeypatch):
    whole, figure = table((((ROW,),), ((ROW, ROW),))), Figure()
    assert made(monkeypatch, "table_own", whole) == whole
    assert made(monkeypatch, "own", (figure, "")) == (figure, "")


MODULE = """
from timellama.reports.report import Needs, Report

def builder(given):
    return given

def report(**changes):
    given = {"name": "own", "title": "", "caption": "", "needs": Needs(), "build": "own_slips:builder"}
    return Report(**given | changes)

GOOD = report(needs=Needs(experiments=("long_term", "*")))
SPACED = report(name="my table")
EXPERIMENT = report(needs=Needs(experiments=("longterm",)))
ONE_TEXT = report(needs=Needs(experiments="long_term"))
ABSENT = report(build="own_slips:bulder")
NO_FUNCTION = report(build="own_slips:GOOD")
"""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SPACED", "its name is 'my table'"),
        ("EXPERIMENT", r"the experiment 'longterm', but there is none; .*did you mean long_term\?"),
        ("ONE_TEXT", r"write for example Needs\(experiments=\('long_term',\)\)"),
        ("ABSENT", r"own_slips.py has no bulder; .*did you mean builder\?"),
        ("NO_FUNCTION", "build is 'own_slips:GOOD', which is a Report"),
    ],
)
def test_a_report_that_could_not_be_made_is_refused_when_it_is_planned(tmp_path, monkeypatch, name, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_slips.py").write_text(MODULE, encoding="utf-8")
    try:
        assert "own" in reports({"long_term": {}}, more=["own_slips:GOOD"])
        with pytest.raises(InputError, match=f"^reports: own_slips:{name}.*{told}"):
            reports({"long_term": {}}, more=[f"own_slips:{name}"])
    finally:
        sys.modules.pop("own_slips", None)


def test_reports_about_the_papers_data_sets_alone_are_left_out_where_there_is_none(root):
    about = {"table_claims", "paper_vs_ours"}

    def made(**experiments):
        return about & set(reports(experiments))

    grid = {"datasets": {"NYCWeather": {"context": 96, "horizons": [24]}}}
    assert made(long_term=grid) == set()
    assert made(long_term=grid | {"also": [{"dataset": "ETTh1"}]}) == about
    assert made(long_term={"datasets": {"Weather": {}}}) == about
    assert made(short_term={"datasets": {"M4-Hourly": {}}}) == {"table_claims"}
    assert made(long_term=grid, efficiency={"variates": [7, 862]}) == {"table_claims"}
    assert made(long_term={}) == about, "a kept plan does not say its data sets"
    assert "table_long_term" in reports({"long_term": grid})


def test_the_papers_data_sets_are_those_of_its_tables(root):
    names = set()
    for part in PARTS.values():
        with (root / "config/published" / part.published).open(encoding="utf-8") as file:
            names |= {row["dataset"] for row in csv.DictReader(file)}
    assert names - {"M4"} == PAPER_DATASETS
