"""A caption is short: at most three sentences, even for a table that lacks results; the rest is in notes."""

import re

import pytest

from timellama.reports import planned
from timellama.reports.catalogue import OWN
from timellama.reports.failures import Failure
from timellama.reports.registry import built, reports
from timellama.reports.render.cells import Table
from timellama.reports.report import ReportContext

MOST = 3
NAMES = {"tab:claims": (0, 1), "tab:datasets": (3,)}  # columns whose numbers are names or lists
NUMBER = re.compile(r"\(?[+\N{MINUS SIGN}]?\d+(\.\d+)?\)?")
END = re.compile(r"[.!?](?=\s|$)")


def numbered(table: Table) -> None:
    """Each cell that prints a number holds it too, so that a page can sort by it."""
    names = NAMES.get(table.label, ())
    for block in table.blocks:
        for row in (row for group in block.groups for entry in group for row in entry):
            for place, cell in enumerate(row):
                if place not in names and NUMBER.fullmatch(cell.text):
                    half = 0.51 * 10 ** -len(cell.text.strip(")").partition(".")[2])
                    printed = float(cell.text.strip("()").replace("\N{MINUS SIGN}", "-"))
                    assert cell.value == pytest.approx(printed, rel=0.005, abs=half), (table.label, cell)


def sentences(text: str) -> int:
    return len(END.findall(text))


def test_no_two_reports_of_ours_have_one_number():
    """A table of the paper may be split into several reports; those that are ours alone are numbered E1, E2, ..."""
    numbers = [found[0] for report in OWN if (found := re.match(r"(Table|Figure) E\d+", report.title))]
    assert len(numbers) == len(set(numbers)) > 15


@pytest.mark.parametrize("report", OWN, ids=lambda report: report.name)
def test_each_reports_caption_has_a_few_sentences(report):
    assert 1 <= sentences(report.caption) <= MOST and report.caption.endswith(".")


@pytest.mark.parametrize("lacking", [0, 3])
def test_a_tables_caption_is_short_its_notes_name_the_configuration_and_its_cells_carry_numbers(
    world, monkeypatch, lacking
):
    """Covers every table of the smoke configuration, with all results and without every third."""
    documents = list(world.files().items())
    there = [pair for number, pair in enumerate(documents) if not lacking or number % lacking]
    world.put(dict(there))
    monkeypatch.chdir(world.results.parent)
    absent = {path: Failure(result=path, reason="-", command="-") for path in dict(documents).keys() - dict(there)}
    seen = set()
    for report in reports(world.matrix.config["experiments"]).values():
        facts = planned.facts_of(report, world.matrix, absent=absent)
        files = {
            name: [world.results.parent / path for path in of]
            for name, of in planned.files_of(report, world.matrix, absent=absent).items()
        }
        published = [world.root / path for path in report.needs.published]
        if not report.is_table:
            continue
        table = built(ReportContext(report=report, files=files, published=published, facts=facts))
        if isinstance(table, Table):
            numbered(table)
            seen.add(report.name)
            assert 1 <= sentences(table.caption) <= MOST, table.caption
            if facts["remark"]:
                assert facts["remark"] in table.caption
            if report.needs.experiments:
                assert any("Configuration: smoke." in note for note in table.notes) or not any(files.values())
    assert len(seen) > 10
