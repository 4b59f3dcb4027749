"""The panels of a figure and the legend above them.

Names of data sets, variates and methods are drawn as they are: none is parsed as a formula.
"""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timellama.reports.render import style

PANELS_ACROSS = 3  # our choice: panels of 2.3 inches on a page


def legend(figure: Figure, axis: Axes, *, title: str | None = None) -> None:
    """One legend above all panels, of what `axis` shows; a repeated entry is shown once."""
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    drawn = figure.legend(
        handles.values(), handles.keys(), title=title, loc="outside upper center", ncols=min(len(handles), 4)
    )
    for text in (drawn.get_title(), *drawn.get_texts()):
        text.set_parse_math(False)


def panels(count: int, *, height: float, across: int = PANELS_ACROSS) -> tuple[Figure, list[Axes]]:
    """A page-wide figure of `count` panels; leftover places stay empty."""
    across = min(count, across)
    down = math.ceil(count / across)
    figure = style.canvas(style.PAGE if across > 1 else style.COLUMN, 0.7 + height * down)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, list(axes[:count])
