"""Tables and figures from kept numbers (`numbers.py`), by the functions that the workflow uses."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from timellama.core import layout
from timellama.experiments.matrix import Matrix
from timellama.reports import failures, planned, registry
from timellama.reports.reference.numbers import Kept, facts_of, facts_of_several, unpacked
from timellama.reports.render import style
from timellama.reports.render.files import rendered
from timellama.reports.report import METRICS, Report, ReportContext
from timellama.results.aggregate import read_metrics

ENDINGS = (".tex", ".md")  # of the kept tables


def tables(kept: Kept, *, root: Path) -> dict[str, str]:
    """The text of each table by its file's name. The paper's numbers are read below `root`, the project's folder.

    Raises InputError as the tables do.
    """
    texts = {}
    with tempfile.TemporaryDirectory() as folder:
        files = unpacked(kept, Path(folder))
        for name, report in registry.reports(kept.matrix["experiments"]).items():
            if report.is_table:
                made = registry.built(_given(report, kept, files=files, root=root))
                texts |= {f"{name}{ending}": rendered(made, ending) for ending in ENDINGS}
    return texts


def _given(report: Report, kept: Kept, *, files: Mapping[str, Path], root: Path) -> ReportContext:
    """What a builder is called with; `files` are the available ones by result."""
    names = registry.experiments_of(report, kept.matrix["experiments"])
    facts, found = facts_of_several(kept, names, files=files)
    if report.is_table and len(report.needs.experiments) == 1 and len(names) == 1:
        facts = facts_of(kept, names[0])
    if report.needs.datasets:
        facts["datasets"] = kept.matrix["datasets"]
    if report.needs.failures:
        facts |= _failures(kept)
    published = [root / path for path in report.needs.published]
    return ReportContext(report=report, files=found, published=published, facts=facts)


def _absent(kept: Kept) -> dict[str, failures.Failure]:
    """The absent results by path, each with its reason and the command that makes it."""
    configfiles = [kept.matrix["configfile"]]
    return {
        path: failures.Failure(
            result=path, reason=reason, command=failures.command(path, configfiles=configfiles, settings=[])
        )
        for path, reason in sorted(kept.reasons.items())
    }


def _failures(kept: Kept) -> dict[str, Any]:
    """The facts for the table of absent results."""
    return {
        "configuration": kept.matrix["configuration"],
        "failures": [dataclasses.asdict(failure) for failure in _absent(kept).values()],
        "results_planned": len(kept.reasons) + len(kept.results),
    }


def figures(
    kept: Kept, *, matrix: Matrix, results: Path, old: Mapping[str, Sequence[str]], root: Path
) -> dict[str, tuple[bytes, str, list[str]]]:
    """The PNG of each figure that can be drawn, the remark on it, and the results that it was drawn from.

    Curves and forecasts are not kept as numbers, so a figure of them is drawn from the runs whose folders are below
    `results`. `old` names the results that each existing figure was drawn from: where one of them no longer has a
    folder, the old figure shows more; it stays, and is left out here. Raises InputError as the figures do.
    """
    drawn = {}
    with tempfile.TemporaryDirectory() as folder:
        files = unpacked(kept, Path(folder))
        for name, report in registry.reports(matrix.config["experiments"]).items():
            if report.is_table:
                continue
            sources = _sources(report, kept, matrix=matrix, files=files, results=results)
            shown = {result for of in planned.wanted(report, matrix).values() for result in of}
            # Of what it was drawn from, only what it would show today can be lost by drawing it again.
            if sources and not set(old.get(name, ())) & shown & set(kept.results) - set(sources):
                png, remark = _draw(report, kept, matrix=matrix, sources=sources, folder=Path(folder), root=root)
                drawn[name] = (png, remark, [*sources])
    return drawn


def _sources(
    report: Report, kept: Kept, *, matrix: Matrix, files: Mapping[str, Path], results: Path
) -> dict[str, Path]:
    """By result, the available files that a figure is drawn from."""
    found = {}
    for of in planned.wanted(report, matrix).values():
        for result, path in of.items():
            if result not in files or path == result:
                found |= {result: files[result]} if result in files else {}
                continue
            file = layout.within(results, path)
            beside = file.with_name(METRICS)
            # A folder whose numbers are not the kept ones has another run's curves.
            if file.is_file() and beside.is_file() and read_metrics(beside) == kept.results[result]:
                found[result] = file
    return found


def _draw(
    report: Report, kept: Kept, *, matrix: Matrix, sources: Mapping[str, Path], folder: Path, root: Path
) -> tuple[bytes, str]:
    """A figure as PNG, and the remark on it."""
    facts = planned.facts_of(report, matrix, absent=_absent(kept))
    wanted = planned.wanted(report, matrix)
    there = len(planned.results_of(report, matrix, absent=kept.reasons))
    if len(sources) < there:
        others = f"Drawn from {len(sources)} of {there} runs; for the others, numbers are kept but no curves."
        facts["remark"] = f"{facts['remark']} {others}".strip()
        every = {result for of in wanted.values() for result in of}
        facts["mark"] = failures.mark(len(every) - len(sources), len(every))
    files = {name: [sources[result] for result in of if result in sources] for name, of in wanted.items()}
    given = ReportContext(
        report=report, files=files, published=[root / path for path in report.needs.published], facts=facts
    )
    figure, remark = registry.built(given)
    png = folder / f"{report.name}.png"
    style.save(figure, png, mark=facts["mark"])
    return png.read_bytes(), remark
