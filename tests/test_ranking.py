"""Many methods: hand-computed numbers, those that fev gives, and what is not tested."""

import importlib.util
import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks import fev_summary
from tests.made_up import cells
from timellama.reports.figures import critical_difference
from timellama.reports.render.markup import to_latex, to_markdown
from timellama.reports.render.table_csv import to_csv
from timellama.reports.report import Needs, Report, ReportContext
from timellama.reports.tables import ranking as report
from timellama.results.numbers import FEV
from timellama.results.statistics.ranking import (
    LEAST_DATASETS,
    Units,
    cliques,
    friedman,
    pairs,
    ranking,
    ranks,
    skill,
    units_of,
    wilcoxon,
    wins,
)

ERRORS = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 6.0]])


def units(errors, *, tested=True):
    names = tuple("abcdefgh"[: errors.shape[1]])
    places = tuple(map(str, range(len(errors))))
    return Units(
        methods=names, names=places, errors=errors, tested=tested, rows=pd.DataFrame(), left_out=(), without=()
    )


def test_ranks_and_wins_match_hand_computed_values():
    assert ranks(ERRORS).tolist() == [[1, 2, 3], [1.5, 1.5, 3]]
    assert wins(ERRORS).tolist() == [[1, 0.5, 0], [0.75, 0.75, 0]]
    first, *_, last = ranking(units(ERRORS), baseline="c")
    assert (first.method, first.rank.value, first.win_rate.value) == ("a", 1.25, 0.875)
    # 1/4 and 1/2 of the baseline: a geometric mean of 0.3536.
    assert skill(first.log_ratio.value) == pytest.approx(1 - math.sqrt(1 / 8))
    assert (last.method, last.rank.value, last.log_ratio.value) == ("c", 3.0, 0.0)
    # Ranks 1 and 1.5: a standard error of 0.25, and t with one degree of freedom.
    low, high = first.rank.ends()
    assert high - low == pytest.approx(2 * 12.7062 * 0.25, rel=1e-5)
    alone = ranking(units(ERRORS, tested=False), baseline="c")
    assert alone[0].rank.value == 1.25 and math.isnan(alone[0].rank.ends()[0])


def test_relative_errors_are_clipped_as_in_fev():
    (_, worst) = ranking(units(np.array([[1.0, 1e9]])), baseline="a")
    assert skill(worst.log_ratio.value) == pytest.approx(-99.0)


def test_friedman_matches_hand_computed_values():
    # Ranks 1, 2, 3 in each of 4 units: sums 4, 8, 12, and the statistic is 12 / (4 * 3 * 4) * 224 - 3 * 4 * 4 = 8.
    statistic, p = friedman(np.tile([1.0, 2.0, 3.0], (4, 1)))
    assert (statistic, p) == (pytest.approx(8.0), pytest.approx(math.exp(-4)))
    assert friedman(np.ones((4, 3))) == (0.0, 1.0)


def test_wilcoxon_matches_hand_computed_values():
    # Of 32 choices of signs for five ranks, one has no positive rank, and one a sum of 1.
    assert wilcoxon([-1, -2, -3, -4, -5]) == 2 / 32 and wilcoxon([1, -2, -3, -4, -5]) == 4 / 32
    # Two equal sizes share rank 1.5: sums of 0, 1.5, 1.5 and 3.
    assert wilcoxon([1, 1]) == 0.5 and wilcoxon([-1, 1]) == 1.0 and wilcoxon([0, 0]) == 1.0
    # Of 2 ** 14 choices of signs for equal sizes, one has no positive rank, and 14 have one.
    assert wilcoxon([1] + [-1] * 13) == 2 * 15 / 2**14


def test_pairs_are_corrected_as_one_family():
    errors = np.arange(1, 9)[:, None] + np.array([[0.0, 0.5, 0.6]]) * np.arange(1, 9)[:, None]
    found = pairs(units(errors), ["a", "b", "c"])
    assert [pair.p for pair in found] == pytest.approx([3 * 2 / 256] * 3)
    assert [pair.win_rate for pair in found] == [1.0, 1.0, 1.0]


def test_cliques_are_the_longest_stretches():
    class Pair:
        def __init__(self, first, second, p):
            self.first, self.second, self.p = first, second, p

    found = [Pair("a", "c", 0.01), Pair("a", "d", 0.01), Pair("a", "b", 0.5), Pair("b", "c", 0.5)]
    found += [Pair("b", "d", 0.04), Pair("c", "d", 0.5)]
    assert cliques("abcd", found) == [("a", "b"), ("b", "c"), ("c", "d")]
    assert cliques("ab", [Pair("a", "b", 0.01)]) == []


def test_units_are_data_sets_where_there_are_enough():
    summary = cells("ABCDE")
    found = units_of(summary, summary["label"], metric="mse")
    assert found.tested and found.names == tuple("ABCDE")
    assert found.errors[1].tolist() == pytest.approx([7 / 12, 0.6, 1.0])
    few = cells("ABCD")
    found = units_of(few, few["label"], metric="mse")
    assert not found.tested and len(found.names) == 8 and LEAST_DATASETS == 5


def test_a_data_set_counts_at_the_look_back_of_most_rows():
    summary = cells("AB")
    other = summary[summary["variant"] == "seasonal-naive"].assign(context=8, mse_mean=9.0)
    both = pd.concat([other, summary], ignore_index=True)
    wanted, found = (units_of(each, each["label"], metric="mse") for each in (summary, both))
    assert set(found.methods) == set(wanted.methods) and 9.0 not in found.errors


def test_methods_and_cells_with_absent_results_are_left_out():
    absent = [("B", horizon, "patchtst") for horizon in (96, 192)] + [("A", 96, "dlinear")]
    summary = cells("AB", without=absent)
    found = units_of(summary, summary["label"], metric="mse")
    assert set(found.methods) == {"DLinear", "Seasonal naive"}
    assert (found.left_out, found.without) == (("PatchTST",), ("A 96",))
    assert len(found.rows) == 6 and set(found.rows["variant"]) == {"dlinear", "seasonal-naive"}


@pytest.fixture
def given(monkeypatch):
    """The context of the report, whose runs have this `summary`."""

    def of(summary, name="table_ranking"):
        monkeypatch.setattr(report, "collect", lambda paths, methods: None)
        monkeypatch.setattr(report, "summarise", lambda frame: summary)
        facts = {"configuration": "made-up", "generated": [], "methods": {}, "remark": ""}
        made = Report(name=name, title="", caption="", needs=Needs(), build="")
        return ReportContext(report=made, files={"long_term": ["a"]}, facts=facts)

    return of


def test_the_table_of_enough_data_sets_tests_all_pairs(given):
    made = report.table(given(cells("ABCDEF")))
    text = to_markdown(made)
    assert "on 6 data sets" in made.caption and "Friedman" in text and "PatchTST" in text and "Wilcoxon" in text
    assert "none can be below 0.094" in text, "3 pairs, each at least 2 of 64"
    assert to_latex(made)


def test_of_two_methods_only_their_pair_is_tested(given):
    absent = [(dataset, horizon, "patchtst") for dataset in "ABCDEF" for horizon in (96, 192)]
    text = to_markdown(report.table(given(cells("ABCDEF", without=absent))))
    assert "Friedman" not in text and "with 6 data sets and 1 pair none can be below 0.031" in text, "2 of 64"


def test_the_table_of_few_data_sets_only_describes(given):
    made = report.table(given(cells("ABC")))
    text = to_markdown(made)
    assert "nothing is tested" in text and "Friedman" not in text and len(made.blocks) == 1
    assert "6 cells (data set x horizon), which describe only themselves" in made.caption


@pytest.mark.parametrize(("datasets", "bar"), [("ABCDEF", True), ("ABC", False)])
def test_the_diagram_has_bars_only_with_enough_data_sets(given, datasets, bar):
    figure, remark = critical_difference.figure(given(cells(datasets), "critical_difference"))
    (axis,) = figure.get_axes()
    shown = {text.get_text() for text in axis.texts}
    assert {"Seasonal naive  3.00"} <= shown
    assert any(line.get_linewidth() == 3 for line in axis.lines) == bar
    assert ("nothing is tested" in remark) != bar


def test_marks_of_equal_rank_are_all_visible():
    tied = units(np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]]), tested=False)
    figure = critical_difference.drawn(report.Standing(units=tied, ranked=ranking(tied, baseline=None), pairs=[]))
    (axis,) = figure.get_axes()
    figure.canvas.draw()
    marks = [line for line in axis.lines if line.get_marker() != "None"]
    assert sorted(line.get_xdata()[0] for line in marks) == [1.5, 1.5, 3]
    places = axis.transData.transform([line.get_xydata()[0] for line in marks]) / figure.dpi * 72
    for one, other in itertools.combinations(range(3), 2):
        assert math.dist(places[one], places[other]) > marks[one].get_markersize(), "in points"
    starts = {line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 3}
    assert len(starts) == 3, "no line to a name hides another"


@pytest.mark.parametrize(("datasets", "equal"), [("ABC", False), ("ABCD", True)])
def test_the_remark_explains_marks_of_equal_rank(given, datasets, equal):
    _, remark = critical_difference.figure(given(cells(datasets), "critical_difference"))
    assert ("below the other" in remark) == equal


def test_numbers_are_those_of_fev():
    """fev's functions give the same numbers for a table's file; they are kept, and recomputed if fev is installed."""
    made, kept = fev_summary.summary(), json.loads(fev_summary.KEPT.read_text(encoding="utf-8"))
    assert kept["fev"] == FEV and kept["file"] == fev_summary.file_of(made).splitlines(), f"run {kept['command']}"
    if importlib.util.find_spec("fev"):
        assert fev_summary.measured() == kept
    found = units_of(made, made["variant"], metric="mse")
    of = {
        one.method: {
            "win_rate": pytest.approx(one.win_rate.value),
            "skill_score": pytest.approx(skill(one.log_ratio.value)),
            "median_training_time_s": 2.0,
        }
        for one in ranking(found, baseline="seasonal-naive")
    }
    assert kept["leaderboard"] == of and len(of) == 3
    rates = [[pair.first, pair.second, pytest.approx(pair.win_rate)] for pair in pairs(found, found.methods)]
    assert all(rate in kept["pairwise"] for rate in rates) and len(rates) == 3


def test_the_file_of_the_table_has_only_the_ranked_rows(given):
    absent = [("B", horizon, "patchtst") for horizon in (96, 192)]
    text = to_csv(report.table(given(cells("AB", without=absent))))
    assert "patchtst" not in text and text.count("seasonal-naive") == 2 * 4 and "fev_version" in text
