"""Latency and peak memory by the number of variates N, one panel per batch size, one line per method.

Filled markers are measured. A half-filled one is a first call that was too slow for a second one. Hollow ones are
predicted from smaller cells, since they would have taken too much memory (a cross) or time; a dotted line leads to
them. Both axes are logarithmic.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, NullLocator

from timellama.cost.efficiency_sweep import MEASURED, NO_MEMORY
from timellama.reports.efficiency_rows import order, place, read_sweeps
from timellama.reports.render import style
from timellama.reports.render.origin import describe_commits, first_seen
from timellama.reports.report import ReportContext

MEGABYTE = 1e6
SECONDS, BYTES = "seconds", "bytes"  # what a figure shows of a forecast
ONE_CALL, PREDICTED = "one call", "predicted"  # kinds of numbers, beside MEASURED
READING = {
    ONE_CALL: "Half filled: one call without a warm-up. It was too slow for more, so there is no median.",
    PREDICTED: "Hollow: not run or not finished, so predicted from smaller cells; with a cross where memory was short. "
    "The work of some methods does not grow with N: their prediction is the highest value at a smaller N.",
}


class _Plain(LogFormatter):
    """Labels the ticks that `LogFormatter` labels, as 0.03 instead of 3e-02."""

    def __call__(self, value: float, position: int | None = None) -> str:
        return f"{value:g}" if super().__call__(value, position) else ""


def latency(given: ReportContext) -> tuple[Figure, str]:
    """The figure of times, and the remark on it. Raises InputError as `read_sweeps` does."""
    if not given.paths and given.facts["remark"]:
        return _without_results("latency", facts=given.facts)
    rows = read_sweeps(given.paths, methods=given.facts["methods"])
    return draw_latency(rows), _remark(rows, field=SECONDS, facts=given.facts)


def memory_scaling(given: ReportContext) -> tuple[Figure, str]:
    """The figure of memory, and the remark on it. Raises InputError as `read_sweeps` does."""
    if not given.paths and given.facts["remark"]:
        return _without_results("memory_scaling", facts=given.facts)
    rows = read_sweeps(given.paths, methods=given.facts["methods"])
    return draw_memory_scaling(rows), _remark(rows, field=BYTES, facts=given.facts)


def _without_results(name: str, *, facts: Mapping[str, Any]) -> tuple[Figure, str]:
    return style.blank(f"{name}: no sweep has a result"), facts["remark"]


def _remark(rows: Sequence[Mapping[str, Any]], *, field: str, facts: Mapping[str, Any]) -> str:
    """How many sweeps are missing, what the marks are that are not filled, and the code."""
    kinds = {kind for value, kind in (_number(row, field) for row in rows) if value}
    reading = [said for kind, said in READING.items() if kind in kinds]
    return "\n".join(filter(None, (facts["remark"], *reading, describe_commits({row["commit"] for row in rows}))))


def _number(row: Mapping[str, Any], field: str) -> tuple[float | None, str]:
    """What a row has for a forecast, and its kind. One call is enough to know the memory, but no median of times."""
    value, measured = place(row, "forward", field)
    if not measured:
        return value, PREDICTED
    return value, ONE_CALL if field == SECONDS and row["forward"]["seconds"] is None else MEASURED


def draw_latency(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Median milliseconds of one forecast of a batch."""
    return _over_variates(rows, field=SECONDS, scale=1e3, label="median latency, ms")


def draw_memory_scaling(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Peak memory while forecasting, with the limit that cells were held to."""
    kind = "resident" if rows[0]["device"] == "cpu" else "allocated"
    limit = min(row["limit_bytes"] for row in rows) / MEGABYTE
    label = f"peak {kind} memory of a forecast, MB"
    return _over_variates(rows, field=BYTES, scale=1 / MEGABYTE, label=label, limit=limit)


def _over_variates(
    rows: Sequence[Mapping[str, Any]], *, field: str, scale: float, label: str, limit: float | None = None
) -> Figure:
    names, sizes = first_seen(row["name"] for row in rows), order([row["batch_size"] for row in rows])
    looks = style.looks(names)
    ticks = order([row["variates"] for row in rows])
    handles: dict[str, Any] = {}
    with style.theme():
        figure = style.canvas(style.PAGE if len(sizes) > 1 else style.COLUMN * 1.3, 3.4)
        axes = list(figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0])
        for axis, size in zip(axes, sizes, strict=True):
            here = [row for row in rows if row["batch_size"] == size]
            for name in reversed(names):  # the first, which the others are compared with, is drawn on top
                line = sorted((row for row in here if row["name"] == name), key=lambda row: row["variates"])
                _draw(axis, line, looks[name], name=name, field=field, scale=scale)
            if limit is not None:
                axis.axhline(limit, color="black", linestyle="--", linewidth=0.8, label="memory limit")
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.xaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.yaxis.set_minor_formatter(_Plain(minor_thresholds=(1, 0.4)))  # numbers where powers are few
            axis.set_title(f"batch {size}")
            axis.set_xlabel("N, variates")
            handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        axes[0].set_ylabel(label)
        title = f"T {rows[0]['context']}, H {rows[0]['horizon']}; random inputs; hollow: not run, predicted"
        if any(_number(row, field)[1] == ONE_CALL for row in rows):
            title += "; half filled: one call"
        ordered = {name: handles[name] for name in [*names, *(key for key in handles if key not in names)]}
        legend = figure.legend(ordered.values(), ordered.keys(), title=title, loc="outside upper center", ncols=4)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _draw(axis: Axes, line: Sequence[Mapping], look: style.Look, *, name: str, field: str, scale: float) -> None:
    """One method's line: measured points joined, predicted ones hollow behind a dotted line."""
    points = [(row["variates"], *_number(row, field)) for row in line]
    lacking = {row["variates"] for row in line if row["forward_status"] == NO_MEMORY}
    points = [(variates, value * scale, kind) for variates, value, kind in points if value]
    solid = [(variates, value) for variates, value, kind in points if kind != PREDICTED]
    single = [(variates, value) for variates, value, kind in points if kind == ONE_CALL]
    hollow = [(variates, value) for variates, value, kind in points if kind == PREDICTED]
    drawn = {"color": look.color, "marker": look.marker}
    axis.plot(*(zip(*solid, strict=True) if solid else ([], [])), linestyle=look.linestyle, label=name, **drawn)
    # Marks that are not filled are larger and have thin edges, or their inside could not be seen.
    drawn |= {"linestyle": "", "markersize": 5.5, "markeredgewidth": 0.7}
    if single:
        axis.plot(*zip(*single, strict=True), fillstyle="bottom", markerfacecoloralt="white", **drawn)
    if hollow:
        axis.plot(*zip(*[*solid[-1:], *hollow], strict=True), linestyle=":", linewidth=0.7, color=look.color)
        axis.plot(*zip(*hollow, strict=True), markerfacecolor="white", **drawn)
    if crossed := [point for point in hollow if point[0] in lacking]:
        cross = {"linestyle": "", "marker": "x", "markersize": 2.5, "markeredgewidth": 0.8, "color": "black"}
        axis.plot(*zip(*crossed, strict=True), label="out of memory", zorder=5, **cross)
