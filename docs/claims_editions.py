"""The verdicts of the first edition of `table_claims` beside those of this one, with the reason for each change.

`docs/claims/earlier.csv` has the statements as earlier tables printed them, by commit. `docs/claims/reasons.yaml` has
the reason for each verdict that changed, the old and the new verdict, and the commit of the rule. A statement that was
not run before and is now needs no reason.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import yaml

from docs.kept_numbers import KEPT, ROOT, table, wrapped
from timellama.core.errors import InputError
from timellama.reports.claims.rules import CANNOT_FAIL, DOES_NOT_HOLD, HOLDS, INCONCLUSIVE, NOT_RUN, VERDICTS
from timellama.reports.render.markup import listed

EARLIER = ROOT / "docs/claims/earlier.csv"
REASONS = ROOT / "docs/claims/reasons.yaml"
SAID_NOW = {"supported": HOLDS, "contradicted": DOES_NOT_HOLD}  # as earlier tables called them
COUNTED = {  # of one statement, and of more
    HOLDS: ("holds here", "hold here"),
    DOES_NOT_HOLD: ("does not hold here", "do not hold here"),
    INCONCLUSIVE: ("is inconclusive", "are inconclusive"),
    NOT_RUN: ("was not run", "were not run"),
    CANNOT_FAIL: ("cannot fail", "cannot fail"),
}
CAME = "Not run then. Runs that bear on it have come since."
NONE = "–"  # noqa: RUF001 - as the tables print a missing value
FIRST, MIDDLE = "075bb42", "d0a215d"  # the last tables by the first rules, and by the rules of costs and pairs


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A statement's row as a table of claims printed it."""

    number: str
    statement: str
    effect: str
    interval: str
    pairs: str
    verdict: str

    @property
    def shown(self) -> str:
        """Effect and interval."""
        return f"{self.effect} ({self.interval})" if self.interval != NONE else self.effect


@dataclass(frozen=True, kw_only=True)
class Change:
    """A verdict that differs from the first edition, and why."""

    number: str
    first: str
    now: str
    reason: str
    rule: str | None


def read(page: str) -> list[Printed]:
    """The statements of a `table_claims.md`, of this edition or an earlier one. Raises InputError if it has none."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"\d+\.\d+", cells[0]):
            effect, interval, pairs, _, verdict = cells[-5:]
            verdict = SAID_NOW.get(verdict.strip("*"), verdict.strip("*"))
            found.append(
                Printed(
                    number=cells[0], statement=cells[1], effect=effect, interval=interval, pairs=pairs, verdict=verdict
                )
            )
    unknown = {each.verdict for each in found} - set(VERDICTS)
    if unknown or not found:
        raise InputError(f"a table of claims has {len(found)} statements and unknown verdicts {sorted(unknown)}")
    return found


def current() -> list[Printed]:
    """The statements of the kept table."""
    return read((KEPT / "table_claims.md").read_text(encoding="utf-8"))


def earlier(commit: str) -> dict[str, Printed]:
    """The statements of an earlier table, by number."""
    frame = pd.read_csv(EARLIER, dtype=str, keep_default_na=False)
    rows = frame[frame["commit"] == commit].drop(columns="commit").to_dict("records")
    return {row["number"]: Printed(**row) for row in rows}


def changes() -> list[Change]:
    """The statements whose verdict differs from the first edition.

    Raises InputError for one without a reason.
    """
    given = {
        (str(entry["number"]), entry["first"], entry["now"]): entry for entry in yaml.safe_load(REASONS.read_text())
    }
    first, found = earlier(FIRST), []
    for each in current():
        before = first[each.number].verdict
        if before == each.verdict:
            continue
        entry = given.get((each.number, before, each.verdict))
        if entry is None and before != NOT_RUN:
            raise InputError(
                f"{REASONS}: statement {each.number} went from {before!r} to {each.verdict!r} without a reason: add one"
            )
        found.append(
            Change(
                number=each.number,
                first=before,
                now=each.verdict,
                reason=entry["reason"] if entry else CAME,
                rule=entry.get("rule") if entry else None,
            )
        )
    return found


def counted(statements: Sequence[Printed], *, named: Mapping[str, str] | None = None) -> str:
    """`2 hold here (1.2; 3.1, on ETTh1 alone) and 16 are inconclusive`; numbers and conditions only with `named`."""
    counts = []
    for verdict in VERDICTS:
        which = [each.number for each in statements if each.verdict == verdict]
        told = (
            "; ".join(f"{number}, {named[number]}" if number in named else number for number in which) if named else ""
        )
        numbers = f" ({told})" if told and verdict in (HOLDS, DOES_NOT_HOLD) else ""
        counts += [f"{len(which)} {COUNTED[verdict][len(which) > 1]}{numbers}"] if which else []
    return listed(counts)


def editions() -> str:
    """The block of docs/claims.md."""
    first, now = earlier(FIRST), current()
    changed = {each.number: each for each in changes()}
    about = (
        f"The first edition is the last table by the first rules (commit {FIRST}). Of its {len(first)} statements "
        f"{counted([*first.values()])}. The last table with speeds at the paper's size alone and pairs of one training "
        f"share (commit {MIDDLE}) has: {counted([*earlier(MIDDLE).values()])}. Now {counted(now)}. The first edition "
        'said "supported" and "contradicted" for what is called "holds here" and "does not hold here" now. Its '
        "intervals were a paired bootstrap over cells and seeds, and its effects of errors arithmetic means. "
        f"{len(changed)} verdicts changed. An effect whose verdict stays may have new runs or new rules behind it."
    )
    rows = []
    for each in now:
        before, why = first[each.number], changed.get(each.number)
        reason = why.reason + (f" Rule: {why.rule}." if why and why.rule else "") if why else ""
        verdict = f"**{each.verdict}**" if why else each.verdict
        rows.append([each.number, each.statement, before.shown, before.verdict, each.shown, verdict, reason])
    head = ["", "statement", "first effect (interval)", "first verdict", "effect now", "verdict now", "why it changed"]
    return f"{wrapped(about)}\n\n{table(head, rows, texts=len(head))}"
