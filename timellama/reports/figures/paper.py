"""Our errors beside the paper's, cell by cell."""

from matplotlib.figure import Figure

from timellama.reports.figures import paper_vs_ours as paper_figure
from timellama.reports.report import ReportContext


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure and the remark on it. Raises InputError as `paper_figure.read_parts` does."""
    published = given.published[0].parent
    parts = paper_figure.read_parts(given.files, published=published, methods=given.facts["methods"])
    return paper_figure.paper_vs_ours(parts), paper_figure.remark(parts, facts=given.facts)
