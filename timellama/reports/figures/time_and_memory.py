"""Latency or memory over the number of variates."""

from matplotlib.figure import Figure

from timellama.reports.figures import of_files
from timellama.reports.report import ReportContext


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure of the report's name, and the remark on it. Raises InputError as `efficiency_figure` does."""
    return of_files.efficiency_figure(given.report.name, sweeps=given.paths, facts=given.facts)
