"""Tables of variants: how far each is from one reference, seed by seed (the paper's table 5, and tables of our own).

Two variants with one seed see the same batches in the same order, so their errors move together, and the difference of
each pair has less noise than the difference of two means. The interval is Student's, of the mean difference.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from timellama.core.errors import InputError
from timellama.reports.render.cells import Block, Cell, Entry, Row, Table
from timellama.reports.render.floor import unbeaten
from timellama.reports.render.markup import MISSING, fixed, listed, spread
from timellama.reports.render.origin import first_seen, name_columns, provenance
from timellama.reports.render.table_model import (
    NO_NUMBERS,
    VALUES_PER_PANEL,
    Planned,
    Published,
    marks,
    panels,
)
from timellama.results.aggregate import (
    backbone_order,
    paired_difference,
    published_numbers,
    relative_changes,
    summarise,
    with_published,
)
from timellama.results.inference import t_quantile
from timellama.results.numbers import numbers_of
from timellama.training.metric_objects import BUILT_IN, MSE

Place = tuple[str, int, int]  # data set, horizon, context
Variant = tuple[str, str]  # variant, backbone
Column = dict[Variant, Cell]
ROW = ["variant", "backbone"]


def collapsed(frame: pd.DataFrame) -> Column:
    """A column for `variants`: in how many routed blocks the router collapsed, from the best run to the worst."""
    cells = {}
    for row, runs in frame.dropna(subset="collapsed_blocks").groupby(ROW):
        low, high = int(runs["collapsed_blocks"].min()), int(runs["collapsed_blocks"].max())
        blocks = listed(sorted({int(count) for count in runs["routed_blocks"]}))
        cells[row] = Cell(text=f"{low if low == high else f'{low} to {high}'} of {blocks}", value=low)
    return cells


def trainable(frame: pd.DataFrame) -> Column:
    """A column for `variants`: trained parameters in thousands, from the smallest run to the largest."""
    cells = {}
    for row, runs in frame.groupby(ROW):
        counts = runs["parameters_trainable"] / 1000
        low, high = (f"{count:.1f}" for count in (counts.min(), counts.max()))
        cells[row] = Cell(text=low if low == high else f"{low} to {high}", value=counts.min())
    return cells


def speed(frame: pd.DataFrame) -> Column:
    """A column for `variants`: test windows forecast a second in the fastest run, which other work slowed least."""
    timed = frame[frame["seconds_evaluate"] > 0]
    fastest = (timed["n_windows"] / timed["seconds_evaluate"]).groupby([timed[key] for key in ROW]).max()
    return {row: Cell(text=f"{windows:.0f}", value=windows) for row, windows in fastest.items()}


def pooled(frame: pd.DataFrame, *, reference: str, backbone: str | None = None, metric: str = MSE.name) -> Column:
    """A column for `variants`: the difference from the reference in per cent, over all cells and seeds together.

    Each pair of runs with the same data set, horizon, context and seed counts once, as (ours - reference) / reference;
    the 95 % t interval is over these pairs. Cells of one data set are not independent, so it is a lower bound of the
    doubt.
    """
    rows = dict(iter(frame.groupby(ROW)))
    cells = {}
    for row, runs in rows.items():
        against = opposite(frame, row, reference=reference, backbone=backbone)
        if row == against or against not in rows:
            continue
        change = relative_changes(runs, rows[against], metric)
        if len(change) < 2:
            continue
        half = t_quantile(len(change) - 1) * change.std(ddof=1) / math.sqrt(len(change))
        star = "*" if abs(change.mean()) > half else ""
        text = f"{fixed(change.mean(), 1, signed=True)}{star} {spread(half, 1)} ({len(change)})"
        cells[row] = Cell(text=text, value=change.mean())
    return cells


def opposite(frame: pd.DataFrame, row: Variant, *, reference: str, backbone: str | None) -> Variant:
    """The row that `row` is compared with.

    It is the reference on `backbone` where that is named; else on the row's own backbone, or on the only one that the
    reference has.
    """
    if backbone is not None:
        return reference, backbone
    available = sorted(set(frame.loc[frame["variant"] == reference, "backbone"]))
    alone = available[0] if len(available) == 1 else row[1]
    return reference, row[1] if row[1] in available else alone


class _Variants:
    """The cells of a table of variants."""

    def __init__(
        self,
        frame: pd.DataFrame,
        summary: pd.DataFrame,
        planned: Planned,
        reference: str,
        backbone: str | None,
        metric: str,
        labels: Mapping[str, str],
        published: Published,
    ):
        self.frame, self.backbone = frame, backbone
        self.planned, self.labels, self.published = set(planned), labels, published
        keys = ["dataset", "horizon", "context", "variant", "backbone"]
        self.cells = {tuple(row[key] for key in keys): row for row in summary.to_dict("records")}
        self.runs = dict(iter(frame.groupby(keys)))
        self.reference, self.metric, self.decimals = reference, metric, BUILT_IN[metric].decimals
        wanted = [(dataset, horizon, context) for dataset, context, horizon, _ in planned]
        self.places: list[Place] = first_seen([*wanted, *(key[:3] for key in self.cells)])
        used: dict[str, list[str]] = {
            variant: [] for variant in first_seen([*(v for *_, v in planned), *summary["variant"]])
        }
        for variant, backbone in sorted((key[3:] for key in self.cells), key=lambda row: backbone_order(row[1])):
            used[variant] = first_seen([*used[variant], backbone])
        self.rows: list[Variant] = [(variant, backbone) for variant in used for backbone in used[variant] or [""]]
        self.names = {(variant, ""): label for variant, label in labels.items()}
        self.names |= {(row["variant"], row["backbone"]): row["name"] for row in self.cells.values()}

    def field(self, place: Place, row: Variant, name: str) -> float:
        """A field of a cell; NaN where there is no result."""
        return self.cells.get((*place, *row), {}).get(f"{self.metric}_{name}", math.nan)

    def paper(self, place: Place, row: Variant) -> float:
        """The paper's number, also in a planned cell that has none of ours; NaN where the paper has none."""
        dataset, horizon, context = place
        if (*place, *row) not in self.cells and (dataset, context, horizon, row[0]) in self.planned:
            label = self.labels.get(row[0], row[0])
            return self.published.get((dataset, horizon, label), {}).get(self.metric, math.nan)
        return self.field(place, row, "paper")

    def opposite(self, row: Variant) -> Variant:
        """The row that `row` is compared with."""
        return opposite(self.frame, row, reference=self.reference, backbone=self.backbone)

    def marked(self, place: Place) -> dict[Variant, str]:
        """The mark of each row in one column."""
        texts = [fixed(self.field(place, row, "mean"), self.decimals) for row in self.rows]
        return dict(zip(self.rows, marks(texts), strict=True))

    def difference(self, place: Place, row: Variant) -> Cell:
        """Ours - reference with its interval; a dash for the reference itself and below two common seeds."""
        ours, theirs = (*place, *row), (*place, *self.opposite(row))
        if row == self.opposite(row) or ours not in self.runs or theirs not in self.runs:
            return Cell(text=MISSING)
        mean, half, pairs = paired_difference(self.runs[ours], self.runs[theirs], self.metric)
        if pairs < 2:
            return Cell(text=MISSING)
        star = "*" if abs(mean) > half else ""
        text = fixed(mean, self.decimals + 1, signed=True) + star
        return Cell(text=text, value=mean, spread=spread(half, self.decimals + 1))

    def lines(self, row: Variant, places: Sequence[Place], *, width: int, more: Sequence[Cell]) -> Entry:
        """Ours, and below it the paper's numbers and differences where it has any."""
        ours: list[Cell] = []
        paper: list[Cell] = []
        for place in places:
            mark = self.marked(place)[row]
            mean = self.field(place, row, "mean")
            text = fixed(mean, self.decimals)
            deviation = spread(self.field(place, row, "std"), self.decimals)
            best, second = mark == "best", mark == "second"
            ours.append(Cell(text=text, value=mean, spread=deviation, bold=best, underline=second))
            ours.append(self.difference(place, row))
            number = self.paper(place, row)
            gap = math.nan if row == self.opposite(row) else number - self.paper(place, self.opposite(row))
            paper.append(Cell(text=fixed(number, self.decimals), value=number))
            paper.append(Cell(text=fixed(gap, self.decimals, signed=True), value=gap))
        fill = (Cell(),) * (width - len(ours))
        head = Cell(text=self.names.get(row, row[0]))
        body: list[Row] = [(head, Cell(text="ours"), *ours, *fill, *more)]
        if any(cell.text != MISSING for cell in paper):
            body.append((Cell(), Cell(text="paper"), *paper, *fill, *[Cell()] * len(more)))
        return tuple(body)


def _two_lines(heading: str) -> tuple[Cell, Cell]:
    """A heading broken at the blank nearest to its middle, so that its column is no wider than need be."""
    blanks = [number for number, character in enumerate(heading) if character == " "]
    if not blanks:
        return Cell(), Cell(text=heading)
    middle = min(blanks, key=lambda number: abs(2 * number + 1 - len(heading)))
    return Cell(text=heading[:middle]), Cell(text=heading[middle + 1 :])


def ablation_table(
    frame: pd.DataFrame,
    *,
    title: str,
    label: str,
    reference: str,
    configuration: str,
    planned: Planned,
    backbone: str | None = None,
    metric: str = MSE.name,
    published: Path | None = None,
    source: str = "",
    extras: Mapping[str, Column] | None = None,
    explained: Sequence[str] = (),
    generated: Collection[str] = (),
    labels: Mapping[str, str] | None = None,
    floors: Collection[str] = (),
) -> Table:
    """Variants as rows, (data set, horizon) as columns: the metric, and how far each is from the variant `reference`.

    The difference is paired: ours - reference for each seed that both have, with the 95 % t interval of its mean; it is
    a dash below two such seeds. A variant is compared with the reference on `backbone` or, where that is None, on its
    own backbone, or on the only one that the reference has. `frame` comes from `collect`; `published` is the paper's
    table, called `source` in the notes; `extras` are more columns: heading to row to cell; `explained` are the notes on
    them; `labels` are the names of variants that have no run; `floors` are those that stand last, behind a rule.

    Raises:
        InputError: no run is of the reference, and none was planned; else as `summarise` and `with_published`.
    """
    summary = summarise(frame, [metric])
    if reference not in {*summary["variant"], *(variant for *_, variant in planned)}:
        raise InputError(f"There is no run of the reference {reference!r}: add it to the experiment, or name another.")
    if published is not None:
        summary = with_published(summary, published)
    named, labels = summary.assign(name=name_columns(summary)), labels or {}
    numbers = NO_NUMBERS if published is None else published_numbers(published)
    grid = _Variants(frame, named, planned, reference, backbone, metric, labels, numbers)
    parts = panels(grid.places, VALUES_PER_PANEL // 2)
    said = unbeaten(named, metric=BUILT_IN[metric])
    width = 2 * max(len(part) for part in parts)
    headings = list(extras or {})
    contexts = {place[2] for place in grid.places}
    blocks = []
    for part in parts:
        fill = (Cell(),) * (width - 2 * len(part))
        above, below = zip(*map(_two_lines, headings), strict=True) if headings else ((), ())
        names = [f"{d}, H {h}" + (f", T {t}" if len(contexts) > 1 else "") for d, h, t in part]
        pair = (Cell(text=BUILT_IN[metric].label), Cell(text="difference"))
        header = (
            (Cell(), Cell(), *(Cell(text=name, span=2) for name in names), *fill, *above),
            (Cell(text="Variant"), Cell(), *pair * len(part), *fill, *below),
        )
        groups: list[list[Entry]] = [[], []]
        for row in grid.rows:
            cells = [extras[heading].get(row, Cell(text=MISSING)) for heading in headings] if extras else []
            groups[row[0] in floors].append(grid.lines(row, part, width=width, more=cells))
        blocks.append(Block(header=header, groups=tuple(tuple(rows) for rows in groups if rows)))
    labels = {**labels, **dict(zip(summary["variant"], summary["label"], strict=True))}
    name = labels.get(reference, reference) + (f" on {backbone}" if backbone else "")
    caption = (
        f"{said.titled(title)} Difference: from {name} with the same seeds; above 0 is worse, and a star says that the "
        "95 % interval leaves out 0."
    )
    reading = [
        f"{BUILT_IN[metric].label}: mean over the seeds, \N{PLUS-MINUS SIGN} their standard deviation "
        "(n \N{MINUS SIGN} 1). Bold: the lowest of a column; underlined: the next.",
        "Difference: the mean over the seeds that both have, \N{PLUS-MINUS SIGN} half the width of its 95 % t "
        "interval. A dash: fewer than two such seeds.",
        *explained,
        "Behind the rule: the floor, which a trained model has to beat."
        if any(row[0] in floors for row in grid.rows)
        else "",
        *said.notes,
        f"Paper: its {source}, with the plain difference." if published is not None else "",
    ]
    sizes = {key[:2]: row["n_windows"] for key, row in grid.cells.items()}
    counts = [
        f"{sizes[place]} for {place[0]}, H {place[1]}"
        for place in first_seen(p[:2] for p in grid.places)
        if place in sizes
    ]
    windows = f"Every window of the test part counts: {listed(counts)}."
    origin = provenance(summary, configuration=configuration, generated=generated)
    return Table(
        columns="ll" + "l" * width + "l" * len(headings),
        blocks=tuple(blocks),
        caption=caption,
        label=label,
        notes=tuple(note for note in (*reading, windows, origin) if note),
        numbers=numbers_of(summary, [metric]),
    )
