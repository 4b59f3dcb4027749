"""The leaderboard as a report: which method forecasts the data best, by how much, and whether a language model helps.

A configuration requests it with `reports: [timellama.own_data.leaderboard:LEADERBOARD]`, as `timellama bench` does.
"""

import math
from collections.abc import Mapping
from typing import Any

from timellama.reports import failures
from timellama.reports.render.cells import Block, Cell, Entry, Table
from timellama.reports.render.markup import MISSING, fixed, spell_time
from timellama.reports.report import Needs, Report, ReportContext
from timellama.results.leaderboard import Leaderboard, Standing, leaderboards, skill_of
from timellama.results.statistics.uncertainty import Estimate

HEADINGS = ("Method", "MSE", "MAE", "Skill, %", "95 % interval", "Validation MSE", "Time")
DECIMALS = 3  # our choice: as in the paper's tables
CHOSEN = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE} "  # before the method that the validation part chooses

LEADERBOARD = Report(
    name="table_leaderboard",
    title="Leaderboard",
    caption="The methods in the order of their test error, with their skill against the seasonal naive forecast. "
    "The triangle marks the method that the validation part chooses.",
    needs=Needs(experiments=("long_term",)),
    build="timellama.own_data.leaderboard:table",
)


def table(given: ReportContext) -> Table:
    """One block per data set and horizon, one line per method. Raises InputError as `leaderboards` does."""
    facts = given.facts
    if not given.paths:
        return failures.without_results("leaderboard", text=facts["remark"] or "no results")
    found = leaderboards(given.paths)
    labels = {variant: entry["label"] for variant, entry in facts["methods"].items()}
    several = len(found) > 1
    blocks = [
        Block(
            header=(tuple(Cell(text=text) for text in HEADINGS),),
            groups=(tuple(_entries(board, labels)),),
            title=f"{board.dataset}, H {board.horizon}, T {board.context}" if several else "",
        )
        for board in found
    ]
    title = "" if several else f"{found[0].dataset}, the next {found[0].horizon} steps from {found[0].context}. "
    made = Table(
        columns="lrrrcrr",
        blocks=tuple(blocks),
        caption=f"{title}Test errors on standardised values, in the order of MSE. Skill is 1 - MSE / MSE of the "
        "seasonal naive forecast. The triangle marks the method with the lowest validation error.",
        label="tab:leaderboard",
        notes=tuple(notes(found, labels)),
    )
    return failures.with_remarks(failures.with_impossible(made, facts), facts)


def _entries(board: Leaderboard, labels: Mapping[str, str]) -> list[Entry]:
    return [(_row(standing, board, labels),) for standing in board.standings]


def _row(standing: Standing, board: Leaderboard, labels: Mapping[str, str]) -> tuple[Cell, ...]:
    chosen = standing is board.chosen
    name = labels.get(standing.variant, standing.variant)
    skill, interval, value = MISSING, MISSING, math.nan
    if standing.skill is not None:
        value, low, high = skill_of(standing.skill)
        skill = fixed(100 * value, 1, signed=True)
        interval = MISSING if math.isnan(low) else f"{fixed(100 * low, 1)} to {fixed(100 * high, 1)}"
    return (
        Cell(text=(CHOSEN if chosen else "") + name, bold=chosen),
        Cell(text=fixed(standing.mse, DECIMALS), value=standing.mse, bold=standing is board.standings[0]),
        Cell(text=fixed(standing.mae, DECIMALS), value=standing.mae),
        Cell(text=skill, value=value),
        Cell(text=interval),
        Cell(text=fixed(standing.validation, DECIMALS), value=standing.validation),
        Cell(text=spell_time(standing.seconds), value=standing.seconds),
    )


def row_texts(standing: Standing, board: Leaderboard, labels: Mapping[str, str]) -> list[str]:
    """The line of a method, in the order of `HEADINGS`."""
    return [cell.text for cell in _row(standing, board, labels)]


def notes(boards: list[Leaderboard], labels: Mapping[str, str]) -> list[str]:
    """Notes about the numbers, and about what they say of the language model."""
    found = []
    for board in boards:
        windows = board.standings[0].runs[0].metrics["n_windows"]
        seeds = sorted({run.run.seed for standing in board.standings for run in standing.runs if run.run.training})
        place = f"{board.dataset}, H {board.horizon}: " if len(boards) > 1 else ""
        found.append(
            f"{place}{windows} test windows; {'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}. "
            "Values are standardised by the training rows. Untrained methods have no seed; the hour-of-day mean is "
            "that of the same step of each season in the look-back."
        )
        if board.worth:
            found.append(f"{place}{worth(board.worth)}")
    found.append(
        "The interval is of the mean over the test period, and over seeds where there are several. It says nothing of "
        "another data set, and with one seed nothing of another start of the training."
    )
    return found


def worth(estimate: Estimate) -> str:
    """A sentence on whether the language model helps."""
    change, (low, high) = math.expm1(estimate.value), (math.expm1(end) for end in estimate.ends())
    direction = "lower" if change < 0 else "higher"
    said = f"With the language model the error is {abs(100 * change):.1f} % {direction} than without it"
    if math.isnan(low):
        return f"{said}; the test part is too short for an interval."
    ends = f"95 % interval {fixed(100 * low, 1, signed=True)} to {fixed(100 * high, 1, signed=True)} %"
    verdict = "the difference is significant" if low * high > 0 else "the difference is not significant"
    return f"{said} ({ends}): {verdict}."


def as_rows(board: Leaderboard, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The leaderboard as plain values: the unrounded numbers behind the table."""
    rows = []
    for standing in board.standings:
        value, low, high = skill_of(standing.skill) if standing.skill else (math.nan,) * 3
        rows.append(
            {
                "method": labels.get(standing.variant, standing.variant),
                "mse": standing.mse,
                "mae": standing.mae,
                "skill": value,
                "skill_low": low,
                "skill_high": high,
                "validation_mse": standing.validation,
                "seconds": standing.seconds,
                "chosen": standing is board.chosen,
            }
        )
    return rows
