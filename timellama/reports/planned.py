"""What a report of a plan is made from: its runs, the files of them that it reads, its facts and its code."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from timellama.core import layout
from timellama.core.code_digest import code_digest
from timellama.core.outside import is_own
from timellama.experiments.matrix import EFFICIENCY, Matrix
from timellama.experiments.run import Run
from timellama.reports.failures import Failure, lacking, mark, remark
from timellama.reports.registry import experiments_of, loaded
from timellama.reports.report import MAIN, Report
from timellama.reports.report_facts import dataset_rows, planned_files, report_facts
from timellama.reports.selection import with_intervals

RENDERERS = {
    True: "timellama.reports.render.files",
    False: "timellama.reports.render.style",
}  # what writes tables, and what writes figures


def runs_of(report: Report, matrix: Matrix) -> list[Run]:
    """The runs that a report shows, with or without a result. Raises InputError as `Matrix.experiment` does."""
    if report.needs.runs:
        return loaded(report.needs.runs, of=f"report {report.name!r}")(matrix, report.dataset)
    names = experiments_of(report, matrix.config["experiments"])
    # By folder: a run's own hash covers all its fields.
    return list({run.folder: run for name in names for run in matrix.runs.get(name, ())}.values())


def wanted(report: Report, matrix: Matrix) -> dict[str, dict[str, str]]:
    """By experiment, the file that a report reads for each of its results, by the result's path."""
    shown, found = [run.folder for run in runs_of(report, matrix)], {}
    for name in experiments_of(report, matrix.config["experiments"]):
        if name == EFFICIENCY:
            found[name] = {file: file for file in (layout.sweep_of(sweep.folder) for sweep in matrix.efficiency())}
        else:
            folders = {run.folder for run in matrix.runs[name]}
            found[name] = {
                layout.metrics_of(folder): f"{layout.RESULTS}/{folder}/{report.needs.file}"
                for folder in shown
                if folder in folders
            }
    return found


def results_of(report: Report, matrix: Matrix, *, absent: Collection[str]) -> list[str]:
    """The existing results among those that a report is made from."""
    return [result for result, file in _files(report, matrix).items() if result not in absent and file not in absent]


def files_of(report: Report, matrix: Matrix, *, absent: Collection[str]) -> dict[str, list[str]]:
    """By experiment, the files that a report reads of the existing results."""
    files = wanted(report, matrix)
    return {
        name: [file for result, file in of.items() if result not in absent and file not in absent]
        for name, of in files.items()
    }


def _files(report: Report, matrix: Matrix) -> dict[str, str]:
    """`wanted` of all experiments together."""
    return {result: file for of in wanted(report, matrix).values() for result, file in of.items()}


def facts_of(report: Report, matrix: Matrix, *, absent: Mapping[str, Failure]) -> dict[str, Any]:
    """What a report needs besides its results; for one on a single experiment also the planned cells."""
    names = experiments_of(report, matrix.config["experiments"])
    planned = _files(report, matrix)
    count = sum(result in absent or file in absent for result, file in planned.items())
    facts = report_facts(matrix, names[0] if len(report.needs.experiments) == 1 and names else "", absent=absent)
    facts |= {
        "remark": remark(count, len(planned)),
        "mark": mark(count, len(planned)),
    }
    if without := lacking({result: absent[result].reason for result in planned if result in absent}):
        facts["lacking"] = without
    if report.needs.datasets:
        facts["datasets"] = dataset_rows(matrix)
    if report.needs.failures:
        facts["failures"] = [dataclasses.asdict(failure) for failure in absent.values()]
        facts["results_planned"] = len(planned) + len(with_intervals(matrix))
    return facts


def facts_of_page(matrix: Matrix, *, absent: Mapping[str, Failure]) -> dict[str, Any]:
    """What the page of a run needs besides all results; under `main` what its main table needs."""
    main = {}
    for name in (name for name in MAIN if name in matrix.runs):
        facts = report_facts(matrix, name, absent=absent)
        here = {file: absent[file].reason for file in planned_files(matrix, name) if file in absent}
        main[name] = facts | ({"lacking": lacking(here)} if here else {})
    return report_facts(matrix, "", absent=absent) | {"main": main}


def code_of(report: Report) -> str:
    """The digest of the code behind a report: its builder, and what writes its files."""
    if not is_own(report.build):
        loaded(report.build, of=f"report {report.name!r}")  # so that its module is found
    return code_digest(report.build, RENDERERS[report.is_table])
