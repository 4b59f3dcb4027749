"""Forecasts of several methods for the same windows of the test part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from timellama.core.errors import InputError
from timellama.reports.figures import of_runs
from timellama.reports.figures.panels import legend
from timellama.reports.render import style
from timellama.reports.report import ReportContext
from timellama.results.read.run_files import read_forecasts


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure of one data set, and the remark on it. Raises InputError as `draw_forecasts` does."""
    if not given.paths:
        return of_runs.without_results("forecasts", facts=given.facts)
    labelled = of_runs.labelled(given.paths, methods=given.facts["methods"])
    drawn = draw_forecasts(labelled, dataset=given.report.dataset)
    return drawn, of_runs.remark(given.paths, facts=given.facts)


def draw_forecasts(runs: Sequence[tuple[str, Path]], *, dataset: str) -> Figure:
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
        legend(figure, axes[0, 0], title=f"{dataset}: forecasts of {horizon} steps")
    return figure
