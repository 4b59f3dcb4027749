"""The step that calibrates intervals: planned on request, after the trainings, and repeating none of them."""

import json
import re
import shutil

import pytest
import yaml


def counts(told):
    block = told.partition("Job stats:")[2].partition("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", block, re.MULTILINE)}


def test_it_is_planned_for_the_long_term_runs_on_request(make_project):
    project = make_project()
    given = ("-n", "all", "--configfile", "config/smoke.yaml")
    without, asked = (counts(project.snakemake(*given, *more).stdout) for more in ((), ("--config", "intervals=True")))
    # Ten methods including their floors at a look-back of 96, and one with three floors at 48.
    assert "calibrate" not in without and asked.pop("calibrate") == 14
    assert asked.pop("table") == without.pop("table") + 1 and asked.pop("total") == without.pop("total") + 15
    assert asked == without
    done = project.snakemake("-n", "reports/table_intervals.tex", "--configfile", "config/smoke.yaml")
    assert done.returncode != 0 and "`intervals: true`" in done.stdout
    done = project.snakemake("-n", "all", "--configfile", "config/smoke.yaml", "--config", "intervals=yes")
    assert done.returncode != 0 and "intervals" in done.stdout and "Traceback" not in done.stdout


@pytest.fixture(scope="module")
def copy(copy_of_finished):
    project = copy_of_finished()
    file = project.folder / "config/config.yaml"
    config = yaml.safe_load(file.read_text(encoding="utf-8")) | {"intervals": True}
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    project.done = project.snakemake("reports/table_intervals.tex")
    return project


def test_it_repeats_no_training_and_the_table_covers_every_method(copy):
    assert copy.done.returncode == 0, copy.done.stdout
    # Three methods and two floors that are not listed.
    assert counts(copy.done.stdout) == {"calibrate": 5, "table": 1, "total": 6}
    table = (copy.folder / "reports/table_intervals.md").read_text(encoding="utf-8")
    for file in copy.folder.glob("results/long-term/Synthetic/*/*/intervals.json"):
        scores = json.loads(file.read_text(encoding="utf-8"))
        metrics = json.loads(file.with_name("metrics.json").read_text(encoding="utf-8"))
        assert scores["n_windows"] == metrics["n_windows"] == 217
        assert scores["mse"] == metrics["mse"], "the forecasts equal those of the run's test, to the bit"
        assert f"{100 * scores['coverage']['80']:.1f}" in table and f"{scores['crps']:.3f}" in table
    assert "Generated data" in table and "Seasonal naive" in table
    assert "Nothing to be done" in copy.snakemake("-n", "reports/table_intervals.tex").stdout


def test_an_edit_of_it_repeats_it_and_its_table_but_no_training(copy):
    path = copy.folder / "timellama/results/statistics/conformal.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("FLOOR = 0.3", "FLOOR = 0.4"), encoding="utf-8")
    told = copy.snakemake("-n", "reports/table_intervals.tex").stdout
    path.write_text(before, encoding="utf-8")
    assert counts(told) == {"calibrate": 5, "table": 1, "total": 6}


def test_a_partial_report_names_what_is_missing(copy):
    [gone] = copy.folder.glob("results/long-term/Synthetic/dlinear/*/intervals.json")
    kept = shutil.copy2(gone, copy.folder / "kept.json")
    gone.unlink()
    targets = ("reports/table_intervals.md", "reports/table_failures.md")
    done = copy.snakemake(*targets, environment={"TIMELLAMA_PARTIAL": "1"})
    shutil.move(kept, gone)
    assert done.returncode == 0, done.stdout
    table, failures = (" ".join((copy.folder / name).read_text(encoding="utf-8").split()) for name in targets)
    assert "NOT COMPLETE: 1 of 5 runs" in table and "Without intervals: DLinear" in table
    assert "1 of 10 results" in failures and str(gone.relative_to(copy.folder)) in failures.replace("\\", "")
