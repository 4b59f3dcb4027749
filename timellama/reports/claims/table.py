"""The table of claims: one group per claim of the paper, and for each statement its effect, rule and verdict."""

import math
import textwrap
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from timellama.reports.claims import rules as claims
from timellama.reports.claims import verdicts
from timellama.reports.claims.rules import CLAIMS, VERDICTS, Statement
from timellama.reports.claims.verdicts import Finding, Results
from timellama.reports.failures import remarked
from timellama.reports.render.cells import Block, Cell, Entry, Table
from timellama.reports.render.markup import MISSING, fixed, listed, significant
from timellama.reports.render.origin import describe_backbones, describe_commits
from timellama.results.aggregate import summarise
from timellama.results.read.documents import FORECAST_ERRORS, M4_ERRORS

READING = (
    "About: these cells, or any data set. The interval of the first is over seeds and, where each run keeps its errors "
    "by window, over the test period; that of the second is over the choice of data sets, and needs five.",
    "Here: with the language model, data sets and horizons that were run; no verdict is on the paper's own runs. "
    "Inconclusive: undecided by the interval, or too few pairs. Cannot fail: it would hold whatever the runs gave.",
    "Only the paper's data sets, horizons and look-back count, and of these only what was run, which is listed below "
    f"each statement. The paper's language model is {claims.PAPER_BACKBONE}.",
    "Effect: for errors, the geometric mean of Time-LlaMA / other as a change in per cent, over runs with the same "
    "data set, horizon, look-back and seed; it is below 0 where Time-LlaMA is better. Against several methods it is "
    "the one against the strongest, or the share of cells in which Time-LlaMA is better than all. For speeds, the "
    "ratio of samples per second. For the router, shares of the selections.",
    "Interval: Student's t; for shares, from the significant cells, Holm-corrected; for speeds, from the slowest calls "
    "of one to those of the other.",
)
LINE = 110  # our choice: characters of a line below a statement, so that it is no wider than the line above it
BETWEEN = (claims.BLOCKS, claims.DATASETS)


def table_of_claims(
    results: Results,
    *,
    published: Path,
    configuration: str,
    labels: Mapping[str, str],
    generated: Collection[str] = (),
    remark: str = "",
) -> Table:
    """The table of all claims. `published` is the folder of the paper's tables; the caption ends with `remark`."""
    found = verdicts.findings(results, published=published, labels=labels)
    source = origin(results, published=published, configuration=configuration, generated=generated)
    return remarked(to_table(found, origin=source), remark)


def to_table(found: Sequence[Finding], *, origin: str) -> Table:
    """Findings as a table; `origin` says where its numbers come from."""
    groups = []
    for claim, title in CLAIMS.items():
        head = (Cell(text=f"{claim}. {title}", bold=True, span=8),)
        groups.append(((head,), *(_entry(finding) for finding in found if finding.statement.claim == claim)))
    names = ("", "Statement", "About", "Effect", "95 % interval", "Pairs", "True where", "Verdict")
    return Table(
        columns="llllllll",
        blocks=(Block(header=(tuple(Cell(text=name) for name in names),), groups=tuple(groups)),),
        caption="The paper's claims, by the rules of docs/claims.md, which says what was known when they were written. "
        "A statement holds here if its 95 % interval is entirely where it is true, and does not hold here if it is "
        "entirely outside.",
        label="tab:claims",
        notes=(f"Verdicts: {count(found)}.", *READING, origin),
    )


def count(found: Sequence[Finding]) -> str:
    """`3 holds here, 1 does not hold here and 24 not run`."""
    counts = Counter(finding.verdict for finding in found)
    return listed(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def _entry(finding: Finding) -> Entry:
    """The statement's row, and below it which part of it was run."""
    statement, effect = finding.statement, finding.effect
    numbers = [Cell(text=MISSING)] * 3
    if effect is not None:
        ends = interval(finding)
        numbers = [
            Cell(text=f"{number(effect.value, statement)} {unit(statement)}", value=effect.value),
            Cell(text=ends, value=None if ends == MISSING else effect.low),
            Cell(text=str(effect.pairs), value=effect.pairs),
        ]
    bold = finding.verdict in (claims.HOLDS, claims.DOES_NOT_HOLD)
    last = (Cell(text=region(statement)), Cell(text=finding.verdict, bold=bold))
    first = (Cell(text=statement.number), Cell(text=statement.text), Cell(text=statement.about), *numbers, *last)
    lines = textwrap.wrap(what_was_run(finding), LINE, break_on_hyphens=False, break_long_words=False)
    return first, *((Cell(), Cell(text=line, span=7)) for line in lines)


def what_was_run(finding: Finding) -> str:
    """Which of the paper's cells a verdict covers, what is missing, and why it is inconclusive."""
    effect = finding.effect
    if effect is None:
        return finding.why
    lacking = f"not run: {listed(effect.missing)}" if effect.missing else ""
    if not math.isinf(effect.possible[1]):
        lacking = f"at most {number(effect.possible[1], finding.statement)} % is possible"
    return "; ".join(text for text in (effect.run, lacking, finding.why) if text)


def interval(finding: Finding) -> str:
    """`-2.1 to +0.2`; a dash where the uncertainty is unknown."""
    if math.isnan(finding.effect.low):
        return MISSING
    return f"{number(finding.effect.low, finding.statement)} to {number(finding.effect.high, finding.statement)}"


def effect_and_interval(finding: Finding) -> str:
    """`-1.0 % (-2.1 to +0.2)`; a dash where nothing was run."""
    if finding.effect is None:
        return MISSING
    ends = interval(finding)
    value = f"{number(finding.effect.value, finding.statement)} {unit(finding.statement)}"
    return value if ends == MISSING else f"{value} ({ends})"


def number(value: float, statement: Statement) -> str:
    """An effect, or an end of its interval, in the statement's unit."""
    if statement.measure == claims.SPEED:
        return significant(value)
    if statement.measure == claims.SHARE:
        return fixed(value, 0)
    return fixed(value, 1, signed=statement.measure != claims.HIGHEST)


def unit(statement: Statement) -> str:
    """The unit of the effect."""
    if statement.measure == claims.SPEED:
        return "times"
    if statement.measure == claims.SHARE:
        return "% of cells"
    return "points" if statement.measure in BETWEEN else "%"


def region(statement: Statement) -> str:
    """The effects for which the statement is true."""
    unit = {claims.SPEED: "", claims.DATASETS: " point", claims.BLOCKS: " point"}.get(statement.measure, " %")
    if statement.low == claims.EVERY:
        return "in all cells"
    low, high = (f"{end:g}".replace("-", "\N{MINUS SIGN}") for end in (statement.low, statement.high))
    if math.isinf(statement.low):
        return f"below {high}{unit if statement.high else ''}"
    return f"above {low}{unit}" if math.isinf(statement.high) else f"{low} to {high}{unit}"


def origin(results: Results, *, published: Path, configuration: str, generated: Collection[str]) -> str:
    """Where the numbers come from, or that no run bears on the paper."""
    used = []
    for name, frame in results.frames.items():
        part = verdicts.papers_part(frame, name, published=published)
        if len(part):
            used.append(summarise(part, M4_ERRORS if name == "short_term" else FORECAST_ERRORS))
    sentences = [f"Configuration: {configuration}."]
    if used:
        runs = pd.concat(used)
        devices = sorted({device for devices in runs["devices"] for device in devices})
        sentences += [
            describe_backbones(runs),
            f"Precision: {listed(sorted(set(runs['precision'])))}, on {listed(devices)}.",
            describe_commits({commit for commits in runs["commits"] for commit in commits}),
        ]
    else:
        sentences.append("None of its trainings has a data set, horizon and look-back of the paper's tables.")
    measured = [
        row
        for statement in claims.STATEMENTS
        if statement.measure == claims.SPEED
        for pair in verdicts.speed_pairs(statement, results.sweeps)
        for row in pair
    ]
    if measured:
        devices, commits, kinds = (sorted({row[key] for row in measured}) for key in ("device", "commit", "dtype"))
        sentences.append(
            f"Speeds: {listed(kinds)}, on {listed(devices)}, commit{'s' * (len(commits) > 1)} {listed(commits)}."
        )
    made_up = sorted({name for frame in results.frames.values() for name in frame["dataset"]} & set(generated))
    if made_up:
        sentences.append(
            f"The data of {listed(made_up)} are generated: they test the code and say nothing about the paper's claims."
        )
    return " ".join(sentence for sentence in sentences if sentence)


def of_files(files: Mapping[str, Sequence[Path]], *, published: Path, facts: Mapping[str, Any]) -> Table:
    """The table from the results of each experiment; `facts` as for `of_experiments.errors`."""
    return table_of_claims(
        verdicts.read_results(files, methods=facts["methods"]),
        published=published,
        configuration=facts["configuration"],
        labels={name: entry["label"] for name, entry in facts["methods"].items()},
        generated=facts["generated"],
        remark=facts["remark"],
    )
