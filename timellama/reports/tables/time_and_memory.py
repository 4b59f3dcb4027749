"""The table of time, memory and operations."""

from timellama.reports.render.cells import Table
from timellama.reports.report import ReportContext
from timellama.reports.tables import of_experiments


def table(given: ReportContext) -> Table:
    """Methods by number of variates. Raises InputError as `of_experiments.efficiency_table` does."""
    return of_experiments.efficiency_table(given.paths, published=given.published[0], facts=given.facts)
