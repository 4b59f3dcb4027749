"""The figures of the benchmark, drawn from the files that runs write; `render/style.py` has their style.

Names of data sets, variates and methods are drawn as they are: none is parsed as a formula.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from timellama.core.errors import InputError
from timellama.reports.render import style
from timellama.results.aggregate import OTHER_NAMES, describe_backbone, read_metrics
from timellama.results.read.run_files import read_forecasts, read_rows
from timellama.training.scores.metric_objects import MSE

PANELS_ACROSS = 3  # our choice: panels of 2.3 inches on a page


def _legend(figure: Figure, axis: Axes, *, title: str | None = None) -> None:
    """One legend above all panels, of what `axis` shows; a repeated entry is shown once."""
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    legend = figure.legend(
        handles.values(), handles.keys(), title=title, loc="outside upper center", ncols=min(len(handles), 4)
    )
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)


def _panels(count: int, *, height: float, across: int = PANELS_ACROSS) -> tuple[Figure, list[Axes]]:
    """A page-wide figure of `count` panels; leftover places stay empty."""
    across = min(count, across)
    down = math.ceil(count / across)
    figure = style.canvas(style.PAGE if across > 1 else style.COLUMN, 0.7 + height * down)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, list(axes[:count])


def forecasts(runs: Sequence[tuple[str, Path]], *, dataset: str) -> Figure:
    """Forecasts of several methods for the same test windows: one row per window, one column per variate.

    The end of the look-back, half as long as the horizon, is drawn left of the forecast's origin. A label that several
    runs share is followed by the name of the run's folder.

    Raises:
        InputError: there is no run, or the runs do not show the same windows and truth.
    """
    if not runs:
        raise InputError(f"There are no forecasts of {dataset} to draw. Give at least one forecasts.npz.")
    labels = [label for label, _ in runs]
    names = [label if labels.count(label) == 1 else f"{label}, {Path(path).parent.name}" for label, path in runs]
    loaded = [read_forecasts(path) for _, path in runs]
    first = loaded[0]
    for (_, path), arrays in zip(runs, loaded, strict=True):
        same = np.array_equal(arrays["truth"], first["truth"], equal_nan=True)  # a missing target leaves a gap
        if not (same and all(np.array_equal(arrays[name], first[name]) for name in ("columns", "start"))):
            raise InputError(
                f"{path} and {runs[0][1]} do not show the same windows and variates, so they cannot share a figure. "
                "Give runs of one data set and horizon, and rerun those of an older version."
            )
    windows, horizon, variates = first["truth"].shape
    shown = min(max(horizon // 2, 1), first["context"].shape[1])
    looks = style.looks(names)
    with style.theme():
        figure = style.canvas(style.PAGE, 0.9 + 1.45 * windows)
        axes = figure.subplots(windows, variates, sharex=True, squeeze=False)
        past, future = np.arange(1 - shown, 1), np.arange(1, horizon + 1)
        for window in range(windows):
            for variate in range(variates):
                axis = axes[window, variate]
                axis.axvline(0.5, color="0.8", linewidth=0.6)
                axis.plot(past, first["context"][window, -shown:, variate], color=style.CONTEXT, label="look-back")
                axis.plot(future, first["truth"][window, :, variate], color=style.TRUTH, linewidth=1.2, label="truth")
                for number, (name, arrays) in enumerate(zip(names, loaded, strict=True)):
                    look = looks[name]
                    # The first method is drawn on top, where it can be followed.
                    line = {"color": look.color, "linestyle": look.linestyle, "zorder": 4 - number / 99}
                    axis.plot(future, arrays["forecast"][window, :, variate], label=name, linewidth=0.9, **line)
                if window == 0:
                    axis.set_title(str(first["columns"][variate]), parse_math=False)
            axes[window, 0].set_ylabel(f"test window {first['start'][window]}")
        figure.supylabel("standardised value", fontsize=8)
        figure.supxlabel("steps from the forecast's origin", fontsize=8)
        _legend(figure, axes[0, 0], title=f"{dataset}: forecasts of {horizon} steps")
    return figure


def _routers(paths: Sequence[Path]) -> dict[tuple[str, int, str], tuple[list[str], np.ndarray]]:
    """Modules and mean selection rates [L, E] over the runs of each (data set, horizon, backbone)."""
    rates: dict[tuple[str, int, str], list[np.ndarray]] = {}
    modules: dict[tuple[str, int, str], list[str]] = {}
    for path in paths:
        metrics = read_metrics(path)
        router: Mapping[str, Any] | None = metrics.get("router")
        if not router:
            raise InputError(f"{path} is from a run without a router. Give runs with dynamic adapters only.")
        run = metrics["run"]
        key = (run["dataset"], run["horizon"], describe_backbone(run["backbone"]))
        if modules.setdefault(key, router["modules"]) != router["modules"]:
            raise InputError(
                f"{path} routes other modules than the other runs of {key}. Give runs of one configuration."
            )
        rates.setdefault(key, []).append(np.array(router["selection_rate"]))
    if not rates:
        raise InputError("There are no routers to draw. Give at least one metrics.json of a run with dynamic adapters.")
    return {key: (modules[key], np.mean(arrays, axis=0)) for key, arrays in rates.items()}


def _router_title(key: tuple[str, int, str]) -> str:
    dataset, horizon, backbone = key
    return f"{dataset}, H {horizon}\n{backbone}"


def router_heatmap(paths: Sequence[Path]) -> Figure:
    """How often each block's router selects each module on the test windows, a panel per data set; mean over the runs.

    Raises:
        InputError: there is no run, or one has no router.
    """
    routers = _routers(paths)
    blocks = max(len(rates) for _, rates in routers.values())
    with style.theme():
        figure, axes = _panels(len(routers), height=max(1.5, 0.5 + 0.22 * blocks))
        for axis, (key, (modules, rates)) in zip(axes, routers.items(), strict=True):
            image = axis.imshow(rates * 100, cmap="cividis", vmin=0, vmax=100, aspect="auto")
            for (block, module), rate in np.ndenumerate(rates):
                # Light text on the dark half of the map.
                colour = "white" if rate < 0.5 else "black"
                axis.text(module, block, f"{rate * 100:.0f}", ha="center", va="center", fontsize=6, color=colour)
            axis.set_xticks(range(len(modules)), modules)
            axis.set_yticks(range(len(rates)), range(1, len(rates) + 1))
            axis.set_xlabel("module")
            axis.set_ylabel("block")
            axis.set_title(_router_title(key), parse_math=False)
        figure.colorbar(image, ax=axes, label="selected, % of windows", fraction=0.04)
    return figure


def lora_distribution(paths: Sequence[Path], *, published: Path | None = None) -> Figure:
    """Above: each module's share of all selections, beside the paper's figure 3. Below: how often it is selected.

    With n of E modules active, no share can be above 1/n, which is drawn: a share of at most 25 % at n = 4 says nothing
    about the router. The selection rate, which can be anything from 0 to 100 %, does.

    Raises:
        InputError: there is no run, or one has no router.
    """
    routers = _routers(paths)
    theirs: dict[tuple[str, int, str], float] = {}
    if published is not None:
        columns = ("dataset", "horizon", "module", "percent_read_off_the_plot")
        for row in read_rows(published, columns).to_dict("records"):
            theirs[row["dataset"], row["horizon"], row["module"]] = row["percent_read_off_the_plot"]
    with style.theme():
        figure = style.canvas(max(style.COLUMN, min(style.PAGE, 2.4 * len(routers))), 4.2)
        axes = figure.subplots(2, len(routers), squeeze=False, sharey="row")
        for (above, below), (key, (modules, rates)) in zip(axes.T, routers.items(), strict=True):
            places, rate = np.arange(len(modules)), rates.mean(axis=0)
            active = rates.sum(axis=1).mean()
            above.bar(places, rate / rate.sum() * 100, color=style.BLUE, width=0.7, label="ours")
            names = (key[0], OTHER_NAMES.get(key[0], key[0]))
            paper = [next((theirs[d, key[1], m] for d in names if (d, key[1], m) in theirs), math.nan) for m in modules]
            if not all(map(math.isnan, paper)):
                above.plot(places, paper, "D", color=style.ORANGE, markeredgecolor="black", label="paper, figure 3")
            above.axhline(
                100 / active, color="black", linestyle="--", linewidth=0.8, label="highest possible share: 1/n"
            )
            above.set_title(_router_title(key), parse_math=False)
            below.bar(places, rate * 100, color=style.SKY, width=0.7)
            spread = [np.abs(rates.min(axis=0) - rate) * 100, np.abs(rates.max(axis=0) - rate) * 100]
            below.errorbar(places, rate * 100, yerr=spread, fmt="none", color="black", linewidth=0.7, capsize=2)
            below.axhline(100 * active / len(modules), color="black", linestyle=":", linewidth=0.8)
            below.set_ylim(0, 105)
            below.set_xlabel(f"module (dotted: all equal, {active:.0f} of {len(modules)})")
            for axis in (above, below):
                axis.set_xticks(places, modules)
        axes[0, 0].set_ylabel("share of the selections, %")
        axes[1, 0].set_ylabel("windows that select it, %\n(whisker: lowest, highest block)")
        shown = next((axis for axis in axes[0] if len(axis.get_legend_handles_labels()[1]) > 2), axes[0, 0])
        _legend(figure, shown)
    return figure


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
        figure, axes = _panels(len(places), height=1.9)
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
        _legend(figure, fullest)
    return figure


def active_loras(frame: pd.DataFrame, *, published: Path | None = None) -> Figure:
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


def depth(frame: pd.DataFrame) -> Figure:
    """Test MSE against L, the number of backbone blocks; mean and standard deviation over seeds.

    Raises:
        InputError: a run has no backbone.
    """
    return _against(
        frame, setting=("backbone", "blocks"), axis_label="L, blocks of the backbone", published={}, paper=""
    )


def prompts(frame: pd.DataFrame) -> Figure:
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
        figure, axes = _panels(len(places), height=0.7 + 0.25 * len(order), across=2)
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


def learning_curves(runs: Sequence[tuple[str, Path]], *, title: str) -> Figure:
    """Training loss, validation loss and learning rate over the steps, a colour per label; its runs are its seeds.

    The lowest validation loss, whose weights are tested, is marked. Methods that train nothing have no line.

    Raises:
        InputError: a file cannot be read, or no run has trained.
    """
    fields = {"train_loss": "training loss", "validation_loss": "validation loss", "learning_rate": "learning rate"}
    histories = [(label, read_rows(path, ["step", *fields])) for label, path in runs]
    histories = [(label, history) for label, history in histories if len(history)]
    if not histories:
        raise InputError(f"{title}: no run has trained, so there is no learning curve. Give a method that trains.")
    looks = style.looks([label for label, _ in histories])
    with style.theme():
        figure, axes = _panels(len(fields), height=2.1)
        for axis, (field, name) in zip(axes, fields.items(), strict=True):
            for label, history in histories:
                look = looks[label]
                axis.plot(history["step"], history[field], color=look.color, linestyle=look.linestyle, label=label)
                if field == "validation_loss":
                    best = history.loc[history[field].idxmin()]
                    axis.plot(best["step"], best[field], look.marker, color=look.color, markeredgecolor="black")
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axis.set_xlabel("step")
            axis.set_ylabel(name)
        _legend(figure, axes[0], title=title)
    return figure


def router_training(path: Path, *, title: str) -> Figure:
    """How a router changes while it trains: one panel per block with each module's selection rate, and the entropies.

    Raises:
        InputError: the file cannot be read, or the run had no router.
    """
    rows = read_rows(path, ["step", "block", "module", "selection_rate", "entropy"])
    if rows.empty:
        raise InputError(f"{path} is from a run without a router. Give a run with dynamic adapters.")
    blocks, modules = sorted(set(rows["block"])), list(dict.fromkeys(rows["module"]))
    looks = style.looks([f"module {module}" for module in modules])
    with style.theme():
        figure, axes = _panels(len(blocks) + 1, height=1.6)
        for axis, block in zip(axes, blocks, strict=False):
            here = rows[rows["block"] == block]
            for module in modules:
                values, look = here[here["module"] == module], looks[f"module {module}"]
                line = {"color": look.color, "linestyle": look.linestyle, "label": f"module {module}"}
                axis.plot(values["step"], values["selection_rate"] * 100, **line)
            axis.set_ylim(-5, 105)
            axis.set_title(f"block {int(block) + 1}")
            axis.set_ylabel("windows, %")
        last = axes[-1]
        shades = np.linspace(0, 0.7, len(blocks))
        for block, shade in zip(blocks, shades, strict=True):
            values = rows[(rows["block"] == block) & (rows["module"] == modules[0])]
            last.plot(values["step"], values["entropy"], color=str(shade))
        last.axhline(math.log(len(modules)), color=style.ORANGE, linestyle="--")
        last.set_title("entropy\n(dark: block 1; dashed: uniform)")
        last.set_ylabel("nats")
        for axis in axes:
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axis.set_xlabel("step")
        _legend(figure, axes[0], title=title)
    return figure
