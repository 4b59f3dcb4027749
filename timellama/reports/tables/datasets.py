"""The catalogue's data sets, beside the paper's table 6."""

from timellama.reports.dataset_table import dataset_table
from timellama.reports.render.cells import Table
from timellama.reports.report import ReportContext


def table(given: ReportContext) -> Table:
    """A line a data set. Raises InputError as `dataset_table` does."""
    return dataset_table(given.facts["datasets"], published=given.published[0])
