"""What can be wrong with an external report is reported in one message, with its name and the remedy."""

import csv
import sys

import pytest
from matplotlib.figure import Figure

from tests.refusal import refused
from timellama.reports import catalogue
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
    """What the registry makes of the return value of a builder."""
    monkeypatch.setattr(sys.modules[__name__], "builder", lambda _: returned, raising=False)
    report = Report(name=name, title="", caption="", needs=Needs(), build=f"{__name__}:builder")
    return built(ReportContext(report=report, files={}))


@pytest.mark.parametrize(
    ("name", "returned", "named"),
    [
        ("table_own", "| a |", ("str", "timellama.reports.render.cells.Table", "table_")),
        ("table_own", None, ("NoneType", "timellama.reports.render.cells.Table")),
        ("table_own", {".md": "| a |"}, ("dict", ".tex", ".md", ".html", ".csv")),
        ("table_own", (Figure(), ""), ("Figure, str", "timellama.reports.render.cells.Table")),
        ("own", table((((ROW,),),)), ("Table", "table_own")),
        ("own", Figure(), ("Figure",)),
        ("own", (Figure(), None), ("Figure, NoneType",)),
        ("own", ("plot.png", ""), ("str, str",)),
        ("table_own", table(((ROW,),)), ("blocks[0].groups[0][0][0]", "Cell", "tuple")),
        (
            "table_own",
            table((ROW,)),
            ("blocks[0].groups[0][0]", "Cell", "tuple"),
        ),
        ("table_own", table((((("DLinear", "217"),),),)), ("blocks[0].groups[0][0][0][0]", "str", "Cell")),
        (
            "table_own",
            table((((ROW[:1],),),)),
            ("blocks[0].groups[0][0][0]", 1, "'lr'", 2),
        ),
        ("table_own", table((((ROW,),),), header=HEADER[0]), ("blocks[0].header[0]", "Cell", "tuple")),
        ("table_own", table((((ROW,),),), blocks=HEADER), ("blocks[0]", "tuple", "Block")),
        ("table_own", table((((ROW,),),), caption=None), ("caption", "NoneType")),
        ("table_own", table(((((*ROW[:1], Cell(text=217)),),),)), ("blocks[0].groups[0][0][0][1].text", 217)),
    ],
)
def test_anything_other_than_a_table_or_figure_is_refused(monkeypatch, name, returned, named):
    with refused(f"'{name}'", f"{__name__}:builder", *named):
        made(monkeypatch, name, returned)


def test_a_table_and_a_figure_are_kept(monkeypatch):
    whole, figure = table((((ROW,),), ((ROW, ROW),))), Figure()
    assert made(monkeypatch, "table_own", whole) == whole
    assert made(monkeypatch, "own", (figure, "")) == (figure, "")


FAILING = """
from timellama.core.errors import InputError

def divides(given):
    return 1 / 0

def refuses(given):
    raise InputError("results/one.json is damaged: delete it")
"""


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("divides", ("ZeroDivisionError", "line 5", "correct the function")),
        ("refuses", ("results/one.json", "line 8", "delete it")),
    ],
)
def test_a_builder_from_outside_that_fails_is_named_with_its_line(tmp_path, monkeypatch, function, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_failing.py").write_text(FAILING, encoding="utf-8")
    place = f"own_failing:{function}"
    report = Report(name="table_own", title="", caption="", needs=Needs(), build=place)
    try:
        with refused("report 'table_own'", place, tmp_path / "own_failing.py", *named):
            built(ReportContext(report=report, files={}))
    finally:
        sys.modules.pop("own_failing", None)


def test_a_builder_of_the_package_that_fails_keeps_its_own_error(monkeypatch):
    def divides(_):
        return 1 / 0

    monkeypatch.setattr(catalogue, "divides", divides, raising=False)
    report = Report(name="table_own", title="", caption="", needs=Needs(), build=f"{catalogue.__name__}:divides")
    with pytest.raises(ZeroDivisionError):
        built(ReportContext(report=report, files={}))


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
    ("name", "named"),
    [
        ("SPACED", ("name", "'my table'")),
        ("EXPERIMENT", ("'longterm'", "long_term?", "'*'", "few_shot")),
        ("ONE_TEXT", ("experiments='long_term'", "Needs(experiments=('long_term',))")),
        ("ABSENT", ("own_slips:bulder", "own_slips.py", "builder?")),
        ("NO_FUNCTION", ("build", "'own_slips:GOOD'", "Report")),
    ],
)
def test_a_report_that_could_not_be_built_is_refused_when_planned(tmp_path, monkeypatch, name, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_slips.py").write_text(MODULE, encoding="utf-8")
    try:
        assert "own" in reports({"long_term": {}}, more=["own_slips:GOOD"])
        with refused("reports", f"own_slips:{name}", *named):
            reports({"long_term": {}}, more=[f"own_slips:{name}"])
    finally:
        sys.modules.pop("own_slips", None)


def test_reports_only_about_the_papers_data_sets_are_left_out_if_there_is_none(root):
    about = {"table_claims", "paper_vs_ours"}

    def made(**experiments):
        return about & set(reports(experiments))

    grid = {"datasets": {"NYCWeather": {"context": 96, "horizons": [24]}}}
    assert made(long_term=grid) == set()
    assert made(long_term=grid | {"also": [{"dataset": "ETTh1"}]}) == about
    assert made(long_term={"datasets": {"Weather": {}}}) == about
    assert made(short_term={"datasets": {"M4-Hourly": {}}}) == {"table_claims"}
    assert made(long_term=grid, efficiency={"variates": [7, 862]}) == {"table_claims"}
    assert made(long_term={}) == about, "a kept plan does not name its data sets"
    assert "table_long_term" in reports({"long_term": grid})


def test_the_papers_data_sets_are_those_of_its_published_tables(root):
    names = set()
    for part in PARTS.values():
        with (root / "config/published" / part.published).open(encoding="utf-8") as file:
            names |= {row["dataset"] for row in csv.DictReader(file)}
    assert names - {"M4"} == PAPER_DATASETS
