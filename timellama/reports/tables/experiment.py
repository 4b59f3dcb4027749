"""The tables of one experiment each: methods side by side, or variants of Time-LlaMA against the full model.

All raise InputError as the function of `of_experiments` that they call.
"""

from typing import Any

from timellama.reports.render.cells import Table
from timellama.reports.render.table_model import Heading
from timellama.reports.report import ReportContext
from timellama.reports.tables import of_experiments

FEW_ROWS = "errors on standardised values, trained on {percent} % of the rows."
LONG_TERM = Heading(  # for the page of a run; the two reports on table 1 have their own
    title="Long-term forecasting: errors on standardised values.", label="tab:long-term", source="table 1"
)
FEW_SHOT = Heading(title=f"Few-shot forecasting: {FEW_ROWS}", label="tab:few-shot", source="table 3")
BACKBONES = Heading(title=f"Language models: {FEW_ROWS}", label="tab:backbones-{percent}", source="table 4")
SCHEDULES = Heading(title="Budgets and published schedules: errors on standardised values.", label="tab:schedules")


def short_term(given: ReportContext) -> Table:
    """Table 2: M4, with the paper's numbers."""
    return of_experiments.short_term(**_runs(given), published=given.published[0])


def few_shot(given: ReportContext) -> Table:
    """Table 3: every method, with the paper's numbers."""
    return of_experiments.errors(**_runs(given), heading=FEW_SHOT, published=given.published[0], of_absent=True)


def backbones(given: ReportContext) -> Table:
    """Table 4, of all or of few training rows: the same method on several language models, with the paper's numbers."""
    return of_experiments.errors(**_runs(given), heading=BACKBONES, published=given.published[0])


def schedules(given: ReportContext) -> Table:
    """Each method with this configuration's budget and on its authors' schedule."""
    return of_experiments.errors(**_runs(given), heading=SCHEDULES)


def variants(given: ReportContext) -> Table:
    """Variants against the full model, below the report's `lead`, with the paper's numbers where it has any."""
    published = next(iter(given.published), None)
    return of_experiments.variants(**_runs(given), title=given.report.lead, published=published)


def depth(given: ReportContext) -> Table:
    """The same model on more and fewer blocks, below the report's `lead`, with the speed of each."""
    return of_experiments.variants(**_runs(given), title=given.report.lead, of_depth=True)


def _runs(given: ReportContext) -> dict[str, Any]:
    """The report's experiment, its runs' `metrics.json` and its facts."""
    [(experiment, metrics)] = given.files.items()
    return {"experiment": experiment, "metrics": metrics, "facts": given.facts}
