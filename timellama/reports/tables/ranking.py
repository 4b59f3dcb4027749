"""Many methods on many data sets: mean ranks, win rates and skill scores, and which pairs differ significantly."""

from dataclasses import dataclass

from timellama.reports import failures
from timellama.reports.render.cells import Block, Cell, Row, Table
from timellama.reports.render.markup import MISSING, fixed, listed
from timellama.reports.render.origin import name_columns, provenance
from timellama.reports.report import ReportContext
from timellama.results.aggregate import collect, summarise
from timellama.results.numbers import FEV, numbers_of
from timellama.results.statistics import ranking as statistics
from timellama.results.statistics.inference import CONFIDENCE
from timellama.results.statistics.ranking import Pair, Ranked, Units
from timellama.results.statistics.uncertainty import LEAST_DATASETS, Estimate
from timellama.training.scores.metric_objects import MSE

BASELINE = "seasonal-naive"  # the variant that skill is relative to: what a method has to beat to be of use
METHODS = ("Method", "Mean rank", "95 % interval", "Wins, %", "95 % interval", "Skill, %", "95 % interval")
PAIRS = ("First, second", "First wins, %", "", "", "", "p, Holm", "")
ALONE = f"with fewer than {LEAST_DATASETS} data sets nothing is tested, and no number has an interval"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the table and the figure show: the units, the methods by rank, and their pairs."""

    units: Units
    ranked: list[Ranked]
    pairs: list[Pair]


def standing(given: ReportContext) -> Standing:
    """From the runs of the report's experiment. Raises InputError as `aggregate.collect` and `summarise` do."""
    summary = summarise(collect(given.paths, methods=given.facts["methods"]))
    columns = name_columns(summary)
    units = statistics.units_of(summary, columns, metric=MSE.name)
    named = columns[summary["variant"] == BASELINE]
    baseline = named.iloc[0] if len(named) and named.iloc[0] in units.methods else None
    ranked = statistics.ranking(units, baseline=baseline)
    pairs = statistics.pairs(units, [one.method for one in ranked]) if units.tested else []
    return Standing(units=units, ranked=ranked, pairs=pairs)


def table(given: ReportContext) -> Table:
    """One line per method and, with enough data sets, one per pair. Raises InputError as `standing` does."""
    facts = given.facts
    if not given.paths and facts["remark"]:
        return failures.without_results("ranking", text=facts["remark"])
    shown = standing(given)
    blocks = [Block(header=(_heading(METHODS),), groups=(tuple((_line(one),) for one in shown.ranked),))]
    if shown.pairs:
        lines = tuple((_pair(pair),) for pair in shown.pairs)
        blocks.append(Block(header=(_heading(PAIRS),), groups=(lines,), title="Pairs: Wilcoxon's signed-rank test"))
    made = Table(
        columns="l" + "r" * (len(METHODS) - 1),
        blocks=tuple(blocks),
        caption=f"Ranking of the methods of table 1 by {MSE.label}, on {described(shown.units)}. Rank 1 is best; "
        "skill is 1 minus the geometric mean of the error relative to the seasonal naive.",
        label="tab:ranking",
        notes=(
            *tested(shown),
            "Wins: the share of the other methods that a method is better than, a draw counting half. Wins and skill "
            f"are defined as in fev's leaderboard, and the .csv of this table is a summary that fev {FEV} reads.",
            *absences(shown.units),
            provenance(shown.units.rows, configuration=facts["configuration"], generated=facts["generated"]),
        ),
        numbers=numbers_of(shown.units.rows, [MSE.name]),
    )
    return failures.with_remarks(made, facts)


def described(units: Units) -> str:
    """`5 data sets`, or `16 cells, which describe only themselves`."""
    if units.tested:
        return f"{len(units.names)} data sets"
    cells = "cell" if len(units.names) == 1 else "cells"
    return f"{len(units.names)} {cells} (data set x horizon), which describe only themselves"


def tested(shown: Standing) -> list[str]:
    """What is tested, or why nothing is."""
    if not shown.units.tested:
        return [f"Not tested: {ALONE}."]
    errors = shown.units.errors
    notes = [
        "A data set has one error, the geometric mean over its horizons. Intervals: Student's t over data sets.",
    ]
    told = ""
    if errors.shape[1] > 2:  # of two methods the pair says it all
        statistic, p = statistics.friedman(errors)
        told = f"Friedman's statistic: {statistic:.1f} (p {p:.3f}, chi-square with {errors.shape[1] - 1} df). "
    if shown.pairs:
        pairs = f"{len(shown.pairs)} pair{'s' if len(shown.pairs) > 1 else ''}"
        notes.append(
            f"{told}Wilcoxon's p is exact; with {len(errors)} data sets and {pairs} none can be below "
            f"{min(1.0, 2 * len(shown.pairs) / 2 ** len(errors)):.3f} after Holm's correction."
        )
    return notes


def absences(units: Units) -> list[str]:
    """Which methods and cells are not ranked."""
    notes = []
    if units.left_out:
        notes.append(f"Not ranked, as they lack a data set or have another look-back: {listed(units.left_out)}.")
    if units.without:
        notes.append(f"Left out, as a ranked method has no result there: {listed(units.without)}.")
    return notes


def _heading(names: tuple[str, ...]) -> Row:
    return tuple(Cell(text=name) for name in names)


def _line(one: Ranked) -> Row:
    per_cent = {"decimals": 0, "scale": 100.0, "most": 1.0}
    cells = [*_number(one.rank, decimals=2, least=1.0), *_number(one.win_rate, **per_cent)]
    if one.log_ratio is None:
        return (Cell(text=one.method), *cells, Cell(text=MISSING), Cell(text=MISSING))
    value = statistics.skill(one.log_ratio.value) * 100
    # A lower error is a higher skill.
    ends = [statistics.skill(end) * 100 for end in reversed(one.log_ratio.ends())]
    return (Cell(text=one.method), *cells, Cell(text=fixed(value, 1, signed=True), value=value), _ends(ends, 1))


def _number(
    of: Estimate, *, decimals: int, scale: float = 1.0, least: float = 0.0, most: float = float("inf")
) -> tuple[Cell, Cell]:
    ends = [min(max(end, least), most) * scale if end == end else end for end in of.ends()]
    value = of.value * scale
    return Cell(text=fixed(value, decimals), value=value), _ends(ends, decimals)


def _ends(ends: list[float], decimals: int) -> Cell:
    texts = [fixed(end, decimals) for end in ends]
    return Cell(text=MISSING if MISSING in texts else " to ".join(texts))


def _pair(pair: Pair) -> Row:
    wins = pair.win_rate * 100
    p = Cell(text=f"{pair.p:.3f}", value=pair.p, bold=pair.p <= 1 - CONFIDENCE)
    first = Cell(text=f"{pair.first}, {pair.second}")
    return first, Cell(text=fixed(wins, 0), value=wins), Cell(), Cell(), Cell(), p, Cell()
