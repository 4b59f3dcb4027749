"""The table of time, memory and operations."""

from timellama.reports import report_tables
from timellama.reports.render.cells import Table
from timellama.reports.report import ReportContext


def table(given: ReportContext) -> Table:
    """Methods by number of variates. Raises InputError as `report_tables.efficiency_table` does."""
    return report_tables.efficiency_table(given.paths, published=given.published[0], facts=given.facts)
