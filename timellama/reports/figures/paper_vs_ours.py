"""Ours against the paper's, cell by cell: how far each of our MSEs is from the number that the paper prints."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timellama.reports.claims.rules import PAPER_BACKBONE, PARTS
from timellama.reports.render import style
from timellama.reports.render.origin import name_columns, provenance
from timellama.results.aggregate import collect, summarise, with_published
from timellama.training.scores.metric_objects import MSE

METRIC = MSE.name
TITLES = {
    "long_term": "Table 1: all training rows",
    "few_shot": "Table 3: 5 % of the rows",
    "ablation": "Table 5: ablation, 5 %",
}
MARK, LEAST, MARGIN = 0.075, 0.23, 0.55  # inches: of a mark in a row, of a row, of a panel's title and axis
SPREAD = 0.62  # our choice: share of a row's height over which its methods are stacked


def read_parts(
    files: Mapping[str, Sequence[Path]], *, published: Path, methods: Mapping[str, Mapping[str, Any]]
) -> dict[str, pd.DataFrame]:
    """The cells of each experiment of `TITLES` for which the paper has an MSE, with both numbers.

    `files` are the runs' `metrics.json` by experiment, `published` is the folder of the paper's tables.
    Raises InputError as `aggregate` does.
    """
    frames = {name: collect(files[name], methods=methods) for name in TITLES if files.get(name)}
    return {name: part for name, frame in frames.items() if len(part := beside_paper(frame, name, published=published))}


def beside_paper(frame: pd.DataFrame, experiment: str, *, published: Path) -> pd.DataFrame:
    """The summary of the rows of `aggregate.collect`, limited to the cells for which the paper has an MSE."""
    part = PARTS[experiment]
    frame = frame[frame["train_percent"] == part.train_percent]
    if frame.empty:
        return frame
    summary = with_published(summarise(frame, [METRIC]), published / part.published)
    return summary[summary[f"{METRIC}_paper"].notna()]


def paper_vs_ours(parts: Mapping[str, pd.DataFrame]) -> Figure:
    """A panel per table of the paper, a row per data set and horizon, a mark at each method's gap to the paper's MSE.

    `parts` are the rows of `beside_paper` by experiment. The whisker is the standard deviation over seeds.
    """
    shown = {name: _named(parts[name]) for name in TITLES if name in parts and len(parts[name])}
    if not shown:
        return style.blank("paper_vs_ours: no run has a result in a cell for which the paper has a number")
    looks = _looks(list(shown.values()))
    with style.theme():
        # The first panel is on the left; the others, which are shorter, are stacked to its right.
        first, *rest = shown
        heights = [_height(shown[name]) for name in rest]
        height = max(_height(shown[first]), sum(heights))
        figure = style.canvas(style.PAGE if rest else style.COLUMN + 1, height + 0.5)
        left, *right = figure.subfigures(1, 2 if rest else 1, squeeze=False)[0]
        # The space below the first panel stays empty, so that its rows are no higher than those of the others.
        empty = height - _height(shown[first])
        places = [height - empty, empty] if empty > LEAST else [height]
        above = left.subplots(len(places), 1, squeeze=False, height_ratios=places)
        axes = {first: above[0, 0]}
        for axis in above[1:, 0]:
            axis.set_axis_off()
        if rest:
            below = right[0].subplots(len(rest), 1, squeeze=False, height_ratios=heights)[:, 0]
            axes |= dict(zip(rest, below, strict=True))
        for name, part in shown.items():
            _panel(axes[name], part, looks)
            axes[name].set_title(TITLES[name], parse_math=False)
        handles = {
            label: line for axis in axes.values() for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        columns = 6 if rest else 3
        legend = figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=min(len(handles), columns)
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _named(part: pd.DataFrame) -> pd.DataFrame:
    """Adds the name of each mark: the table's column, with the look-back where it is not the data set's usual one."""
    usual = part.groupby("dataset")["context"].transform(lambda contexts: contexts.mode().iloc[0])
    unusual = part["context"] != usual
    names = name_columns(part)
    return part.assign(column=names, name=names.where(~unusual, names + ", T " + part["context"].astype(str)))


def _looks(parts: Sequence[pd.DataFrame]) -> dict[str, tuple[str, str, str]]:
    """Colour, marker and filling of each name, in the order of the legend: Time-LlaMA, other methods, variants.

    A variant of the ablation is drawn as its number, and a method at another look-back hollow in its own colour.
    """
    named = pd.concat(parts)[["name", "column"]].drop_duplicates()
    order = list(style.METHODS)
    rank = {name: (order.index(name) if name in order else len(order), name) for name in named["column"]}
    found = style.looks(sorted(rank, key=rank.__getitem__))
    looks = {}
    for column, look in found.items():
        number = column.removeprefix("Time-LlaMA-")
        marker = f"${number}$" if number.isdecimal() else look.marker
        for name in sorted(named.loc[named["column"] == column, "name"]):
            looks[name] = (look.color, marker, look.color if name == column else "white")
    return looks


def _height(part: pd.DataFrame) -> float:
    """Inches that a panel needs."""
    rows, names = part[["dataset", "horizon"]].drop_duplicates(), part["name"].nunique()
    return MARGIN + len(rows) * max(LEAST, MARK * names)


def _panel(axis: Axes, part: pd.DataFrame, looks: Mapping[str, tuple[str, str, str]]) -> None:
    cells = list(part[["dataset", "horizon"]].drop_duplicates().itertuples(index=False, name=None))
    names = [name for name in looks if name in set(part["name"])]
    step = SPREAD / max(len(names) - 1, 1)
    for place in range(0, len(cells), 2):
        axis.axhspan(place - 0.5, place + 0.5, color="0.94", linewidth=0)
    axis.axvline(0, color="black", linewidth=0.8)
    for number, name in enumerate(names):
        here, (color, marker, filling) = part[part["name"] == name], looks[name]
        digit = marker.startswith("$")
        offset = (number - (len(names) - 1) / 2) * step
        places = [
            cells.index(cell) + offset for cell in here[["dataset", "horizon"]].itertuples(index=False, name=None)
        ]
        spread = (here[f"{METRIC}_std"] / here[f"{METRIC}_paper"] * 100).fillna(0)
        axis.errorbar(
            here[f"{METRIC}_gap"],
            places,
            xerr=spread,
            linestyle="none",
            marker=marker,
            color=color,
            markerfacecolor="black" if digit else filling,
            markeredgecolor=color if filling != color else "black",
            markeredgewidth=0.3 if digit else 0.5,
            markersize=5 if digit else 4,
            elinewidth=0.8,
            label=name,
        )
    axis.set_yticks(range(len(cells)), [f"{dataset} {horizon}" for dataset, horizon in cells])
    for text in axis.get_yticklabels():
        text.set_parse_math(False)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(cells) - 0.5, -0.5)
    axis.set_xlabel(f"{MSE.label}: (ours \N{MINUS SIGN} paper) / paper, %")


def origin(parts: Mapping[str, pd.DataFrame], *, configuration: str, generated: Collection[str]) -> str:
    """How to read the figure, and where its numbers come from."""
    if not parts:
        return f"Configuration: {configuration}."
    reading = (
        f"Right of 0 our {MSE.label} is above the paper's. Mark: mean over seeds; whisker: their standard deviation. "
        f"The paper's language model: {PAPER_BACKBONE}."
    )
    runs = pd.concat(parts.values())
    return f"{reading}\n{provenance(runs, configuration=configuration, generated=generated)}"


def remark(parts: Mapping[str, pd.DataFrame], *, facts: Mapping[str, Any]) -> str:
    """The same, and how many runs are missing; `facts` as for `of_experiments.errors`."""
    text = origin(parts, configuration=facts["configuration"], generated=facts["generated"])
    return "\n".join(filter(None, (facts["remark"], text)))
