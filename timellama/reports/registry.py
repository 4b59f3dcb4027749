"""Which reports a configuration has, and how one is built: the workflow, its page and the reference derive from this.

A report names its builder as `module:function`, so that listing reports loads neither pandas nor matplotlib. A
configuration adds reports of its own under `reports:`, each as `module:NAME` of a `Report` (docs/adding.md).
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError
from timellama.core.outside import loaded
from timellama.reports.catalogue import OWN
from timellama.reports.render.cells import Table
from timellama.reports.report import EVERY, Report, ReportContext

TABLE_FILES = ("tex", "md", "html", "csv")
FIGURE_FILES = ("pdf", "png", "txt")  # the last holds the remark


def reports(experiments: Mapping[str, Mapping], *, more: Iterable[str] = ()) -> dict[str, Report]:
    """The reports of a configuration by name, in the order of the page.

    `experiments` are the configuration's, `more` its `reports`. A name with `{dataset}` becomes a report a data set.
    Raises InputError for an entry of `more` that is no report, and for a name that is taken.
    """
    known = [*OWN]
    for place in more:
        report = loaded(place, of="reports")
        if not isinstance(report, Report):
            raise InputError(f"reports: {place!r} is a {type(report).__name__}; name a timellama.reports.report.Report")
        known.append(report)
    found: dict[str, Report] = {}
    for report in known:
        needs = report.needs
        if needs.experiments and not needs.optional and not set(needs.experiments) & {EVERY, *experiments}:
            continue
        for one in _each(report, experiments):
            if one.name in found:
                raise InputError(f"reports: two reports are called {one.name!r}; rename one of them")
            found[one.name] = one
    return found


def _each(report: Report, experiments: Mapping[str, Mapping]) -> list[Report]:
    """The report, or one a data set of its first experiment."""
    if "{dataset}" not in report.name:
        return [report]
    datasets = experiments[report.needs.experiments[0]].get("datasets", ())
    filled = [
        (dataset, report.name.format(dataset=dataset), report.title.format(dataset=dataset)) for dataset in datasets
    ]
    return [dataclasses.replace(report, name=name, title=title, dataset=dataset) for dataset, name, title in filled]


def outputs(report: Report) -> list[str]:
    """The files of a report."""
    if report.is_table:
        return [f"reports/{report.name}.{ending}" for ending in TABLE_FILES]
    return [f"reports/figures/{report.name}.{ending}" for ending in FIGURE_FILES]


def experiments_of(report: Report, experiments: Collection[str]) -> list[str]:
    """The experiments of a configuration that a report is made from."""
    needed = experiments if EVERY in report.needs.experiments else report.needs.experiments
    return [name for name in needed if name in experiments]


def built(given: ReportContext) -> Any:
    """What the report's builder returns: a `cells.Table`, a text by file ending, or a figure and its remark."""
    builder: Callable[[ReportContext], Any] = loaded(given.report.build, of=f"report {given.report.name!r}")
    return _with_notes(builder(given), given.facts.get("models", {}))


def _with_notes(made: Any, notes: Mapping[str, str]) -> Any:
    """A table, or a figure and its remark, with the note of each language model that it names."""
    if isinstance(made, Table):
        rows = [row for block in made.blocks for group in block.groups for entry in group for row in entry]
        said = " ".join([made.caption, *made.notes, *(cell.text for row in rows for cell in row)])
        return dataclasses.replace(made, notes=(*made.notes, *notes_on(said, notes)))
    if isinstance(made, tuple):
        figure, remark = made
        return figure, "\n".join([remark, *notes_on(remark, notes)]).strip()
    return made


def notes_on(said: str, notes: Mapping[str, str]) -> list[str]:
    """The notes of the language models, by name, that a text names."""
    return [f"{name} is {note}" for name, note in notes.items() if name in said]


def context_of_job(
    name: str,
    *,
    config: Mapping[str, Any],
    files: Mapping[str, Sequence[str]],
    published: Sequence[str],
    facts: Mapping,
) -> ReportContext:
    """`ReportContext` from what a job of the workflow holds; `config` is the configuration that Snakemake passes on."""
    report = reports(config["experiments"], more=config.get("reports", ()))[name]
    paths = {experiment: [Path(file) for file in of] for experiment, of in files.items()}
    return ReportContext(report=report, files=paths, published=[Path(file) for file in published], facts=facts)
