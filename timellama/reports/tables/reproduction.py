"""The paper's table 1 beside our numbers: of each method ours, the paper's and the gap in one line; a panel per metric.

It has the methods and cells that the paper has a number for; the others are in `table_long_term`. A method that was
also run at another look-back than the rest of a data set has columns of its own for that.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from timellama.reports import failures
from timellama.reports.render import table_model as tables
from timellama.reports.render.cells import Block, Cell, Entry, Table
from timellama.reports.render.dashes import Place, Planned, Reasons
from timellama.reports.render.markup import fixed, spread
from timellama.reports.render.origin import first_seen, provenance
from timellama.reports.render.paper_settings import MARK, PaperSetting, note, read_paper_settings
from timellama.reports.report import ReportContext
from timellama.reports.tables.main import HEADINGS, header
from timellama.reports.tables.of_experiments import named, summarised
from timellama.results import aggregate
from timellama.results.numbers import numbers_of
from timellama.training.scores.metric_objects import FORECAST, Metric

COLUMNS = {"ours": "l", "paper": "l", "gap %": "r"}  # of each method, with their alignment
LABEL = "tab:reproduction"  # not that of the main table, since one paper may include both
CAPTION = (
    "Long-term forecasting beside the paper: errors on standardised values. Methods and data sets that the paper has "
    "no number for are in table_long_term."
)
READING = (
    "Ours: the mean over the seeds, on every window of the test part, \N{PLUS-MINUS SIGN} their standard deviation "
    "(n \N{MINUS SIGN} 1), which one seed does not have. T: the look-back, unless a method's heading names another. "
    "Paper: its table 1."
)
NOTHING = "The paper has no number for any of these results."


def table(given: ReportContext) -> Table:
    """MSE and MAE of each method that the paper has: our mean and deviation, the paper's number and the gap.

    Raises InputError as `aggregate.collect`, `aggregate.summarise` and `read_paper_settings` do.
    """
    facts = given.facts
    if not given.paths and facts["remark"]:
        return dataclasses.replace(failures.without_results("long_term", text=facts["remark"]), label=LABEL)
    published, settings = given.published
    summary, extra = summarised(aggregate.collect(given.paths, methods=facts["methods"]), facts)
    summary = aggregate.with_published(summary, published)
    numbers = numbers_of(summary, [metric.name for metric in (*FORECAST, *extra)])
    theirs = aggregate.published_numbers(published)
    cells = zip(summary["dataset"], summary["horizon"], summary["label"], strict=True)
    shown = summary[[cell in theirs for cell in cells]]
    if shown.empty:
        made = failures.one_line("long_term", NOTHING, caption=CAPTION, label=LABEL)
        return failures.with_remarks(dataclasses.replace(made, numbers=numbers), facts)
    reasons = Reasons.of(facts)
    impossible = [cell for cell in reasons.impossible if (cell.dataset, cell.horizon, cell.label) in theirs]
    planned = [
        (dataset, context, horizon, variant)
        for dataset, context, horizon, variant in facts["planned"]
        if (dataset, horizon, reasons.labels.get(variant, variant)) in theirs
    ]
    planned = named(planned, shown, facts["methods"])
    grid = tables.Grid(shown, planned, FORECAST, facts["not_run"], theirs)
    panels = _Panels(grid, planned, read_paper_settings(settings, table=published.stem))
    dashes = [cell for cell in panels.cells if (*cell[0], cell[1]) not in {*grid.cells, *grid.not_run}]
    rows = first_seen(place for place, _ in panels.cells)
    marked = note([setting for cell in panels.cells for setting in panels.others(*cell)])
    made = Table(
        columns="l" + "r" * (len(HEADINGS) - 1) + "".join(COLUMNS.values()) * len(panels.columns),
        blocks=tuple(panels.block(metric) for metric in FORECAST),
        caption=CAPTION,
        label=LABEL,
        notes=(
            *tables.absences(grid, planned, dashes, rows, dataclasses.replace(reasons, impossible=impossible)),
            f"{READING} {tables.GAP}",
            *([marked] if marked else []),
            provenance(shown, configuration=facts["configuration"], generated=facts["generated"]),
        ),
        landscape=True,
        numbers=numbers,
    )
    return failures.with_remarks(made, facts)


class _Panels:
    """The lines (data set, horizon) and the columns of the table: a method at the usual look-back, or at another."""

    def __init__(self, grid: tables.Grid, planned: Planned, settings: Sequence[PaperSetting]):
        self.grid, self.settings = grid, settings
        # The plan names the look-back of a data set before those of single methods.
        pairs = [*((dataset, context) for dataset, context, *_ in planned), *((row[0], row[2]) for row in grid.rows)]
        self.usual = dict(reversed(pairs))
        self.lines = first_seen(row[:2] for row in grid.rows)
        known = {*grid.cells, *grid.absent}
        self.columns = [
            (name, context)
            for name in grid.columns
            for context in first_seen(
                None if row[2] == self.usual[row[0]] else row[2] for row in grid.rows if (*row, name) in known
            )
        ]
        self.cells = [self.cell(line, column) for line, column in itertools.product(self.lines, self.columns)]

    def cell(self, line: tuple[str, int], column: tuple[str, int | None]) -> tuple[Place, str]:
        """The place (data set, horizon, look-back) and the method's name that a line and a column stand for."""
        (dataset, horizon), (name, context) = line, column
        return (dataset, horizon, context or self.usual[dataset]), name

    def others(self, place: Place, name: str) -> list[PaperSetting]:
        """The settings of the paper's number in a cell that differ from ours; none where it has no number."""
        if all(math.isnan(self._paper(place, name, metric)) for metric in FORECAST):
            return []
        dataset, _, context = place
        method, cell = self.grid.labels.get(name, name), self.grid.cells.get((*place, name))
        ours = {"method": method, "dataset": dataset, "look_back": context, "backbone": cell and cell["backbone"]}
        return [setting for setting in self.settings if setting.differs(**ours)]

    def _paper(self, place: Place, name: str, metric: Metric) -> float:
        """The paper's number, also of a cell that is not in the configuration; NaN where the paper has none.

        Another look-back than the usual one has it only beside a planned cell, since the usual one has it already.
        """
        if place[2] != self.usual[place[0]]:
            return self.grid.paper(place, name, metric.name)
        method = self.grid.labels.get(name, name)
        return self.grid.published.get((*place[:2], method), {}).get(metric.name, math.nan)

    def block(self, metric: Metric) -> Block:
        """The panel of a metric, with a group of lines per data set."""
        names = [name if context is None else f"{name}, T {context}" for name, context in self.columns]
        groups = []
        for dataset in first_seen(dataset for dataset, _ in self.lines):
            lines = [line for line in self.lines if line[0] == dataset]
            groups.append(tuple(self._entry(line, metric, first=number == 0) for number, line in enumerate(lines)))
        return Block(header=header(names, [*COLUMNS]), groups=tuple(groups), title=metric.label)

    def _entry(self, line: tuple[str, int], metric: Metric, *, first: bool) -> Entry:
        dataset, horizon = line
        row = [Cell(text=dataset if first else "")]
        row += [Cell(text=str(count), value=count) for count in (horizon, self.usual[dataset])]
        for column in self.columns:
            row += self._numbers(*self.cell(line, column), metric)
        return (tuple(row),)

    def _numbers(self, place: Place, name: str, metric: Metric) -> Iterator[Cell]:
        """Ours, the paper's number and the gap."""
        fields = (f"{metric.name}_{part}" for part in ("mean", "std", "gap"))
        mean, deviation, gap = (self.grid.value(place, name, field) for field in fields)
        yield Cell(text=fixed(mean, metric.decimals), value=mean, spread=spread(deviation, metric.decimals))
        number = self._paper(place, name, metric)
        yield Cell(text=fixed(number, metric.decimals), value=number, spread=MARK if self.others(place, name) else "")
        yield Cell(text=fixed(gap, 1, signed=True), value=gap)
