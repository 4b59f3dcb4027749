"""Tables of variants: how far each is from one reference, seed by seed (the paper's table 5, and tables of our own).

Two variants with the same seed see the same batches in the same order, so their errors move together, and the
difference of each pair has less noise than the difference of two means. The interval is Student's t, of the mean
difference.
"""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from timellama.core.errors import InputError
from timellama.reports.render import dashes
from timellama.reports.render.cells import Block, Cell, Entry, Row, Table
from timellama.reports.render.dashes import Planned, Reasons
from timellama.reports.render.floor import unbeaten
from timellama.reports.render.markup import MISSING, fixed, listed, spread
from timellama.reports.render.origin import first_seen, name_columns, provenance
from timellama.reports.render.table_model import (
    NO_NUMBERS,
    NO_REASONS,
    VALUES_PER_PANEL,
    Published,
    marking,
    marks,
    panels,
)
from timellama.results.aggregate import (
    PAIR,
    backbone_order,
    paired,
    published_numbers,
    relative_changes,
    summarise,
    with_published,
)
from timellama.results.numbers import numbers_of
from timellama.results.statistics.inference import CONFIDENCE
from timellama.results.statistics.uncertainty import Estimate, holm, of_pairs, of_seeds, seed_means
from timellama.training.scores.metric_objects import BUILT_IN, MSE

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
    """A column for `variants`: test windows forecast per second in the fastest run, which other work slowed least."""
    timed = frame[frame["seconds_evaluate"] > 0]
    fastest = (timed["n_windows"] / timed["seconds_evaluate"]).groupby([timed[key] for key in ROW]).max()
    return {row: Cell(text=f"{windows:.0f}", value=windows) for row, windows in fastest.items()}


def pooled(frame: pd.DataFrame, *, reference: str, backbone: str | None = None, metric: str = MSE.name) -> Column:
    """A column for `variants`: the difference from the reference in per cent, over all cells and seeds together.

    Runs with the same data set, horizon, context and seed are paired, as (ours - reference) / reference; the number is
    the mean over the seeds of a cell, then over cells. The 95 % t interval is over the seeds of each data set; there is
    none where one has a single seed. Stars are Holm-corrected over the column.
    """
    rows = dict(iter(frame.groupby(ROW)))
    found = {}
    for row, runs in rows.items():
        against = opposite(frame, row, reference=reference, backbone=backbone)
        if row == against or against not in rows:
            continue
        change = relative_changes(runs, rows[against], metric)
        if len(change) > 1:
            found[row] = _over_cells(change), len(change)
    starred = _starred({row: estimate for row, (estimate, _) in found.items()})
    cells = {}
    for row, (estimate, pairs) in found.items():
        half = estimate.ends()[1] - estimate.value
        star = "*" if row in starred else ""
        text = f"{fixed(estimate.value, 1, signed=True)}{star} {spread(half, 1)} ({pairs})".replace("  ", " ")
        cells[row] = Cell(text=text, value=estimate.value)
    return cells


def _over_cells(change: pd.Series) -> Estimate:
    """The mean over cells of the changes by `PAIR`, with the variation over the seeds of each data set."""
    by_dataset: dict[str, list[dict[int, float]]] = {}
    for cell, pairs in change.groupby([name for name in PAIR if name != "seed"]):
        by_dataset.setdefault(cell[0], []).append(dict(zip(pairs.index.get_level_values("seed"), pairs, strict=True)))
    cells = [cell for of in by_dataset.values() for cell in of]
    value = math.fsum(math.fsum(cell.values()) / len(cell) for cell in cells) / len(cells)
    groups = [seed_means(of) for of in by_dataset.values()]
    return Estimate(value=value, part=of_seeds(groups, [len(of) / len(cells) for of in by_dataset.values()]))


def _starred(found: Mapping[Any, Estimate]) -> set[Any]:
    """Those significantly different from 0, Holm-corrected over the whole family."""
    adjusted = holm([estimate.p() for estimate in found.values()])
    return {key for key, p in zip(found, adjusted, strict=True) if p <= 1 - CONFIDENCE}


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
        self.found = self.differences()
        self.starred = _starred(self.found)

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

    def differences(self) -> dict[tuple[Place, Variant], Estimate]:
        """Ours - reference for each cell with two common seeds; none for the reference itself."""
        found = {}
        for place, row in itertools.product(self.places, self.rows):
            ours, theirs = (*place, *row), (*place, *self.opposite(row))
            if row == self.opposite(row) or ours not in self.runs or theirs not in self.runs:
                continue
            pairs = paired(self.runs[ours], self.runs[theirs], self.metric)
            if len(pairs) > 1:
                found[place, row] = of_pairs(pairs.tolist())
        return found

    def difference(self, place: Place, row: Variant) -> Cell:
        """Ours - reference with its interval; a dash for the reference itself and below two common seeds."""
        if (place, row) not in self.found:
            return Cell(text=MISSING)
        estimate = self.found[place, row]
        star = "*" if (place, row) in self.starred else ""
        text = fixed(estimate.value, self.decimals + 1, signed=True) + star
        half = estimate.ends()[1] - estimate.value
        return Cell(text=text, value=estimate.value, spread=spread(half, self.decimals + 1))

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
    """A heading broken at the space nearest to its middle, so that its column is no wider than necessary."""
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
    reasons: Reasons = NO_REASONS,
) -> Table:
    """Variants as rows, (data set, horizon) as columns: the metric, and how far each is from the variant `reference`.

    The difference is paired: ours - reference for each seed that both have, with the 95 % t interval of its mean; it is
    a dash below two such seeds. A variant is compared with the reference on `backbone` or, where that is None, on its
    own backbone, or on the only one that the reference has. `frame` comes from `collect`; `published` is the paper's
    table, called `source` in the notes; `extras` are more columns: heading to row to cell; `explained` are the notes on
    them; `labels` are the names of variants that have no run; `floors` are those that come last, below a rule;
    `reasons` are why cells have no result.

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
    lines = [row for block in blocks for group in block.groups for entry in group for row in entry]
    texts = [cell.text for row in lines for cell in row]
    starred = any(text.endswith("*") or "* " in text for text in texts)
    star = ""
    if starred:
        star = ", a star means significantly different from 0 at a family-wise level of 5 %"
    elif any(cell.spread for row in lines for cell in row[3::2]):
        star = ", and no difference is significant at a family-wise level of 5 %"
    caption = f"{said.titled(title)} Difference: from {name} with the same seeds; above 0 is worse{star}."
    named = {grid.names.get(row, row[0]): row[0] for row in grid.rows}
    without = [
        (place, grid.names.get(row, row[0]))
        for place, row in itertools.product(grid.places, grid.rows)
        if (*place, *row) not in grid.cells
    ]
    reading = [
        *dashes.notes(without, reasons=reasons, planned=planned, rows=grid.places, variants=named),
        f"{BUILT_IN[metric].label}: mean over the seeds, \N{PLUS-MINUS SIGN} their standard deviation "
        "(n \N{MINUS SIGN} 1)."
        + marking(blocks, " Bold: the lowest mean of a column (not tested); underlined: the next."),
        "Difference: the mean over the seeds that both have, \N{PLUS-MINUS SIGN} half the width of its 95 % t "
        "interval. A dash: fewer than two such seeds. Stars are Holm-corrected over the table, so an interval may "
        "exclude 0 without one.",
        *explained,
        "Below the rule: the floor, which a trained model has to beat."
        if any(row[0] in floors for row in grid.rows)
        else "",
        *said.notes,
        f"Paper: its {source}, with the plain difference." if any(row[1].text == "paper" for row in lines) else "",
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
