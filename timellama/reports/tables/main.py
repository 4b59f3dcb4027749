"""The paper's table 1 in its own layout: every method side by side on one page, ours only.

The paper's numbers are beside ours in `table_reproduction`.
"""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from timellama.reports import failures
from timellama.reports.render import table_model as tables
from timellama.reports.render.cells import Block, Cell, Entry, Row, Table
from timellama.reports.render.dashes import Reasons
from timellama.reports.render.floor import unbeaten
from timellama.reports.render.markup import fixed, listed
from timellama.reports.render.origin import first_seen, provenance
from timellama.reports.report import ReportContext
from timellama.reports.tables.of_experiments import explained, named, summarised
from timellama.results import aggregate
from timellama.results.numbers import numbers_of
from timellama.training.scores.metric_objects import FORECAST, Metric

AVERAGE = "Avg"
HEADINGS = ("Data set", "H", "T")


def table(given: ReportContext) -> Table:
    """MSE and MAE of each method; controls that train next to nothing come last, right of a rule.

    Raises InputError as `aggregate.collect` and `aggregate.summarise` do.
    """
    facts = given.facts
    if not given.paths and facts["remark"]:
        return failures.without_results("long_term", text=facts["remark"])
    summary, extra = summarised(aggregate.collect(given.paths, methods=facts["methods"]), facts)
    metrics = (*FORECAST, *extra)
    if given.published:
        summary = aggregate.with_published(summary, given.published[0])
    planned = named(facts["planned"], summary, facts["methods"])
    grid = tables.Grid(summary, planned, metrics, facts["not_run"], tables.NO_NUMBERS)
    whole = [grid.labels.get(column, column) for column in grid.columns]
    parts = {column: _whose(column, whole) for column in grid.columns}
    columns = sorted(grid.columns, key=lambda column: 2 if column in grid.floor else bool(parts[column]))
    trained = sum(not parts[column] and column not in grid.floor for column in columns)
    names = [column.removeprefix(f"{parts[column]}, ") for column in columns]
    labels = [metric.label for metric in metrics]
    block = Block(header=header(names, labels), groups=tuple(_groups(grid, columns)))
    ruled = 0 < trained < len(columns)
    reading = f"Means over seeds, on every window of the test part. {tables.reading_of(metrics)}"
    if any(row[1].text == AVERAGE for group in block.groups for entry in group for row in entry):
        reading += f" {AVERAGE}: the mean over the horizons above it, where each has a result."
    if ruled:
        reading += " Right of the rule: controls, which a trained model has to beat."
    if whose := sorted({part for part in parts.values() if part}):
        reading += f" The first ones are {listed(whose)} with another part, or none, instead of the language model."
    places = list(itertools.product(grid.rows, columns, [metric.name for metric in metrics]))
    origin = provenance(summary, configuration=facts["configuration"], generated=facts["generated"])
    if any(not math.isnan(grid.value(row, column, f"{name}_std")) for row, column, name in places):
        origin += " Deviations over seeds: reports/table_long_term.csv."
    if any(not math.isnan(grid.paper(*place)) for place in places):
        origin += " The paper's numbers beside ours: table_reproduction."
    said = unbeaten(summary, metric=metrics[0])
    made = Table(
        columns="lrr" + "r" * len(columns) * len(metrics),
        blocks=(block,),
        caption=said.titled("Long-term forecasting: errors on standardised values.")
        + tables.marking((block,), " Bold is the best mean of a row (not tested); underlined the next."),
        label="tab:long-term",
        notes=(
            *tables.absences(grid, planned, grid.dashes(columns), grid.rows_of(columns), Reasons.of(facts)),
            reading,
            *said.notes,
            origin,
        ),
        landscape=True,
        rule=len(HEADINGS) + trained * len(metrics) if ruled else None,
        numbers=numbers_of(summary, [metric.name for metric in metrics]),
    )
    return failures.with_remarks(explained(made, summary, extra), facts)


def _whose(column: str, labels: Collection[str]) -> str:
    """The method that a column is a control of: of `Time-LlaMA, no LLM` it is `Time-LlaMA`, where that has a column."""
    return next((other for other in labels if column.startswith(f"{other}, ")), "")


def header(columns: Sequence[str], labels: Sequence[str]) -> tuple[Row, Row]:
    """The names of the methods, each above its own columns with these labels."""
    above = (*[Cell()] * len(HEADINGS), *(Cell(text=column, span=len(labels)) for column in columns))
    return above, tuple(Cell(text=name) for name in (*HEADINGS, *(label for _ in columns for label in labels)))


def _groups(grid: tables.Grid, columns: Sequence[str]) -> Iterator[tuple[Entry, ...]]:
    """One group of rows per data set; the average over the horizons of a look-back is below them."""
    for dataset in first_seen(row[0] for row in grid.rows):
        lines = []
        for context in first_seen(row[2] for row in grid.rows if row[0] == dataset):
            places = [row for row in grid.rows if row[0] == dataset and row[2] == context]
            values = [
                {(c, m.name): grid.value(place, c, f"{m.name}_mean") for c in columns for m in grid.metrics}
                for place in places
            ]
            lines += [
                (tables.whole(place[1] or None, absent=tables.ALL), context, value)
                for place, value in zip(places, values, strict=True)
            ]
            if len(values) > 1:
                # NaN where one horizon has no result: a mean of the others would be of easier or harder ones.
                average = {key: math.fsum(value[key] for value in values) / len(values) for key in values[0]}
                lines.append((Cell(text=AVERAGE), context, average))
        yield tuple(
            (
                _line(
                    (
                        Cell(text=dataset if number == 0 else ""),
                        horizon,
                        tables.whole(context or None, absent=tables.ALL),
                    ),
                    value,
                    columns,
                    grid.metrics,
                ),
            )
            for number, (horizon, context, value) in enumerate(lines)
        )


def _line(head: Row, values: Mapping[tuple[str, str], float], columns: Sequence[str], metrics: Sequence[Metric]) -> Row:
    decimals = {metric.name: metric.decimals for metric in metrics}
    texts = {key: fixed(value, decimals[key[1]]) for key, value in values.items()}
    marks: dict[tuple[str, str], str] = {}
    for metric in metrics:
        of = tables.marks([texts[column, metric.name] for column in columns], direction=metric.direction)
        marks |= {(column, metric.name): mark for column, mark in zip(columns, of, strict=True)}
    cells = [
        Cell(text=texts[key], value=values[key], bold=marks[key] == "best", underline=marks[key] == "second")
        for key in ((column, metric.name) for column in columns for metric in metrics)
    ]
    return (*head, *cells)
