"""The test error by one setting of a method: its active modules, the blocks of its language model, its prompt."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from timellama.core.errors import InputError
from timellama.reports.figures import of_runs
from timellama.reports.figures.panels import legend, panels
from timellama.reports.render import style
from timellama.reports.report import ReportContext
from timellama.results.aggregate import OTHER_NAMES, collect, describe_backbone
from timellama.results.read.run_files import read_rows
from timellama.training.scores.metric_objects import MSE

WHISKERS = "Whiskers: standard deviation over seeds (n \N{MINUS SIGN} 1); none with one seed."
DOTS = "A dot is a seed; the bar is their mean."


def active_loras(given: ReportContext) -> tuple[Figure, str]:
    """The figure, with the paper's line, and the remark on it.

    Raises InputError as `aggregate.collect` and `draw_active_loras` do.
    """
    return _built(given, lambda frame: draw_active_loras(frame, published=given.published[0]), reading=WHISKERS)


def draw_active_loras(frame: pd.DataFrame, *, published: Path | None = None) -> Figure:
    """The paper's figure 2: test MSE against n, the active modules of a block; mean and standard deviation over seeds.

    `frame` comes from `aggregate.collect`; the dashed line is read off the paper's plot.

    Raises:
        InputError: a run's method has no `active`, or the paper's file cannot be read.
    """
    theirs: dict[tuple[str, int], tuple[list[int], list[float]]] = {}
    if published is not None:
        columns = ["dataset", "horizon", "n", "mse_read_off_the_plot"]
        for row in read_rows(published, columns)[columns].itertuples(index=False, name=None):
            numbers, errors = theirs.setdefault(row[:2], ([], []))
            numbers.append(row[2])
            errors.append(row[3])
    return _against(
        frame, setting=("options", "active"), axis_label="n, active modules", published=theirs, paper="paper, figure 2"
    )


def depth(given: ReportContext) -> tuple[Figure, str]:
    """The figure and the remark on it. Raises InputError as `aggregate.collect` and `draw_depth` do."""
    return _built(given, draw_depth, reading=WHISKERS)


def draw_depth(frame: pd.DataFrame) -> Figure:
    """Test MSE against L, the number of backbone blocks; mean and standard deviation over seeds.

    Raises:
        InputError: a run has no backbone.
    """
    return _against(
        frame, setting=("backbone", "blocks"), axis_label="L, blocks of the backbone", published={}, paper=""
    )


def prompts(given: ReportContext) -> tuple[Figure, str]:
    """The figure and the remark on it. Raises InputError as `aggregate.collect` does."""
    return _built(given, draw_prompts, reading=DOTS)


def draw_prompts(frame: pd.DataFrame) -> Figure:
    """Test MSE of each variant, one dot per seed and a bar at the mean; one panel per (data set, horizon).

    The scale does not start at 0: a prompt's effect is small compared with the error.
    """
    several = frame["backbone"].nunique() > 1
    names = [f"{row.label}, {row.backbone}" if several and row.backbone else row.label for row in frame.itertuples()]
    table = frame.assign(name=names)
    order = list(dict.fromkeys(names))
    looks = style.looks(order)
    places = list(dict.fromkeys(table[["dataset", "horizon"]].itertuples(index=False, name=None)))
    with style.theme():
        figure, axes = panels(len(places), height=0.7 + 0.25 * len(order), across=2)
        for number, (axis, (dataset, horizon)) in enumerate(zip(axes, places, strict=True)):
            here = table[(table["dataset"] == dataset) & (table["horizon"] == horizon)]
            for height, name in enumerate(order):
                values = here.loc[here["name"] == name, MSE.name]
                look = looks[name]
                axis.plot(values, [height] * len(values), look.marker, color=look.color, alpha=0.8)
                axis.plot([values.mean()] * 2, [height - 0.3, height + 0.3], color="black", linewidth=0.9)
            axis.set_yticks(range(len(order)), order if number % 2 == 0 else [""] * len(order))
            for text in axis.get_yticklabels():
                text.set_parse_math(False)
            axis.set_ylim(len(order) - 0.5, -0.5)
            axis.xaxis.set_major_locator(MaxNLocator(3))
            axis.ticklabel_format(axis="x", useOffset=False)  # an offset would overlap the label
            axis.set_title(f"{dataset}, H {horizon}", parse_math=False)
            axis.set_xlabel(f"test {MSE.label}")
    return figure


def _built(given: ReportContext, draw: Callable[[pd.DataFrame], Figure], *, reading: str) -> tuple[Figure, str]:
    """What `draw` makes of the frame of `aggregate.collect`, and the remark on it."""
    if not given.paths:
        return of_runs.without_results(given.report.name, facts=given.facts)
    drawn = draw(collect(given.paths, methods=given.facts["methods"]))
    return drawn, of_runs.remark(given.paths, facts=given.facts, reading=reading)


def _against(
    frame: pd.DataFrame, *, setting: tuple[str, str], axis_label: str, published: Mapping, paper: str
) -> Figure:
    """MSE against a numeric setting: one panel per (data set, horizon), one line per backbone, the paper's dashed.

    `setting` is where the number is in a run; `published` maps (data set, horizon) to numbers and MSE.
    """
    rows, kept = [], []
    for row in frame.to_dict("records"):
        settings = json.loads(row["settings"])
        group, field = setting
        if settings.get(group) is None or field not in settings[group]:
            raise InputError(f"{row['path']} has no {group}.{field}. Give only runs whose method has this setting.")
        rows.append({**row, "x": settings[group].pop(field)})
        backbone = settings["backbone"] or {}
        name = describe_backbone({"blocks": "L", **backbone}) if backbone else row["label"]
        kept.append({"": name, **settings["options"]})
    # Runs that differ only in the setting are joined to one line; whatever else differs names the line.
    differing = [key for key in kept[0] if key == "" or len({str(options.get(key)) for options in kept}) > 1]
    lines = [", ".join(f"{key} {options.get(key)}".strip() for key in differing) for options in kept]
    table = pd.DataFrame(rows).assign(line=lines)
    looks = style.looks(sorted(set(table["line"])))
    places = list(dict.fromkeys(table[["dataset", "horizon"]].itertuples(index=False, name=None)))
    with style.theme():
        figure, axes = panels(len(places), height=1.9)
        for axis, (dataset, horizon) in zip(axes, places, strict=True):
            here = table[(table["dataset"] == dataset) & (table["horizon"] == horizon)]
            for line, values in here.groupby("line"):
                means = values.groupby("x")[MSE.name].agg(["mean", "std"])
                look = looks[line]
                drawn = {"color": look.color, "linestyle": look.linestyle, "marker": look.marker}
                axis.errorbar(means.index, means["mean"], yerr=means["std"].fillna(0), capsize=2, label=line, **drawn)
            theirs = published.get((dataset, horizon)) or published.get((OTHER_NAMES.get(dataset), horizon))
            if theirs:
                axis.plot(*theirs, color="black", linestyle="--", marker="x", label=paper)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axis.set_title(f"{dataset}, H {horizon}", parse_math=False)
            axis.set_xlabel(axis_label)
            axis.set_ylabel(f"test {MSE.label}")
        fullest = max(axes, key=lambda axis: len(axis.get_legend_handles_labels()[1]))
        legend(figure, fullest)
    return figure
