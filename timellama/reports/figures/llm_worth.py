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
    f"Mark: mean test {MSE.label} over seeds; thin line: a seed. A row is a data set and horizon at which Time-LlaMA "
    "and one of its controls were run."
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
    """One panel per share of the training rows, a row per data set and horizon, a mark at each method's mean error."""
    if runs.empty:
        return style.blank("llm_worth: Time-LlaMA has no result beside one of its controls")
    order = [name for variant in SHOWN for name in first_seen(runs.loc[runs["variant"] == variant, "name"])]
    looks = style.looks(order)
    shares = sorted(set(runs["train_percent"]), reverse=True)
    cells = {share: _cells(runs[runs["train_percent"] == share]) for share in shares}
    row = max(LEAST, MARK * len(order))
    with style.theme():
        canvas = style.canvas(
            style.PAGE if len(shares) > 1 else style.COLUMN + 1, MARGIN + 0.4 + row * max(map(len, cells.values()))
        )
        axes = canvas.subplots(1, len(shares), squeeze=False)[0]
        for axis, share in zip(axes, shares, strict=True):
            _panel(axis, runs[runs["train_percent"] == share], cells[share], looks)
            axis.set_title("all training rows" if share == 100 else f"{share} % of the training rows")
        shown = dict(pair for axis in axes for pair in zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        names = [name for name in order if name in shown]
        legend = canvas.legend([shown[name] for name in names], names, loc="outside upper center", ncols=3)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return canvas


def _cells(runs: pd.DataFrame) -> list[tuple[str, int, int]]:
    return first_seen(runs[["dataset", "horizon", "context"]].itertuples(index=False, name=None))


def _panel(
    axis: Axes, runs: pd.DataFrame, cells: Sequence[tuple[str, int, int]], looks: Mapping[str, style.Look]
) -> None:
    step = SPREAD / max(len(looks) - 1, 1)
    for place in range(0, len(cells), 2):
        axis.axhspan(place - 0.5, place + 0.5, color="0.94", linewidth=0)
    for number, (name, look) in enumerate(looks.items()):
        here = runs[runs["name"] == name]
        means, heights = [], []
        for (dataset, horizon, context), place in ((cell, cells.index(cell)) for cell in cells):
            of = (here["dataset"] == dataset) & (here["horizon"] == horizon) & (here["context"] == context)
            errors = here.loc[of, MSE.name]
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
    several = {cell[:2] for cell in cells if sum(other[:2] == cell[:2] for other in cells) > 1}
    labels = [f"{d} {h}" + (f", T {t}" if (d, h) in several else "") for d, h, t in cells]
    axis.set_yticks(range(len(cells)), labels)
    for text in axis.get_yticklabels():
        text.set_parse_math(False)
    axis.tick_params(axis="y", length=0)
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
