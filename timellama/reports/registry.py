"""Which reports a configuration has, and how one is built: the workflow, its page and the reference derive from this.

A report names its builder as `module:function`, so that listing reports loads neither pandas nor matplotlib. A
configuration adds its own reports under `reports:`, each as `module:NAME` of a `Report` (docs/adding.md).
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError, did_you_mean
from timellama.core.outside import failure, is_own, loaded
from timellama.experiments.configuration import Experiments
from timellama.reports.catalogue import OWN
from timellama.reports.claims.rules import M4_PREFIX, PAPER_DATASETS, PAPER_VARIATES
from timellama.reports.render.cells import Table, require_table, rows_of
from timellama.reports.report import EVERY, Needs, Report, ReportContext

TABLE_FILES = ("tex", "md", "html", "csv")
FIGURE_FILES = ("pdf", "png", "txt")  # the last holds the remark
NAME = re.compile(r"([A-Za-z0-9_-]|\{dataset\})+")


def reports(
    experiments: Mapping[str, Mapping], *, more: Iterable[str] = (), intervals: bool = False
) -> dict[str, Report]:
    """The reports of a configuration by name, in the order of the page.

    `experiments`, `more` (its `reports`) and `intervals` are the configuration's. A name with `{dataset}` becomes one
    report per data set. A report about the paper's data sets only is left out where it would be empty.

    Raises InputError for an entry of `more` that is not a report, and for a name that is already taken.
    """
    known = [*OWN]
    for place in more:
        report = loaded(place, of="reports", kind=Report)
        if not isinstance(report, Report):
            raise InputError(f"reports: {place!r} is a {type(report).__name__}; name a timellama.reports.report.Report")
        _require_buildable(report, place)
        known.append(report)
    found: dict[str, Report] = {}
    for report in known:
        needs = report.needs
        if needs.experiments and not needs.optional and not set(needs.experiments) & {EVERY, *experiments}:
            continue
        if needs.intervals and not intervals:
            continue
        if needs.of_paper and not _has_papers(report, experiments):
            continue
        for one in _each(report, experiments):
            if one.name in found:
                raise InputError(f"reports: two reports are called {one.name!r}; rename one of them")
            found[one.name] = one
    return found


def of_configuration(config: Mapping[str, Any]) -> dict[str, Report]:
    """`reports` of a configuration as Snakemake passes it on. Raises InputError as `reports`."""
    given = {"more": config.get("reports", ()), "intervals": config.get("intervals", False)}
    return reports(config["experiments"], **given)


def why_not(name: str, config: Mapping[str, Any]) -> str:
    """What a configuration lacks for a report that it does not have."""
    if any(report.name == name and report.needs.intervals for report in OWN) and not config.get("intervals", False):
        return "set `intervals: true` in it, beside the experiment `long_term`"
    return (
        "add its experiment under `experiments:`, or choose a configuration that has it with --configfile "
        "config/cpu.yaml"
    )


def _has_papers(report: Report, experiments: Mapping[str, Mapping]) -> bool:
    """Whether an experiment of a report has a data set of the paper, or its number of variates; a kept plan may not say
    which data sets it has."""
    for section in (experiments[name] for name in experiments_of(report, experiments)):
        if PAPER_VARIATES in section.get("variates", ()) or not {"datasets", "variates"} & set(section):
            return True
        used = {*section.get("datasets", ()), *(single["dataset"] for single in section.get("also", ()))}
        if used & PAPER_DATASETS or any(name.startswith(M4_PREFIX) for name in used):
            return True
    return False


def _require_buildable(report: Report, place: str) -> None:
    """Raises InputError for a user-supplied report that the workflow could not make, or would never make."""
    said = f"reports: {place}"
    if not (isinstance(report.name, str) and NAME.fullmatch(report.name)):
        raise InputError(
            f"{said}: its name is {report.name!r}, but may have only letters, digits, `_` and `-`, and `{{dataset}}` "
            "for one figure per data set; rename it"
        )
    if not (isinstance(report.needs, Needs) and isinstance(report.needs.experiments, tuple | list)):
        raise InputError(f"{said}: its needs are {report.needs!r}; write for example Needs(experiments=('long_term',))")
    for experiment in report.needs.experiments:
        if experiment not in (EVERY, *Experiments.model_fields):
            hint = did_you_mean(str(experiment), Experiments.model_fields)
            raise InputError(
                f"{said}: it needs the experiment {experiment!r}, which does not exist; give {EVERY!r} for all, or "
                f"some of {', '.join(Experiments.model_fields)}{hint}"
            )
    builder = loaded(report.build, of=f"{said}: build")
    if not callable(builder):
        raise InputError(f"{said}: build is {report.build!r}, which is a {type(builder).__name__}; name a function")


def _each(report: Report, experiments: Mapping[str, Mapping]) -> list[Report]:
    """The report, or one per data set of its first experiment."""
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
    """What the report's builder returns: a `cells.Table`, a text by file ending, or a figure and its remark.

    Raises InputError where it returns anything else, for a table that is not nested correctly, and where a builder from
    outside the package fails.
    """
    report = given.report
    builder: Callable[[ReportContext], Any] = loaded(report.build, of=f"report {report.name!r}")
    said = f"report {report.name!r}: {report.build}"
    try:
        made = builder(given)
    except Exception as error:  # whatever the function raises
        if is_own(report.build):
            raise
        # An InputError has a remedy of its own, which need not be in the function.
        remedy = "" if isinstance(error, InputError) else "; correct the function"
        raise InputError(f"{said} failed: {failure(error)}{remedy}") from error
    if report.is_table and isinstance(made, Table):
        try:
            require_table(made)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{said} returns a Table that cannot be printed: {error}. A block's groups are a tuple of groups, a "
                "group of entries, an entry of rows, a row of cells"
            ) from error
        return _table_with_notes(made, given.facts.get("models", {}))
    if report.is_table and isinstance(made, Mapping) and set(made) == {f".{ending}" for ending in TABLE_FILES}:
        return made
    if not report.is_table and isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], str):
        figure, remark = made
        if hasattr(figure, "savefig"):
            return figure, "\n".join([remark, *notes_on(remark, given.facts.get("models", {}))]).strip()
    if isinstance(made, Table):
        raise InputError(
            f"{said} returns a Table, but the name of a table begins with `table_`; call the report table_{report.name}"
        )
    kinds = ", ".join(type(each).__name__ for each in made) if isinstance(made, tuple) else ""
    what = f"a tuple of {kinds}" if kinds else f"a {type(made).__name__}"
    endings = ", ".join(f".{ending}" for ending in TABLE_FILES)
    wanted = f"a {Table.__module__}.Table, or a mapping of {endings} to texts, since its name begins with `table_`"
    if not report.is_table:
        wanted = "a matplotlib figure and the remark on it, a text"
    raise InputError(f"{said} returns {what}, but must return {wanted}")


def _table_with_notes(made: Table, notes: Mapping[str, str]) -> Table:
    """With the note of each language model that the table names."""
    said = " ".join([made.caption, *made.notes, *(cell.text for _, row in rows_of(made) for cell in row)])
    return dataclasses.replace(made, notes=(*made.notes, *notes_on(said, notes)))


def notes_on(said: str, notes: Mapping[str, str]) -> list[str]:
    """The notes on the language models that a text names; `notes` has them by name."""
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
    report = of_configuration(config)[name]
    paths = {experiment: [Path(file) for file in of] for experiment, of in files.items()}
    return ReportContext(report=report, files=paths, published=[Path(file) for file in published], facts=facts)
