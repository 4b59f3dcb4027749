"""The figures of the benchmark, drawn from the files that runs leave; `style.py` holds their look and saves them."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from matplotlib.figure import Figure

from timellama import style
from timellama.errors import InputError

ARRAYS = ("context", "truth", "forecast", "columns", "start")


def read_forecasts(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one `forecasts.npz`: context [W, T, C], truth and forecast [W, H, C], columns [C], start [W].

    Raises:
        InputError: the file cannot be read, lacks an array, or its shapes do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(f"{path} is no file of forecasts ({error}). Delete it and run again.") from error
    windows, _, variates = arrays["context"].shape
    fits = arrays["truth"].shape == arrays["forecast"].shape and arrays["truth"].shape[::2] == (windows, variates)
    if not fits or len(arrays["columns"]) != variates or len(arrays["start"]) != windows:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"{path}: the shapes do not fit together ({shapes}). Delete it and run again.")
    return arrays


def forecasts(runs: Sequence[tuple[str, Path]], *, dataset: str) -> Figure:
    """Forecasts of several methods for the same test windows: a row a window, a column a variate.

    The end of the look-back, half as long as the horizon, stands to the left of the forecast's origin. A label that
    several runs share is followed by the name of the run's folder.

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
        same = all(np.array_equal(arrays[name], first[name]) for name in ("truth", "columns", "start"))
        if not same:
            raise InputError(
                f"{path} and {runs[0][1]} do not show the same windows and variates, so they cannot share a figure. "
                "Give runs of one data set and horizon, and run those of an older version again."
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
                    # The first method lies on top, where it can be followed.
                    line = {
                        "color": look.color,
                        "linestyle": look.linestyle,
                        "linewidth": 0.9,
                        "zorder": 4 - number / 99,
                    }
                    axis.plot(future, arrays["forecast"][window, :, variate], label=name, **line)
                if window == 0:
                    axis.set_title(str(first["columns"][variate]), parse_math=False)
            axes[window, 0].set_ylabel(f"test window {first['start'][window]}")
        figure.supylabel("standardised value", fontsize=8)
        figure.supxlabel("steps from the forecast's origin", fontsize=8)
        handles, texts = axes[0, 0].get_legend_handles_labels()
        heading = f"{dataset}: forecasts of {horizon} steps"
        legend = figure.legend(handles, texts, title=heading, loc="outside upper center", ncols=min(len(texts), 4))
        for text in (legend.get_title(), *legend.get_texts()):
            text.set_parse_math(False)
    return figure
