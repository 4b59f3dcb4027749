"""The first edition's verdicts are the ones kept then, and every verdict that changed has a reason."""

import json
import re
import subprocess

import pandas as pd
import pytest
import yaml

from docs import claims_editions
from tests.kept import kept_runs
from tests.refusal import refused
from tests.test_claims import run
from timellama.reports.claims.rules import DOES_NOT_HOLD, HOLDS, INCONCLUSIVE, NOT_RUN, STATEMENTS, VERDICTS
from timellama.reports.claims.verdicts import Results, findings

LINE = "| {} | lower MSE | any data set | +2.0 % | +0.5 to +3.9 | 20 | below 0 | {} |"


def test_one_statement_is_counted_in_the_singular():
    verdicts = (HOLDS, INCONCLUSIVE, INCONCLUSIVE, NOT_RUN)
    made = [each for n, v in enumerate(verdicts) for each in claims_editions.read(LINE.format(f"1.{n}", v))]
    counted = claims_editions.counted(made, named={"1.0": "on ETTh1 alone"})
    assert counted == "1 holds here (1.0, on ETTh1 alone), 2 are inconclusive and 1 was not run"


def test_statement_6_1_holds_with_pairs_of_one_processor_too(root):
    """The kept runs give the table's interval; with Time-LlaMA's repeated runs it is the one that the page states."""
    repeats = json.loads((root / "docs/reference/repeats.json").read_text(encoding="utf-8"))
    here = {each["result"]: each["here"] for each in repeats if each["error"] == "mse"}
    runs = kept_runs(root)
    runs = runs[(runs["run/train_percent"] == 5) & (runs["run/horizon"] == 192)]
    (statement,) = (each for each in STATEMENTS if each.number == "6.1")
    ends = []
    for again in ({}, here):
        rows = [
            run(
                "active_loras",
                row["run/variant"],
                dataset=row["run/dataset"],
                horizon=192,
                seed=row["run/seed"],
                error=again.get(row["result"], row["mse"]),
            )
            for row in runs.to_dict("records")
            if re.fullmatch(r"time-llama(-n\d)?", row["run/variant"])
        ]
        results = Results(frames={"active_loras": pd.DataFrame(rows)})
        given = {"published": root / "config/published", "labels": {}, "statements": [statement]}
        (found,) = findings(results, **given)
        assert found.verdict == HOLDS and found.effect.pairs == 6
        ends.append(f"{found.effect.high:.2f} %")
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    said = f"interval of statement 6.1 ends at {ends[1]} instead of {ends[0]}, and its limit is {statement.high:.0f} %"
    assert said in words


@pytest.mark.parametrize("commit", [claims_editions.FIRST, claims_editions.MIDDLE])
def test_the_earlier_verdicts_match_their_commits(root, commit):
    command = ["git", "show", f"{commit}:docs/reference/cpu/table_claims.md"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8")
    if shown.returncode != 0:
        pytest.skip(f"{commit} is not available: a shallow clone, or no repository")
    kept = claims_editions.earlier(commit)
    assert list(kept.values()) == claims_editions.read(shown.stdout)
    assert list(kept) == [statement.number for statement in STATEMENTS]


def test_old_and_new_lines_are_read_and_damaged_ones_refused():
    (old,) = claims_editions.read(LINE.format("1.4", "**contradicted**").replace(" any data set |", ""))
    (new,) = claims_editions.read(LINE.format("1.4", "**does not hold here**"))
    assert old == new and new.verdict == DOES_NOT_HOLD
    assert (new.number, new.statement, new.shown, new.pairs) == ("1.4", "lower MSE", "+2.0 % (+0.5 to +3.9)", "20")
    for damaged in (LINE.format("1.4", "perhaps"), "no table"):
        with refused("statements", "verdicts"):
            claims_editions.read(damaged)


def test_every_reason_names_the_verdict_of_the_first_edition(root):
    first = claims_editions.earlier(claims_editions.FIRST)
    entries = yaml.safe_load(claims_editions.REASONS.read_text(encoding="utf-8"))
    keys = [(entry["number"], entry["now"]) for entry in entries]
    assert len(keys) == len(set(keys)) >= 6
    for entry in entries:
        assert entry["first"] == first[entry["number"]].verdict != entry["now"] in VERDICTS
        assert entry["reason"].strip().endswith(".")
    rules = {entry["number"]: entry["rule"] for entry in entries if "rule" in entry}
    assert {len(rule) for rule in rules.values()} == {7}
    assert {entry["number"] for entry in entries} - set(rules) == {"2.1", "6.1"}, "changed by runs only"


def test_exactly_the_changed_verdicts_on_the_page_have_a_reason(root):
    text = (root / "docs/claims.md").read_text(encoding="utf-8")
    block = text[text.index("<!-- editions: begin -->") :]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines() if line.startswith("|")
    ]
    assert [row[0] for row in rows[2:]] == [statement.number for statement in STATEMENTS]
    for number, _, _, before, _, now, reason in rows[2:]:
        assert (before != now.strip("*")) == bool(reason) == now.startswith("**"), number


def changed(monkeypatch, tmp_path, first: str, now: str, reasons: list[dict]) -> list[claims_editions.Change]:
    """The changes of a made-up statement."""
    kept = tmp_path / "table_claims.md"
    kept.write_text(LINE.format("1.3", f"**{now}**"), encoding="utf-8")
    line = {
        "commit": claims_editions.FIRST,
        "number": "1.3",
        "statement": "",
        "effect": "",
        "interval": "",
        "pairs": "",
    }
    pd.DataFrame([line | {"verdict": first}]).to_csv(tmp_path / "earlier.csv", index=False)
    (tmp_path / "reasons.yaml").write_text(yaml.safe_dump(reasons), encoding="utf-8")
    monkeypatch.setattr(claims_editions, "KEPT", tmp_path)
    monkeypatch.setattr(claims_editions, "EARLIER", tmp_path / "earlier.csv")
    monkeypatch.setattr(claims_editions, "REASONS", tmp_path / "reasons.yaml")
    return claims_editions.changes()


def test_new_runs_are_a_reason_and_any_other_change_needs_one(monkeypatch, tmp_path):
    (came,) = changed(monkeypatch, tmp_path, NOT_RUN, INCONCLUSIVE, [])
    assert (came.number, came.reason, came.rule) == ("1.3", claims_editions.CAME, None)
    assert changed(monkeypatch, tmp_path, INCONCLUSIVE, INCONCLUSIVE, []) == []
    with refused("1.3", "'holds here'", "'inconclusive'"):
        changed(monkeypatch, tmp_path, HOLDS, INCONCLUSIVE, [])
    reason = {"number": "1.3", "first": HOLDS, "now": INCONCLUSIVE, "rule": "0650c69", "reason": "Other data."}
    (told,) = changed(monkeypatch, tmp_path, HOLDS, INCONCLUSIVE, [reason])
    assert told.reason == "Other data."
    with refused("1.3", f"'{DOES_NOT_HOLD}'"):
        changed(monkeypatch, tmp_path, HOLDS, DOES_NOT_HOLD, [reason])
