"""What has no result after jobs failed: which runs, why, and the command that runs each on its own.

Reports are then made in a second pass (`TIMELLAMA_PARTIAL=1`), which computes nothing: a report uses the results that
exist and says how many are missing, and `reports/table_failures` lists the missing ones.
"""

import dataclasses
import json
import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from timellama.core.jobs.job_state import read_error, read_progress
from timellama.core.layout import METRICS, RESULTS
from timellama.reports.render.cells import Block, Cell, Table
from timellama.reports.render.dashes import Reasons
from timellama.reports.render.markup import escape_markdown, markdown_paragraph, to_latex
from timellama.reports.render.web_table import to_html

SWITCH = "TIMELLAMA_PARTIAL"  # the environment variable that requests the second pass
REPORT = "table_failures"
LONGEST = 400  # our choice: characters of a reason; the log has the rest
LINE = 100  # our choice: characters of a line of the LaTeX table, which is scaled to the page's width
KILLED = "it ended without an error message: stopped, or killed by the system, which often means that memory was short"
NOT_STARTED = "not started"
OTHER_CODE = "its result is of other code, and it was not run again"
UNFINISHED = "not run yet, or not finished when this was made"
BEFORE = "not started, since"
SHORT = {  # how a reason begins: how a note under a table puts it
    BEFORE: "what it needs failed",
    NOT_STARTED: "not run yet",
    UNFINISHED: "not run yet",
    OTHER_CODE: "its result is of other code",
}
RUN_PATH = re.compile(
    rf"{RESULTS}/[^/]+/(?P<dataset>[^/]+)/(?P<variant>[^/]+)/H(?P<horizon>\d+)-T(?P<context>\d+)-[^/]+/{METRICS}"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A job that a result needs: its name, a file that it makes, and its log."""

    name: str
    output: Path
    log: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A result that is absent."""

    result: str
    reason: str
    command: str


def absence(
    result: Path, *, source_digest: str, log: Path, before: Sequence[Step], checkpoints: Path | None = None
) -> str | None:
    """Why there is no result of this code at `result`; None where there is one.

    `log` is that of the job that makes it, `before` the jobs that have to end first, in order, and `checkpoints` the
    folder of a training's checkpoints.
    """
    if result.is_file():
        try:
            found = json.loads(result.read_text(encoding="utf-8"))["provenance"]["source_digest"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{result.name} is damaged ({type(error).__name__}): delete it and run again"
        if found == source_digest:
            return None
    for step in before:
        if not step.output.exists() and step.log.is_file():
            return f"{BEFORE} {step.name} failed: {reason_of(step.log) or KILLED}"
    if result.is_file():
        return OTHER_CODE
    if not log.is_file():
        return NOT_STARTED
    return reason_of(log, checkpoints=checkpoints) or KILLED


def reason_of(log: Path, *, checkpoints: Path | None = None) -> str | None:
    """Why the last attempt of the job that logs to `log` has no result, in one line; None where nothing says why.

    That is its error's type and message, or, for a training with files in `checkpoints`, how far it got.
    """
    error = read_error(log)
    progress = read_progress(checkpoints) if checkpoints and not error else None
    if error:
        text = str(error)
    elif progress:
        text = progress.ending(checkpoints)
    else:
        return None
    return textwrap.shorten(text, LONGEST, placeholder=" ...")


def command(target: str, *, configfiles: Sequence[str], settings: Sequence[str]) -> str:
    """The shell command that makes only `target`; `settings` are those given with `--config`."""
    return shlex.join(["snakemake", "-j1", target, *options(configfiles=configfiles, settings=settings)])


def options(*, configfiles: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Snakemake's options for a configuration."""
    words = ["--configfile", *configfiles] if configfiles else []
    return [*words, "--config", *settings] if settings else words


def remark(absent: int, planned: int) -> str:
    """What a report says when some of its results are missing; empty where it has all."""
    if not absent:
        return ""
    return f"NOT COMPLETE: {absent} of {planned} runs have no result; {REPORT} says why."


def mark(absent: int, planned: int) -> str:
    """The same in a few words, for a figure."""
    return f"{absent} of {planned} runs missing" if absent else ""


def with_remarks(table: Table, facts: Mapping[str, Any]) -> Table:
    """The table with notes on repaired data sets, the calendar and short look-backs, and those of `remarked`."""
    more = [facts[key] for key in ("repaired", "calendar", "below_season") if key in facts]
    table = dataclasses.replace(table, notes=(*table.notes, *more))
    return remarked(table, facts["remark"])


def with_impossible(table: Table, facts: Mapping[str, Any]) -> Table:
    """The table with a note on the cells that cannot be run, for a table whose lines are results only."""
    note = Reasons.of(facts).note()
    return dataclasses.replace(table, notes=(note, *table.notes)) if note else table


def lacking(absent: Mapping[str, str]) -> list[tuple[str, int, int, str, str]]:
    """(data set, context, horizon, variant, why) of the runs among `absent`, which maps each path to its reason."""
    found = []
    for path, reason in absent.items():
        if match := RUN_PATH.fullmatch(path):
            why = next((said for start, said in SHORT.items() if reason.startswith(start)), "failed")
            cell = match["dataset"], int(match["context"]), int(match["horizon"]), match["variant"]
            found.append((*cell, why))
    return list(dict.fromkeys(found))


def remarked(table: Table, text: str) -> Table:
    """The table with what `remark` says at the end of its caption, and a note on how its cells show it."""
    if not text:
        return table
    note = "A run without a result is shown as a dash, or left out of a mean over seeds."
    return dataclasses.replace(table, caption=f"{table.caption} {text}", notes=(note, *table.notes))


def without_results(name: str, *, text: str) -> Table:
    """The table of an experiment none of whose runs has a result."""
    line = f"None of the runs of {name} has a result."
    return one_line(name, line, caption=text, label=f"tab:{name.replace('_', '-')}")


def one_line(heading: str, line: str, *, caption: str, label: str) -> Table:
    """A table that has a sentence in place of its rows."""
    block = Block(header=((Cell(text=heading),),), groups=((((Cell(text=line),),),),))
    return Table(columns="l", blocks=(block,), caption=caption, label=label)


def summary(failures: Sequence[Failure], *, configuration: str, planned: int) -> str:
    """The first sentence of the report."""
    if not failures:
        return f"Failures: none. All {planned} results of configuration {configuration} are present."
    return f"Failures: {len(failures)} of {planned} results of configuration {configuration} are absent."


def to_table(failures: Sequence[Failure], *, text: str) -> Table:
    """One group per failure: what is absent, why, and the command."""
    groups = []
    for failure in failures:
        lines = [failure.result, *_wrapped(failure.reason), *_wrapped(failure.command, end=" \\")]
        groups.append((tuple((Cell(text=line, bold=number == 0),) for number, line in enumerate(lines)),))
    return Table(
        columns="l",
        blocks=(
            Block(
                header=((Cell(text="Result, reason, and the command that makes it alone"),),),
                groups=tuple(groups) or ((((Cell(text="none failed"),),),),),
            ),
        ),
        caption=text,
        label="tab:failures",
    )


def _wrapped(text: str, *, end: str = "") -> list[str]:
    """Lines of at most about `LINE` characters, joined by `end`."""
    lines = textwrap.wrap(text, LINE, break_on_hyphens=False, break_long_words=False)
    return [line + end for line in lines[:-1]] + lines[-1:]


def to_markdown(failures: Iterable[Failure], *, text: str) -> str:
    """The same as a list; each command is in a block from which it can be copied."""
    parts = [markdown_paragraph(text)]
    for failure in failures:
        parts += [
            f"**{escape_markdown(failure.result)}**",
            markdown_paragraph(failure.reason),
            f"    {failure.command}",
        ]
    return "\n\n".join(parts) + "\n"


def to_rows(failures: Sequence[Failure], *, text: str) -> Table:
    """The same with one column for each, for a page that wraps long lines by itself."""
    rows = [tuple(map(_whole, (failure.result, failure.reason, failure.command))) for failure in failures]
    rows = rows or [tuple(map(_whole, ("none failed", "", "")))]
    header = (tuple(map(_whole, ("Result", "Reason", "Command that makes it alone"))),)
    blocks = (Block(header=header, groups=(tuple((row,) for row in rows),)),)
    return Table(columns="lll", blocks=blocks, caption=text, label="tab:failures")


def _whole(text: str) -> Cell:
    return Cell(text=text)


def texts(failures: Sequence[Failure], *, configuration: str, planned: int) -> dict[str, str]:
    """The report by file ending: as LaTeX, as Markdown and as HTML."""
    text = summary(failures, configuration=configuration, planned=planned)
    latex, page = to_table(failures, text=text), to_rows(failures, text=text)
    return {".tex": to_latex(latex), ".md": to_markdown(failures, text=text), ".html": to_html(page)}
