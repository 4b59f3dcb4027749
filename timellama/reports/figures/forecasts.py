"""The plot of a forecast for a user-supplied file: the end of the look-back, and what follows."""

import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from timellama.core.errors import InputError
from timellama.core.files import atomic
from timellama.reports.render import style
from timellama.results.forecasts.forecasting import Forecast

METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}  # no dates: same picture, same bytes
SHOWN_VARIATES = 6  # our choice: panels that can still be read on one page
ACROSS = 2
SHADE = 0.2  # our choice: three bands can be distinguished, and the line on them seen
HISTORY = 3  # our choice: horizons of look-back, so that the forecast fills a quarter of the width


def require_format(path: Path) -> None:
    """Raises InputError for a file name without a picture's ending."""
    if path.suffix.lower() not in METADATA:
        raise InputError(f"{path}: a plot's name must end in {' or '.join(METADATA)}")


def draw_forecast(
    forecast: Forecast, *, label: str, path: Path, bounds: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None
) -> None:
    """Draw the first variates of a forecast by the method `label` and write `path`, atomically.

    `bounds` are the ends [H, N] of intervals by level in per cent, which become bands; an infinite one is left
    out.
    """
    require_format(path)
    context_rows = forecast.context_rows
    shown = context_rows.columns[:SHOWN_VARIATES]
    past = slice(-HISTORY * len(forecast.time), None)
    across = min(ACROSS, len(shown))
    with style.theme():
        figure = style.canvas(style.PAGE, 0.7 + 1.6 * math.ceil(len(shown) / across))
        axes = figure.subplots(math.ceil(len(shown) / across), across, squeeze=False, sharex=True).ravel()
        [look] = style.looks([label]).values()
        for place, (axis, name) in enumerate(zip(axes, shown, strict=False)):
            axis.plot(context_rows.time[past], context_rows.values[past, place], color=style.CONTEXT, label="look-back")
            _bands(axis, forecast, bounds or {}, place=place, color=look.color)
            axis.plot(forecast.time, forecast.values[:, place], color=look.color, linestyle=look.linestyle, label=label)
            axis.set_title(name, parse_math=False)
            axis.tick_params(axis="x", rotation=30)
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
        more = len(context_rows.columns) - len(shown)
        rest = f" (the first {len(shown)} of {len(context_rows.columns)} columns)" if more else ""
        figure.suptitle(f"{context_rows.path.name}{rest}", parse_math=False)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2 + len(bounds or {}))
        picture = io.BytesIO()
        suffix = path.suffix.lower()
        figure.savefig(picture, format=suffix[1:], metadata=METADATA[suffix])
    with atomic(path) as file:
        file.write(picture.getvalue())


def _bands(
    axis: Axes, forecast: Forecast, bounds: Mapping[int, tuple[np.ndarray, np.ndarray]], *, place: int, color: str
) -> None:
    """Draw the widest band first. A narrower one is on top of it and darker, in the legend too; none is transparent."""
    for depth, (percent, (lower, upper)) in enumerate(sorted(bounds.items(), reverse=True), start=1):
        if np.isfinite(lower[:, place]).all():
            paper = (1 - SHADE) ** depth
            shade = [paper + (1 - paper) * part for part in to_rgb(color)]
            band = (lower[:, place], upper[:, place])
            axis.fill_between(forecast.time, *band, color=shade, linewidth=0, label=f"{percent} %")
