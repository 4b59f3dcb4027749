"""Tables of variants: how far each is from one reference, seed by seed (the paper's table 5, and tables of our own).

Two variants with one seed see the same batches in the same order, so their errors move together, and the difference of
each pair has less noise than the difference of two means. The interval is Student's, of the mean difference.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from timellama.aggregate import paired_difference, summarise, with_published
from timellama.errors import InputError
from timellama.markup import MISSING, Block, Cell, Entry, Row, Table, fixed, listed, spread
from timellama.tables import (
    DECIMALS,
    NAMES,
    VALUES_PER_PANEL,
    Planned,
    first_seen,
    marks,
    name_columns,
    panels,
    provenance,
)

Place = tuple[str, int, int]  # data set, horizon, context
Variant = tuple[str, str]  # variant, backbone


def collapsed(frame: pd.DataFrame) -> dict[str, str]:
    """A column for `variants`: in how many routed blocks the router collapsed, from the best run to the worst."""
    texts = {}
    for variant, runs in frame.dropna(subset="collapsed_blocks").groupby("variant"):
        low, high = int(runs["collapsed_blocks"].min()), int(runs["collapsed_blocks"].max())
        blocks = listed(sorted({int(count) for count in runs["routed_blocks"]}))
        texts[variant] = f"{low if low == high else f'{low} to {high}'} of {blocks}"
    return texts


def trainable(frame: pd.DataFrame) -> dict[str, str]:
    """A column for `variants`: trained parameters in thousands, from the smallest run to the largest."""
    texts = {}
    for variant, runs in frame.groupby("variant"):
        counts = runs["parameters_trainable"]
        low, high = (f"{count / 1000:.1f}" for count in (counts.min(), counts.max()))
        texts[variant] = low if low == high else f"{low} to {high}"
    return texts


class _Variants:
    """The cells of a table of variants."""

    def __init__(self, frame: pd.DataFrame, summary: pd.DataFrame, planned: Planned, reference: str, metric: str):
        keys = ["dataset", "horizon", "context", "variant", "backbone"]
        self.cells = {tuple(row[key] for key in keys): row for row in summary.to_dict("records")}
        self.runs = dict(iter(frame.groupby(keys)))
        self.reference, self.metric, self.decimals = reference, metric, DECIMALS[metric]
        wanted = [(dataset, horizon, context) for dataset, context, horizon, _ in planned]
        self.places: list[Place] = first_seen([*wanted, *(key[:3] for key in self.cells)])
        used: dict[str, list[str]] = {
            variant: [] for variant in first_seen([*(v for *_, v in planned), *summary["variant"]])
        }
        for variant, backbone in sorted(key[3:] for key in self.cells):
            used[variant] = first_seen([*used[variant], backbone])
        self.rows: list[Variant] = [(variant, backbone) for variant in used for backbone in used[variant] or [""]]
        self.reference_backbones = used[reference]
        self.names = {(row["variant"], row["backbone"]): row["name"] for row in self.cells.values()}

    def field(self, place: Place, row: Variant, name: str) -> float:
        """A field of a cell; NaN where there is no result."""
        return self.cells.get((*place, *row), {}).get(f"{self.metric}_{name}", math.nan)

    def opposite(self, row: Variant) -> Variant:
        """The reference that a row is compared with: on its own backbone, or on the only one that the reference has."""
        alone = self.reference_backbones[0] if len(self.reference_backbones) == 1 else row[1]
        return self.reference, row[1] if row[1] in self.reference_backbones else alone

    def marked(self, place: Place) -> dict[Variant, str]:
        """The mark of each row in one column."""
        texts = [fixed(self.field(place, row, "mean"), self.decimals) for row in self.rows]
        return dict(zip(self.rows, marks(texts), strict=True))

    def difference(self, place: Place, row: Variant) -> Cell:
        """Ours - reference with its interval; a dash for the reference itself and below two common seeds."""
        ours, theirs = (*place, *row), (*place, *self.opposite(row))
        if row[0] == self.reference or ours not in self.runs or theirs not in self.runs:
            return Cell(text=MISSING)
        mean, half, pairs = paired_difference(self.runs[ours], self.runs[theirs], self.metric)
        if pairs < 2:
            return Cell(text=MISSING)
        star = "*" if abs(mean) > half else ""
        return Cell(text=fixed(mean, self.decimals + 1, signed=True) + star, spread=spread(half, self.decimals + 1))

    def lines(self, row: Variant, places: Sequence[Place], *, width: int, more: Sequence[str]) -> Entry:
        """Ours, and below it the paper's numbers and differences where it has any."""
        ours: list[Cell] = []
        paper: list[Cell] = []
        for place in places:
            mark = self.marked(place)[row]
            text = fixed(self.field(place, row, "mean"), self.decimals)
            deviation = spread(self.field(place, row, "std"), self.decimals)
            ours.append(Cell(text=text, spread=deviation, bold=mark == "best", underline=mark == "second"))
            ours.append(self.difference(place, row))
            number = self.field(place, row, "paper")
            gap = math.nan if row[0] == self.reference else number - self.field(place, self.opposite(row), "paper")
            paper.append(Cell(text=fixed(number, self.decimals)))
            paper.append(Cell(text=fixed(gap, self.decimals, signed=True)))
        fill = (Cell(),) * (width - len(ours))
        head = Cell(text=self.names.get(row, row[0]))
        body: list[Row] = [(head, Cell(text="ours"), *ours, *fill, *(Cell(text=text) for text in more))]
        if any(cell.text != MISSING for cell in paper):
            body.append((Cell(), Cell(text="paper"), *paper, *fill, *[Cell()] * len(more)))
        return tuple(body)


def variants(
    frame: pd.DataFrame,
    *,
    title: str,
    label: str,
    reference: str,
    configuration: str,
    planned: Planned,
    metric: str = "mse",
    published: Path | None = None,
    source: str = "",
    extras: Mapping[str, Mapping[str, str]] | None = None,
    generated: Collection[str] = (),
) -> Table:
    """Variants as rows, (data set, horizon) as columns: the metric, and how far each is from the variant `reference`.

    The difference is paired: ours - reference for each seed that both have, with the 95 % t interval of its mean; it is
    a dash below two such seeds. A variant is compared with the reference on its own backbone, or on the only one that
    the reference has. `frame` comes from `collect`; `published` is the paper's table, called `source` in the caption;
    `extras` are more columns: heading to variant to text.

    Raises:
        InputError: no run is of the reference; else as `summarise` and `with_published`.
    """
    summary = summarise(frame, [metric])
    if reference not in set(summary["variant"]):
        raise InputError(f"There is no run of the reference {reference!r}: add it to the experiment, or name another.")
    if published is not None:
        summary = with_published(summary, published)
    grid = _Variants(frame, summary.assign(name=name_columns(summary)), planned, reference, metric)
    parts = panels(grid.places, VALUES_PER_PANEL // 2)
    width = 2 * max(len(part) for part in parts)
    headings = list(extras or {})
    contexts = {place[2] for place in grid.places}
    blocks = []
    for part in parts:
        fill, more = (Cell(),) * (width - 2 * len(part)), [Cell()] * len(headings)
        names = [f"{d}, H {h}" + (f", T {t}" if len(contexts) > 1 else "") for d, h, t in part]
        pair = (Cell(text=NAMES[metric]), Cell(text="difference"))
        header = (
            (Cell(), Cell(), *(Cell(text=name, span=2) for name in names), *fill, *more),
            (Cell(text="Variant"), Cell(), *pair * len(part), *fill, *(Cell(text=text) for text in headings)),
        )
        rows = []
        for row in grid.rows:
            texts = [extras[heading].get(row[0], MISSING) for heading in headings] if extras else []
            rows.append(grid.lines(row, part, width=width, more=texts))
        blocks.append(Block(header=header, groups=(tuple(rows),)))
    name = summary.loc[summary["variant"] == reference, "label"].iloc[0]
    reading = [
        title,
        f"{NAMES[metric]}: mean over the seeds, \N{PLUS-MINUS SIGN} their standard deviation (n \N{MINUS SIGN} 1); "
        "bold: the lowest of a column, underlined: the next.",
        f"Difference: from {name}, paired by seed, \N{PLUS-MINUS SIGN} half the width of the 95 % t interval of its "
        "mean; above 0 is worse. A star: the interval leaves out 0. A dash: fewer than two common seeds.",
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
        caption=" ".join(sentence for sentence in [*reading, windows, origin] if sentence),
        label=label,
    )
