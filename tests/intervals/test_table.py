"""The table of intervals: means over seeds, which coverages are marked as off, and what it says if it cannot judge."""

import json

import pytest

from tests.made_up import document
from tests.refusal import refused
from timellama.experiments.configuration import Configuration
from timellama.reports.registry import built, of_configuration, reports, why_not
from timellama.reports.render.markup import to_markdown
from timellama.reports.report import ReportContext

METHODS = {
    "dlinear": {"label": "DLinear", "floor": False},
    "seasonal-naive": {"label": "Seasonal naive", "floor": True},
    "patchtst": {"label": "PatchTST", "floor": False},
}
SCORES = {
    "run": "long-term/ETTh1/dlinear/a",
    "n_windows": 2785,
    "calibration": {"part": "validation", "windows": 1000, "of": 2785},
    "quantiles": 19,
    "coverage": {"50": 0.48, "80": 0.79, "90": 0.93},
    "coverage_interval": {"50": [0.4, 0.6], "80": [0.7, 0.88], "90": [0.92, 0.94]},
    "coverage_of_thirds": {"50": [0.5, 0.5, 0.44], "80": [0.8, 0.8, 0.77], "90": [0.95, 0.94, 0.9]},
    "width": {"50": 0.5, "80": 1.0, "90": 1.5},
    "pinball": 0.2,
    "crps": 0.3,
    "provenance": {"git_commit": "0" * 40, "git_dirty": False, "source_digest": "ab", "weights_sha256": "0" * 64},
}
FACTS = {
    "configuration": "cpu",
    "methods": METHODS,
    "planned": [("ETTh1", 512, 96, variant) for variant in METHODS],
    "not_run": [],
    "generated": [],
    "remark": "",
}
RUNS = {("dlinear", 0): {}, ("dlinear", 1): {"crps": 0.32}, ("seasonal-naive", 0): {"crps": 0.4}}


def made(folder, runs):
    paths = []
    for (variant, seed), changes in runs.items():
        place = folder / f"{variant}-{seed}"
        place.mkdir()
        metrics = document(variant=variant, method=variant, identity=place.name, mse=0.4, mae=0.5, seed=seed)
        (place / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        (place / "intervals.json").write_text(json.dumps(SCORES | changes), encoding="utf-8")
        paths.append(place / "intervals.json")
    report = reports({"long_term": {}}, intervals=True)["table_intervals"]
    return built(ReportContext(report=report, files={"long_term": paths}, facts=FACTS))


def lines(table):
    rows = [line for line in to_markdown(table).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_each_method_has_one_line_with_means_over_seeds_and_marked_coverages(tmp_path):
    table = made(tmp_path, RUNS)
    first, second = lines(table)
    assert first[:6] == ["ETTh1", "96", "512", "1000", "2785", "DLinear"]
    covered = [cell.partition("<sub>")[0] for cell in first[6:9]]
    assert covered == ["48.0", "79.0", "93.0\\*"], "90 is not within 92 to 94"
    assert first[9:] == ["1.000", "0.200", "**0.310**", "0.400", "0.500"]
    assert second[5] == "Seasonal naive" and second[11] == "0.400"
    notes = " ".join(table.notes)
    assert "2 of 6 coverages" in notes and "covered 95.0, 94.0 and 90.0 %" in notes
    assert "Without intervals: PatchTST on ETTh1 at H 96" in notes
    numbers = {(row["method"], row["metric"]): row["mean"] for row in table.numbers}
    assert numbers["DLinear", "width_90"] == 1.5 and numbers["DLinear", "crps"] == pytest.approx(0.31)


def test_infinite_values_and_those_that_cannot_be_judged_are_a_dash_with_a_note(tmp_path):
    changes = {"width": SCORES["width"] | {"80": None}, "pinball": None, "crps": None}
    changes["coverage_interval"] = dict.fromkeys(SCORES["coverage_interval"])
    table = made(tmp_path, {("dlinear", 0): changes})
    [line] = lines(table)
    assert line[9:12] == ["\N{EN DASH}"] * 3 and not any("*" in cell for cell in line)
    notes = " ".join(table.notes)
    assert "No sampling error for ETTh1 at H 96" in notes and "too few validation windows" in notes
    assert "off by more" not in notes


def test_a_configuration_has_the_table_only_on_request():
    asked = {"experiments": {"long_term": {}}, "intervals": True}
    assert "table_intervals" in of_configuration(asked)
    assert "table_intervals" not in of_configuration({"experiments": {"long_term": {}}})
    assert "table_intervals" not in of_configuration({"experiments": {"few_shot": {}}, "intervals": True})
    assert "`intervals: true`" in why_not("table_intervals", {"experiments": {}})
    assert "intervals" not in why_not("table_depth", {"experiments": {}})


def test_intervals_without_long_term_runs_are_refused(root):
    from timellama.core.schema import read_yaml, validate

    config = read_yaml(root / "config/smoke.yaml") | {"intervals": True}
    assert validate(config, Configuration, origin="mine").intervals
    del config["experiments"]["long_term"]
    with refused("mine", "intervals", True, "long_term"):
        validate(config, Configuration, origin="mine")
