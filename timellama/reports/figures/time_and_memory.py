"""Latency or memory over the number of variates."""

from matplotlib.figure import Figure

from timellama.reports import report_figures
from timellama.reports.report import ReportContext


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure of the report's name, and the remark on it. Raises InputError as `efficiency_figure` does."""
    return report_figures.efficiency_figure(given.report.name, sweeps=given.paths, facts=given.facts)
