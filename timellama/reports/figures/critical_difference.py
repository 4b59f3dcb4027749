"""A critical-difference diagram (Demsar 2006, Journal of Machine Learning Research 7): mean ranks on one line.

A bar joins methods of which no two differ significantly by Wilcoxon's test with Holm's correction.
"""

from matplotlib.figure import Figure

from timellama.reports.render import style
from timellama.reports.render.origin import provenance
from timellama.reports.report import ReportContext
from timellama.reports.tables.ranking import ALONE, Standing, absences, described, standing
from timellama.results.statistics.ranking import Ranked, cliques
from timellama.training.scores.metric_objects import MSE

ROW, TOP, BAR, MARK = 0.2, 0.45, 0.1, 0.065  # inches: a method's line, the axis, a bar, a mark below another
CLOSE = 0.016  # our choice: share of the axis's length at which two marks just do not overlap
APART = 0.005  # our choice: share of the axis's length between the lines of marks below one another
SIDE = 0.32  # our choice: share of the axis's length that the names take on each side


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure and the remark on it. Raises InputError as `standing` does."""
    facts = given.facts
    if not given.paths:
        return style.blank("critical_difference: no run has a result"), facts["remark"]
    shown = standing(given)
    told = f"Mean rank by {MSE.label}, on {described(shown.units)}."
    if not shown.units.tested:
        told += f" No bar: {ALONE}."
    if any(len(stack) > 1 for stack in _stacks(shown)):
        told += " Marks one below the other have the same rank, or nearly."
    origin = provenance(shown.units.rows, configuration=facts["configuration"], generated=facts["generated"])
    return drawn(shown), "\n".join(filter(None, (facts["remark"], told, *absences(shown.units), origin)))


def drawn(shown: Standing) -> Figure:
    """The best method is at the left; each name is joined to its mean rank."""
    order = [one.method for one in shown.ranked]
    if not order:
        return style.blank("critical_difference: no method has a result on every data set")
    at = {one.method: one.rank.value for one in shown.ranked}
    groups = cliques(order, shown.pairs) if shown.units.tested else []
    looks = style.looks(order)
    left = order[: (len(order) + 1) // 2]
    right = order[len(left) :]
    last = _last(shown)
    stacks = _stacks(shown)
    below = MARK * (max(map(len, stacks)) - 1)
    depth = TOP + below + BAR * len(groups) + ROW * len(left)
    with style.theme():
        figure = style.canvas(style.PAGE, depth + 0.35)
        axis = figure.subplots()
        length = last - 1
        axis.set_xlim(1 - SIDE * length, last + SIDE * length)
        axis.set_ylim(-depth + TOP, 0.35)
        axis.set_axis_off()
        axis.plot([1, last], [0, 0], color="black", linewidth=0.8)
        for rank in range(1, last + 1):
            axis.plot([rank, rank], [0, 0.06], color="black", linewidth=0.8)
            axis.text(rank, 0.09, str(rank), ha="center", va="bottom", fontsize=7)
        axis.text((1 + last) / 2, 0.26, f"mean rank by {MSE.label}", ha="center", va="bottom", fontsize=8)
        for number, group in enumerate(groups, start=1):
            ends = [at[group[0]] - 0.02 * length, at[group[-1]] + 0.02 * length]
            axis.plot(ends, [-below - BAR * number] * 2, color="black", linewidth=3, solid_capstyle="butt")
        marks = {name: (number, len(stack)) for stack in stacks for number, name in enumerate(stack)}
        for side, names in ((-1, left), (1, right[::-1])):
            for place, name in enumerate(names):
                height = -below - BAR * (len(groups) + 1) - ROW * place
                end = 1 - 0.03 * length if side < 0 else last + 0.03 * length
                color = looks[name].color
                number, of = marks[name]
                # Lines of a stack are in the order of the ranks, as the names are, so that none crosses another.
                beside = at[name] + (number - (of - 1) / 2) * APART * length
                axis.plot([beside, beside, end], [-MARK * number, height, height], color=color, linewidth=0.9)
                axis.plot([at[name]], [-MARK * number], color=color, marker=looks[name].marker, markersize=4, zorder=3)
                text = f"{name}  {at[name]:.2f}"
                axis.text(
                    end + side * 0.01 * length,
                    height,
                    text,
                    ha="right" if side < 0 else "left",
                    va="center",
                    fontsize=7,
                    parse_math=False,
                )
    return figure


def _last(shown: Standing) -> int:
    """The last rank on the axis."""
    return max(len(shown.ranked), 2)


def _stacks(shown: Standing) -> list[list[str]]:
    """The methods by rank, those together whose marks would hide each other: they are drawn one below the other."""
    closest = CLOSE * (_last(shown) - 1)
    stacks: list[list[Ranked]] = []
    for one in shown.ranked:
        if stacks and one.rank.value - stacks[-1][-1].rank.value < closest:
            stacks[-1].append(one)
        else:
            stacks.append([one])
    return [[one.method for one in stack] for stack in stacks]
