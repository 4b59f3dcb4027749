"""What the language model is worth: the error with it, without it, and with something else in its place.

The controls are those of Tan et al. 2024, arXiv 2406.16964: no blocks at all, one attention layer, or the same blocks
with random weights, frozen. iTransformer is shown beside them, since its tokens are variates too, and it has no
language model. `docs/open_questions.md` says what can be concluded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from timellama.reports.render import style
from timellama.reports.render.origin import first_seen, name_columns, provenance
from timellama.reports.report import ReportContext
from timellama.reports.selection import CONTROLS, OTHER, OURS
from timellama.results.aggregate import collect, summarise
from timellama.training.scores.metric_objects import MSE

SHOWN = (OURS, *CONTROLS, OTHER)
PLACE = ["train_percent", "dataset", "horizon", "context"]
LEAST, MARK, MARGIN = 0.3, 0.085, 0.6  # inches: of a row, of a mark in it, of a panel's title and axis
SPREAD = 0.64  # our choice: share of a row's height over which its methods are stacked
READING = (
    f"Mark: mean test {MSE.label} over seeds; thin line: a seed. A row is a horizon at which Time-LlaMA and one of its "
    "controls were run; each panel has its own scale."
)


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure and the remark on it. Raises InputError as `aggregate.collect` does."""
    runs = compared(given.files, methods=given.facts["methods"])
    facts = given.facts
    told = [facts["remark"], READING, *_counts(runs)] if len(runs) else [facts["remark"]]
    if len(runs):
        summary = pd.concat([summarise(of, [MSE.name]) for _, of in runs.groupby("experiment", sort=False)])
        told.append(provenance(summary, configuration=facts["configuration"], generated=facts["generated"]))
    else:
        told.append(f"Configuration: {facts['configuration']}.")
    return llm_worth(runs), "\n".join(filter(None, told))


def compared(files: Mapping[str, Sequence[Path]], *, methods: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The runs of each place (share of rows, data set, horizon, look-back) that has ours and a control.

    Experiments may give a method different settings, so each place uses one experiment: the one with the most of these
    methods there, or the first of several such. `name` is what the legend calls a run.
    """
    frames = [
        collect(paths, methods=methods).assign(experiment=experiment) for experiment, paths in files.items() if paths
    ]
    if not frames:
        return pd.DataFrame()
    runs = pd.concat(frames, ignore_index=True)
    runs = runs[runs["variant"].isin(SHOWN)]
    chosen = []
    for _, place in runs.groupby(PLACE, sort=False):
        kinds = place.groupby("experiment", sort=False)["variant"].agg(set)
        best = max(kinds.index, key=lambda experiment: len(kinds[experiment]))
        if OURS in kinds[best] and kinds[best] & set(CONTROLS):
            chosen.append(place[place["experiment"] == best])
    if not chosen:
        return pd.DataFrame()
    found = pd.concat(chosen, ignore_index=True)
    return found.assign(name=name_columns(found))


def llm_worth(runs: pd.DataFrame) -> Figure:
    """One panel per share of the training rows and data set, a row per horizon, a mark at each method's mean error.

    Each panel has its own axis, as the errors of data sets differ by more than those of methods.
    """
    if runs.empty:
        return style.blank("llm_worth: Time-LlaMA has no result beside one of its controls")
    order = [name for variant in SHOWN for name in first_seen(runs.loc[runs["variant"] == variant, "name"])]
    looks = style.looks(order)
    panels = [
        part
        for _, of in sorted(runs.groupby("train_percent"), key=lambda share: -share[0])
        for _, part in of.groupby("dataset", sort=False)
    ]
    columns = min(2, len(panels))
    beside = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    heights = [max(len(_cells(of)) for of in line) for line in beside]
    row = max(LEAST, MARK * len(order))
    with style.theme():
        canvas = style.canvas(
            style.PAGE if columns > 1 else style.COLUMN + 1, 0.4 + sum(MARGIN + row * height for height in heights)
        )
        grid = canvas.subplots(len(beside), columns, squeeze=False, height_ratios=heights).flat
        axes = [next(grid) for _ in panels]
        for unused in grid:
            unused.remove()
        for axis, of in zip(axes, panels, strict=True):
            _panel(axis, of, _cells(of), looks)
        shown = dict(pair for axis in axes for pair in zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        names = [name for name in order if name in shown]
        legend = canvas.legend([shown[name] for name in names], names, loc="outside upper center", ncols=3)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return canvas


def _cells(runs: pd.DataFrame) -> list[tuple[int, int]]:
    """Horizon and look-back of each row of a panel."""
    return first_seen(runs[["horizon", "context"]].itertuples(index=False, name=None))


def _panel(axis: Axes, runs: pd.DataFrame, cells: Sequence[tuple[int, int]], looks: Mapping[str, style.Look]) -> None:
    step = SPREAD / max(len(looks) - 1, 1)
    for place in range(0, len(cells), 2):
        axis.axhspan(place - 0.5, place + 0.5, color="0.94", linewidth=0)
    for number, (name, look) in enumerate(looks.items()):
        here = runs[runs["name"] == name]
        means, heights = [], []
        for place, (horizon, context) in enumerate(cells):
            errors = here.loc[(here["horizon"] == horizon) & (here["context"] == context), MSE.name]
            if errors.empty:
                continue
            height = place + (number - (len(looks) - 1) / 2) * step
            axis.vlines(errors, height - step / 2, height + step / 2, color=look.color, linewidth=0.7)
            means.append(errors.mean())
            heights.append(height)
        if means:
            axis.plot(
                means,
                heights,
                linestyle="none",
                marker=look.marker,
                color=look.color,
                markeredgecolor="black",
                markeredgewidth=0.4,
                markersize=4,
                label=name,
            )
    several = len({context for _, context in cells}) > 1
    axis.set_yticks(range(len(cells)), [f"H {h}" + (f", T {t}" if several else "") for h, t in cells])
    axis.tick_params(axis="y", length=0)
    [(dataset, share)] = {*runs[["dataset", "train_percent"]].itertuples(index=False, name=None)}
    rows = "all training rows" if share == 100 else f"{share} % of the training rows"
    axis.set_title(f"{dataset}, {rows}").set_parse_math(False)
    axis.set_ylim(len(cells) - 0.5, -0.5)
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.set_xlabel(f"test {MSE.label}")


def _counts(runs: pd.DataFrame) -> list[str]:
    """In how many rows each other method has the lower mean error; on the same language model where both have one."""
    means = runs.groupby([*PLACE, "variant", "name", "backbone"], sort=False)[MSE.name].mean().reset_index()
    ours = means[means["variant"] == OURS]
    lines = []
    for variant in SHOWN[1:]:
        pairs = ours.merge(means[means["variant"] == variant], on=PLACE, suffixes=("", "_other"))
        model = pairs["backbone_other"].str.replace(r" \(.*", "", regex=True)
        pairs = pairs[(model == "") | (model == pairs["backbone"].str.replace(r" \(.*", "", regex=True))]
        lower = int((pairs[f"{MSE.name}_other"] < pairs[MSE.name]).sum())
        if len(pairs):
            label = runs.loc[runs["variant"] == variant, "label"].iloc[0]
            lines.append(f"{label}: a lower mean than Time-LlaMA's in {lower} of {len(pairs)} rows.")
    return lines
