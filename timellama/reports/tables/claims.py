"""The paper's claims with effects and verdicts."""

from timellama.reports.claims import table as claims_table
from timellama.reports.render.cells import Table
from timellama.reports.report import ReportContext


def table(given: ReportContext) -> Table:
    """One line per claim. Raises InputError as `claims_table.of_files` does."""
    return claims_table.of_files(given.files, published=given.published[0].parent, facts=given.facts)
