"""Each dash in a table has a reason, and a note gives equal reasons once."""

from timellama.experiments.impossible_cells import ImpossibleCell
from timellama.reports.failures import KILLED, NOT_STARTED, OTHER_CODE, UNFINISHED, lacking
from timellama.reports.render.dashes import Reasons, notes

ROWS = [("ETTh1", 96, 512), ("ETTh1", 192, 512), ("ETTh1", 96, 336), ("ILI", 24, 96)]
LABELS = {"patchtst": "PatchTST", "dlinear": "DLinear", "hour-of-day-mean": "Hour-of-day mean"}
VARIANTS = {label: variant for variant, label in LABELS.items()}
FAILED = {
    "results/long-term/ETTh1/patchtst/H96-T512-s0-0123456789/metrics.json": "ValueError: loss is NaN",
    "results/long-term/ETTh1/patchtst/H96-T512-s1-0123456780/metrics.json": "ValueError: loss is NaN",
    "results/long-term/ETTh1/dlinear/H192-T512-s0-0123456789/metrics.json": NOT_STARTED,
    "results/efficiency/dlinear/H96-T512-0123456789.json": KILLED,
}
SEASON = "ILI has a season of 52 steps, and a look-back of 96 holds 1 of the 2 that this forecast needs"


def told(dashes, planned=(), variants=VARIANTS, **reasons):
    found = Reasons(labels=LABELS, **reasons)
    return notes(dashes, reasons=found, planned=planned, rows=ROWS, variants=variants)


def impossible(variant, reason, **changes):
    cell = {"experiment": "long_term", "dataset": "ILI", "context": 96, "horizon": 24, "variant": variant}
    return ImpossibleCell(**cell | {"label": LABELS[variant], "reason": reason, "remedy": "-"} | changes)


def test_absent_results_are_located_by_their_paths_and_given_a_reason():
    assert lacking(FAILED) == [
        ("ETTh1", 512, 96, "patchtst", "failed"),
        ("ETTh1", 512, 192, "dlinear", "not run yet"),
    ]
    others = {
        f"results/few-shot-5pct/ILI/dlinear/H24-T96-s{number}-a/metrics.json": reason
        for number, reason in enumerate((UNFINISHED, OTHER_CODE, "not started, since reading ILI failed: x", KILLED))
    }
    assert [cell[-1] for cell in lacking(others)] == [
        "not run yet",
        "its result is of other code",
        "what it needs failed",
        "failed",
    ]


def test_a_planned_cell_without_a_result_says_what_happened():
    planned = [("ETTh1", 512, 96, "patchtst"), ("ETTh1", 512, 192, "dlinear"), ("ETTh1", 336, 96, "DLinear")]
    dashes = [(ROWS[0], "PatchTST"), (ROWS[1], "DLinear"), (ROWS[2], "Other")]
    [note, other] = told(dashes, planned, lacking=lacking(FAILED))
    assert note == (
        "Not complete: 2 of 3 planned cells have no result. Failed: PatchTST on ETTh1 (T 512, H 96). Not run yet: "
        "DLinear on ETTh1 (T 512, H 192). See table_failures."
    )
    assert other == "Not in this configuration: Other on ETTh1 (T 336)."


def test_a_variant_without_any_result_is_named_by_its_label():
    [note] = told([(ROWS[0], "PatchTST")], [("ETTh1", 512, 96, "PatchTST")], variants={}, lacking=lacking(FAILED))
    assert "Failed: PatchTST" in note


def test_an_impossible_cell_has_its_own_reason_and_is_not_counted_as_planned():
    planned = [("ILI", 96, 24, "hour-of-day-mean"), ("ETTh1", 512, 96, "dlinear")]
    dashes = [(ROWS[3], "Hour-of-day mean")]
    assert told(dashes, planned, impossible=[impossible("hour-of-day-mean", SEASON)]) == [
        f"Not possible. Hour-of-day mean: {SEASON}."
    ]


def test_a_cell_without_windows_is_impossible_for_every_method_planned_there_or_not():
    cells = [impossible(variant, "ILI has no window", of_data=True) for variant in ("patchtst", "dlinear")]
    dashes = [(ROWS[3], name) for name in ("PatchTST", "DLinear", "Hour-of-day mean")]
    assert told(dashes, impossible=cells) == ["Not possible. Every method: ILI has no window."]


def test_unplanned_cells_are_grouped_by_the_places_they_share():
    dashes = [(row, name) for row in ROWS[:3] for name in ("PatchTST", "DLinear")] + [(ROWS[3], "Hour-of-day mean")]
    assert told(dashes) == [
        "Not in this configuration: PatchTST and DLinear on ETTh1; Hour-of-day mean on ILI.",
    ]
    assert told([(("M4", 0, 0), "PatchTST")]) == ["No overall score without a result on every frequency: PatchTST."]
    assert told([]) == []
