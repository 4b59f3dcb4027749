"""Figures of files of runs: `metrics.json`, curves and forecasts."""

from matplotlib.figure import Figure

from timellama.core import layout
from timellama.reports.figures import of_files
from timellama.reports.report import ReportContext
from timellama.results import aggregate


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure of the report's name, and the remark on it. Raises InputError as `of_files.figure` does."""
    report, paths = given.report, given.paths
    name, dataset = ("forecasts", report.dataset) if report.dataset else (report.name, None)
    if name in of_files.WITH_STEPS and paths:
        dataset = aggregate.read_metrics(paths[0].with_name(layout.METRICS))["run"]["dataset"]
    published = given.published[0] if given.published else None
    drawn = of_files.figure(name, files=paths, published=published, methods=given.facts["methods"], dataset=dataset)
    facts = given.facts
    told = of_files.origin(name, paths, configuration=facts["configuration"], generated=facts["generated"])
    return drawn, "\n".join(filter(None, (facts["remark"], told)))
