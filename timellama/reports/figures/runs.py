"""Figures of files of runs: `metrics.json`, curves and forecasts."""

from matplotlib.figure import Figure

from timellama.core import layout
from timellama.reports import report_figures
from timellama.reports.report import ReportContext
from timellama.results import aggregate


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure of the report's name, and the remark on it. Raises InputError as `report_figures.figure` does."""
    report, paths = given.report, given.paths
    name, dataset = ("forecasts", report.dataset) if report.dataset else (report.name, None)
    if name in report_figures.WITH_STEPS and paths:
        dataset = aggregate.read_metrics(paths[0].with_name(layout.METRICS))["run"]["dataset"]
    published = given.published[0] if given.published else None
    drawn = report_figures.figure(
        name, files=paths, published=published, methods=given.facts["methods"], dataset=dataset
    )
    facts = given.facts
    told = report_figures.origin(name, paths, configuration=facts["configuration"], generated=facts["generated"])
    return drawn, "\n".join(filter(None, (facts["remark"], told)))
