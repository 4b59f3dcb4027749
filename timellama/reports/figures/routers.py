"""What the routers of dynamic adapters select: by block and module, over all blocks, and while they train."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from timellama.core.errors import InputError
from timellama.reports.figures import of_runs
from timellama.reports.figures.panels import legend, panels
from timellama.reports.render import style
from timellama.reports.report import ReportContext
from timellama.results.aggregate import OTHER_NAMES, describe_backbone, read_metrics
from timellama.results.read.run_files import read_rows


def router_heatmap(given: ReportContext) -> tuple[Figure, str]:
    """The figure and the remark on it. Raises InputError as `draw_router_heatmap` does."""
    if not given.paths:
        return of_runs.without_results("router_heatmap", facts=given.facts)
    return draw_router_heatmap(given.paths), of_runs.remark(given.paths, facts=given.facts)


def draw_router_heatmap(paths: Sequence[Path]) -> Figure:
    """How often each block's router selects each module on the test windows, a panel per data set; mean over the runs.

    Raises:
        InputError: there is no run, or one has no router.
    """
    routers = _routers(paths)
    blocks = max(len(rates) for _, rates in routers.values())
    with style.theme():
        figure, axes = panels(len(routers), height=max(1.5, 0.5 + 0.22 * blocks))
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


def lora_distribution(given: ReportContext) -> tuple[Figure, str]:
    """The figure, with the paper's, and the remark on it. Raises InputError as `draw_lora_distribution` does."""
    if not given.paths:
        return of_runs.without_results("lora_distribution", facts=given.facts)
    drawn = draw_lora_distribution(given.paths, published=given.published[0])
    return drawn, of_runs.remark(given.paths, facts=given.facts)


def draw_lora_distribution(paths: Sequence[Path], *, published: Path | None = None) -> Figure:
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
        legend(figure, shown)
    return figure


def router_training(given: ReportContext) -> tuple[Figure, str]:
    """The figure of one run, and the remark on it.

    Raises InputError as `of_runs.require_every_step` and `draw_router_training` do.
    """
    if not given.paths:
        return of_runs.without_results("router_training", facts=given.facts)
    path = given.paths[0]
    document = of_runs.document_of(path)
    if document.get("router"):
        of_runs.require_every_step(path)
    drawn = draw_router_training(path, title=document["run"]["dataset"])
    return drawn, of_runs.remark(given.paths, facts=given.facts, of_test=False)


def draw_router_training(path: Path, *, title: str) -> Figure:
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
        figure, axes = panels(len(blocks) + 1, height=1.6)
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
        legend(figure, axes[0], title=title)
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
