"""Made-up experiments with a known truth: intervals cover it as often as they say; the earlier ones did not."""

import re

import pytest

from benchmarks.coverage import DESIGNS, RULES, coverage, of_rivals


@pytest.mark.parametrize("design", ["table 1, 3 seeds", "table 5, 3 seeds, no windows"])
def test_the_intervals_cover_the_truth(design):
    found = coverage(DESIGNS[design], repetitions=400)
    # With 400 repetitions, 95 % has a standard error of one point.
    for rule in ("any data set", "these cells"):
        assert 0.92 <= found[rule] <= 0.98 and found[f"wrong {rule}"] <= 0.07
    assert found["earlier, any data set"] < 0.87


def test_margins_and_shares_cover_the_truth_at_least_as_often():
    found = of_rivals(DESIGNS["table 1, 3 seeds"], 2, repetitions=80)
    assert found["margin"] >= 0.92 and found["share"] >= 0.95


def test_the_page_has_the_numbers_of_the_script(root):
    page = (root / "docs/claims.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| ([^|]+) \|((?: (?:none|[\d.]+ \([\d.]+\)) \|)+)$", page, flags=re.MULTILINE)
    assert [name for name, _ in table] == list(DESIGNS)
    found = {name: dict(zip(RULES, cells.strip(" |").split(" | "), strict=True)) for name, cells in table}
    for of in found.values():
        for rule in ("any data set", "these cells"):
            if of[rule] != "none":
                held, wrong = map(float, re.findall(r"[\d.]+", of[rule]))
                assert 93 <= held <= 97 and wrong <= 5.7
