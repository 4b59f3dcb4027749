"""The tables of the benchmark, built from summaries of runs (`results/aggregate.py`) and rendered by `markup.py`.

A table of methods has the layout of the paper's tables 1 and 3: a row for each data set and horizon, two columns per
method; below each of our rows the paper's number and our gap to it, and in a separate block the floor: models so simple
that a trained Transformer has to beat them. Printed to the paper's decimals; marks compare what is printed.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import pandas as pd

from timellama.core.errors import InputError
from timellama.reports.render import dashes
from timellama.reports.render.cells import Block, Cell, Entry, Row, Table
from timellama.reports.render.dashes import Place, Planned, Reasons
from timellama.reports.render.floor import unbeaten
from timellama.reports.render.markup import MISSING, fixed, listed, spread
from timellama.reports.render.origin import first_seen, name_columns, provenance
from timellama.results.numbers import numbers_of
from timellama.training.scores.metric_objects import FORECAST, M4, Metric

ALL = "all"  # stands for horizon and context 0: a row over several data sets
Published = Mapping[tuple[str, int, str], Mapping[str, float]]  # (data set, horizon, label) -> the paper's numbers
NO_NUMBERS: Published = MappingProxyType({})
VALUES_PER_PANEL = 8  # our choice: four methods with two metrics each are what an A4 page fits at a readable size
NOT_RUN = "not run"
NO_REASONS = Reasons()
GAP = "Gap: (ours \N{MINUS SIGN} paper) / paper in per cent, above 0 where ours is worse."
FEW_ROWS = "errors on standardised values, trained on {percent} % of the rows."
OF_ERRORS = {  # by experiment: the caption's first sentence, the label, and the paper's table
    "long_term": ("Long-term forecasting: errors on standardised values.", "tab:long-term", "table 1"),
    "few_shot": (f"Few-shot forecasting: {FEW_ROWS}", "tab:few-shot", "table 3"),
    "backbones": (f"Language models: {FEW_ROWS}", "tab:backbones-{percent}", "table 4"),
    "backbones_few_shot": (f"Language models: {FEW_ROWS}", "tab:backbones-{percent}", "table 4"),
    "schedules": ("Budgets and published schedules: errors on standardised values.", "tab:schedules", ""),
}


def marks(values: Sequence[str], *, direction: str = "lower") -> list[str]:
    """`best` for each best printed value, `second` for each second best; nothing with fewer than two values."""
    numbers = [math.nan if text == MISSING else float(text.replace("\N{MINUS SIGN}", "-")) for text in values]
    ranks = sorted({number for number in numbers if not math.isnan(number)}, reverse=direction == "higher")
    if sum(not math.isnan(number) for number in numbers) < 2:
        return [""] * len(values)
    names = dict(zip(ranks, ("best", "second"), strict=False))
    return [names.get(number, "") for number in numbers]


def marking(blocks: Sequence[Block], text: str) -> str:
    """`text`, which is about marks, where a cell has one; empty in a table of one method, which marks nothing."""
    rows = [row for block in blocks for group in block.groups for entry in group for row in entry]
    return text if any(cell.bold for row in rows for cell in row) else ""


def reading_of(metrics: Sequence[Metric]) -> str:
    """The sentence that says which direction is better."""
    higher = [metric.label for metric in metrics if metric.direction == "higher"]
    mixed = f"Higher is better for {listed(higher)}, lower for any other metric."
    return mixed if higher else "Lower is better in every column."


def whole(number: int | None, *, absent: str) -> Cell:
    """A count, or `absent` where there is none."""
    return Cell(text=absent if number is None else str(number), value=number)


class Grid:
    """The cells of a comparison: rows (data set, horizon, context), columns the named methods."""

    def __init__(
        self,
        summary: pd.DataFrame,
        planned: Planned,
        metrics: Sequence[Metric],
        not_run: Collection[str],
        published: Published,
    ):
        if summary["train_percent"].nunique() > 1:
            raise InputError(
                f"One table cannot hold several training shares {sorted(set(summary['train_percent']))}: "
                "give the rows of one `train_percent`."
            )
        named = summary.assign(column=name_columns(summary))
        self.metrics, self.published = metrics, published
        self.cells = {
            (row["dataset"], row["horizon"], row["context"], row["column"]): row for row in named.to_dict("records")
        }
        self.windows = {key[:2]: row["n_windows"] for key, row in self.cells.items()}
        # The plan gives the order; a variant without any result has no label yet, so its own name is used.
        labels = named.groupby("variant")["column"].unique().to_dict()
        wanted = [
            (dataset, horizon, context, name)
            for dataset, context, horizon, variant in planned
            for name in labels.get(variant, [variant])
        ]
        self.not_run = {
            key for key in wanted if key not in self.cells and key[3] in not_run and key[:2] in self.windows
        }
        self.missing = [key for key in wanted if key not in self.cells and key not in self.not_run]
        self.absent = {*self.not_run, *self.missing}
        every = [*wanted, *self.cells]
        datasets = first_seen(dataset for dataset, *_ in every)
        contexts = first_seen(context for _, _, context, _ in every)
        self.rows = sorted(
            {key[:3] for key in every}, key=lambda row: (datasets.index(row[0]), row[1], contexts.index(row[2]))
        )
        self.columns = first_seen(key[3] for key in every)
        self.variants = dict(zip(named["column"], named["variant"], strict=True))
        self.labels = dict(zip(named["column"], named["label"], strict=True))  # a column without a result is its label
        self.floor = {name for name, floor in zip(named["column"], named["floor"], strict=True) if floor}

    def dashes(self, columns: Sequence[str]) -> Iterator[tuple[Place, str]]:
        """The cells of a panel of these columns that have a dash instead of a result, each as (row, column)."""
        for row, column in itertools.product(self.rows_of(columns), columns):
            if (*row, column) not in self.cells and (*row, column) not in self.not_run:
                yield row, column

    def rows_of(self, columns: Sequence[str]) -> list[Place]:
        """The rows in which one of the columns has something to show."""
        return [row for row in self.rows if any((*row, column) in {*self.cells, *self.missing} for column in columns)]

    def value(self, row: tuple[str, int, int], column: str, field: str) -> float:
        """A field of a cell; NaN where there is no result."""
        return self.cells.get((*row, column), {}).get(field, math.nan)

    def paper(self, row: tuple[str, int, int], column: str, metric: str) -> float:
        """The paper's number, also in a planned cell that has none of ours; NaN where the paper has none."""
        if (*row, column) in self.absent:
            return self.published.get((*row[:2], self.labels.get(column, column)), {}).get(metric, math.nan)
        return self.value(row, column, f"{metric}_paper")

    def marked(self, row: tuple[str, int, int], metric: Metric) -> dict[str, str]:
        """The mark of each column, over all methods of the row, floor included."""
        texts = [fixed(self.value(row, column, f"{metric.name}_mean"), metric.decimals) for column in self.columns]
        return dict(zip(self.columns, marks(texts, direction=metric.direction), strict=True))

    def ours(self, row: tuple[str, int, int], column: str, marked: Mapping[str, str]) -> list[Cell]:
        """Our numbers in a cell, by metric; one cell over all where the method is too heavy to be run."""
        if (*row, column) in self.not_run:
            return [Cell(text=NOT_RUN, span=len(self.metrics))]
        cells = []
        for metric in self.metrics:
            text = fixed(self.value(row, column, f"{metric.name}_mean"), metric.decimals)
            deviation = spread(self.value(row, column, f"{metric.name}_std"), metric.decimals)
            mark, value = marked[metric.name], self.value(row, column, f"{metric.name}_mean")
            best, second = mark == "best", mark == "second"
            cells.append(Cell(text=text, value=value, spread=deviation, bold=best, underline=second))
        return cells

    def lines(self, row: tuple[str, int, int], columns: Sequence[str], *, first: bool, width: int) -> Entry:
        """Our numbers, and below them the paper's and the gap where the paper has one for any of these columns."""
        dataset, horizon, context = row
        marked = {metric.name: self.marked(row, metric) for metric in self.metrics}
        ours, paper, gap = [], [], []
        for column in columns:
            ours += self.ours(row, column, {name: of_row[column] for name, of_row in marked.items()})
            for metric in self.metrics:
                number, distance = self.paper(row, column, metric.name), self.value(row, column, f"{metric.name}_gap")
                paper.append(Cell(text=fixed(number, metric.decimals), value=number))
                gap.append(Cell(text=fixed(distance, 1, signed=True), value=distance))
        windows = self.windows.get((dataset, horizon))
        head = [
            Cell(text=dataset if first else ""),
            whole(horizon or None, absent=ALL),
            whole(context or None, absent=ALL),
            whole(windows, absent=MISSING),
        ]
        fill = (Cell(),) * (width - len(paper))
        body: list[Row] = [(*head, Cell(text="ours"), *ours, *fill)]
        if any(cell.text != MISSING for cell in paper):
            body.append((*[Cell()] * len(head), Cell(text="paper"), *paper, *fill))
        if any(cell.text != MISSING for cell in gap):
            body.append((*[Cell()] * len(head), Cell(text="gap %"), *gap, *fill))
        return tuple(body)

    def block(self, columns: Sequence[str], *, width: int, title: str) -> Block:
        """One panel: the given methods over all rows in which it has something to show."""
        rows = self.rows_of(columns)
        fill = (Cell(),) * (width - len(columns) * len(self.metrics))
        names = ("Data set", "H", "T", "Windows", "")
        header = (
            (*[Cell()] * len(names), *(Cell(text=name, span=len(self.metrics)) for name in columns), *fill),
            (
                *(Cell(text=name) for name in names),
                *(Cell(text=m.label) for _ in columns for m in self.metrics),
                *fill,
            ),
        )
        groups: dict[str, list[Entry]] = {}
        for row in rows:
            group = groups.setdefault(row[0], [])
            group.append(self.lines(row, columns, first=not group, width=width))
        return Block(header=header, groups=tuple(tuple(group) for group in groups.values()), title=title)


def panels(columns: Sequence[str], size: int) -> list[list[str]]:
    """The columns in the fewest groups of at most `size`, of nearly equal length."""
    count = math.ceil(len(columns) / size)
    return [list(columns[i * len(columns) // count : (i + 1) * len(columns) // count]) for i in range(count)]


def comparison(
    summary: pd.DataFrame,
    *,
    title: str,
    label: str,
    source: str,
    metrics: Sequence[Metric],
    configuration: str,
    planned: Planned,
    not_run: Collection[str] = (),
    reasons: Reasons = NO_REASONS,
    generated: Collection[str] = (),
    published: Published = NO_NUMBERS,
) -> Table:
    """Methods side by side, with the paper's numbers, in panels, and the floor in a separate block.

    `title` is the caption's first sentence and `source` names the paper's table. A cell of `planned` without a result
    is a dash, and so is a method that is not part of a row, each with its reason in a note; those of a method in
    `not_run` (labels) say so. `reasons` are what the plan and the failed jobs say. `published` has the paper's numbers
    for such cells.

    Raises:
        InputError: the summary is of more than one training share.
    """
    grid = Grid(summary, planned, metrics, not_run, published)
    trained = [column for column in grid.columns if column not in grid.floor]
    floor = [column for column in grid.columns if column in grid.floor]
    size = max(1, VALUES_PER_PANEL // len(metrics))
    parts = [(part, "") for part in panels(trained, size)]
    of_floor = panels(floor, size)
    headings = ["Floor: what a trained model has to beat"]
    headings += [f"Floor, part {number} of {len(of_floor)}" for number in range(2, len(of_floor) + 1)]
    parts += zip(of_floor, headings, strict=False)  # without a floor there is a heading too many
    width = max(len(part) for part, _ in parts) * len(metrics)
    said = unbeaten(summary, metric=metrics[0])
    reading = [f"Windows: every window of the test part. {reading_of(metrics)}"]
    if any(not math.isnan(row[f"{metric.name}_std"]) for row in grid.cells.values() for metric in metrics):
        reading.append(
            "Each value is the mean over the seeds, \N{PLUS-MINUS SIGN} their standard deviation (n \N{MINUS SIGN} 1)."
        )
    blocks = tuple(grid.block(part, width=width, title=heading) for part, heading in parts)
    reading.append(marking(blocks, "Equal printed values are marked alike."))
    places = list(itertools.product(grid.rows, grid.columns, [metric.name for metric in metrics]))
    if any(not math.isnan(grid.paper(*place)) for place in places):
        reading.append(f"Paper: its {source}.")
    if any(not math.isnan(grid.value(row, column, f"{name}_gap")) for row, column, name in places):
        reading.append(GAP)
    lowest = "lowest" if all(metric.direction == "lower" for metric in metrics) else "best"
    over = " over all panels" if len(blocks) > 1 else ""
    best = marking(blocks, f" Bold is the {lowest} mean of a row{over} (not tested); underlined the next.")
    origin = provenance(summary, configuration=configuration, generated=generated)
    found = [dash for part, _ in parts for dash in grid.dashes(part)]
    rows = first_seen(row for part, _ in parts for row in grid.rows_of(part))
    return Table(
        columns="lrrrl" + "l" * width,
        blocks=blocks,
        caption=f"{said.titled(title)}{best}",
        label=label,
        notes=(
            *absences(grid, planned, found, rows, reasons),
            " ".join(filter(None, reading)),
            *said.notes,
            origin,
        ),
        numbers=numbers_of(summary, [metric.name for metric in metrics]),
    )


def absences(
    grid: Grid, planned: Planned, found: Iterable[tuple[Place, str]], rows: Sequence[Place], reasons: Reasons
) -> list[str]:
    """Notes on the cells of a comparison that have no result: those `found`, as (row, column), among its `rows`."""
    notes = []
    if grid.not_run:
        heavy = first_seen(name for name in grid.columns if name in {key[3] for key in grid.not_run})
        notes.append(f"Not run: {listed(heavy)}, too heavy for this configuration.")
    light = [cell for cell in planned if (cell[0], cell[2], cell[1], cell[3]) not in grid.not_run]
    return [*notes, *dashes.notes(found, reasons=reasons, planned=light, rows=rows, variants=grid.variants)]


def errors_table(
    summary: pd.DataFrame,
    *,
    experiment: str,
    configuration: str,
    planned: Planned,
    not_run: Collection[str] = (),
    reasons: Reasons = NO_REASONS,
    generated: Collection[str] = (),
    published: Published = NO_NUMBERS,
    extra: Sequence[Metric] = (),
) -> Table:
    """MSE and MAE of an experiment that OF_ERRORS has, methods side by side."""
    title, label, source = OF_ERRORS[experiment]
    percent = listed(sorted(set(summary["train_percent"])))
    return comparison(
        summary,
        title=title.format(percent=percent),
        label=label.format(percent=percent),
        source=source,
        metrics=(*FORECAST, *extra),
        configuration=configuration,
        planned=planned,
        not_run=not_run,
        reasons=reasons,
        generated=generated,
        published=published,
    )


def short_term(
    summary: pd.DataFrame,
    *,
    configuration: str,
    planned: Planned,
    not_run: Collection[str] = (),
    reasons: Reasons = NO_REASONS,
    generated: Collection[str] = (),
) -> Table:
    """The paper's table 2: SMAPE, MASE and OWA on M4. The summary is made with `aggregate.M4_ERRORS`."""
    return comparison(
        summary,
        title="Short-term forecasting on M4; SMAPE in per cent, OWA against Naive2.",
        label="tab:short-term",
        source="table 2",
        metrics=M4,
        configuration=configuration,
        planned=planned,
        not_run=not_run,
        reasons=reasons,
        generated=generated,
    )
