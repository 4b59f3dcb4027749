"""The table of one experiment: methods side by side, or variants of Time-LlaMA against the full model."""

from timellama.reports.render.cells import Table
from timellama.reports.report import ReportContext
from timellama.reports.tables import of_experiments


def methods(given: ReportContext) -> Table:
    """Methods side by side, with the paper's numbers. Raises InputError as `of_experiments.table` does."""
    return _table(given, title="")


def variants(given: ReportContext) -> Table:
    """Variants against the full model, below the report's `lead`. Raises InputError as `of_experiments.table` does."""
    return _table(given, title=given.report.lead)


def _table(given: ReportContext, *, title: str) -> Table:
    [(experiment, metrics)] = given.files.items()
    published = next(iter(given.published), None)
    return of_experiments.table(experiment, metrics=metrics, published=published, facts=given.facts, title=title)
