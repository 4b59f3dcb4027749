"""`timellama plan` on the smoke configuration: measured, assumed, against finished runs, and with too few resources."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.refusal import unnamed
from timellama.cost import estimate as estimate
from timellama.experiments.matrix import make_matrix
from timellama.experiments.run import Run
from timellama.results.digests import code_of_run

METRIC = """
from timellama.training.scores.metric_objects import Metric

def near(forecast, truth):
    return (forecast - truth).abs().mean(dim=(1, 2))

NEAR = Metric(name="near", label="Near", direction="lower", unit="", decimals=2, function=near)
"""
SMOKE = ("plan", "--configfile", "config/smoke.yaml")


@pytest.fixture
def project(root, tmp_path, monkeypatch) -> Path:
    shutil.copytree(root / "config", tmp_path / "config")
    (tmp_path / "Snakefile").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(project: Path, **changed) -> Path:
    config = yaml.safe_load((project / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["dlinear", "seasonal-naive"]}
    section["not_run"] = ["look-back-mean", "hour-of-day-mean"]  # floors that would be planned as well
    config |= {"name": "small", "overrides": {}, "experiments": {"long_term": section}} | changed
    file = project / "small.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def finish(project: Path, run: Run, **more) -> None:
    """Leaves a result of this code."""
    place = project / "results" / run.folder
    place.mkdir(parents=True)
    metrics = {"steps": 4, "provenance": {"resumed_at": [], "source_digest": code_of_run(run)}} | more
    (place / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")


def test_every_run_is_counted_without_a_device(project, say):
    told = json.loads(say(*SMOKE, "--no-measure", "--json").stdout)
    config = yaml.safe_load((project / "config/smoke.yaml").read_text(encoding="utf-8"))
    runs = make_matrix(config, root=project).every_run()
    assert told["runs"] == {"all": len(runs), "done": 0, "left": len(runs), "measured_again": 0}
    [group] = told["impossible"]
    assert group["who"] == "every method" and group["experiments"] == ["few_shot"] and group["cells"] == 6
    assert "horizon 96" in group["reason"] and "train_percent" in group["remedy"]
    assert told["time"]["basis"] == "assumed" and told["device"] == "gpu"
    hours = told["hours"]
    assert hours["one_after_another"] == pytest.approx(sum(part["hours"] for part in told["methods"].values()))
    assert hours["one_after_another"] == pytest.approx(
        sum(hours[part] for part in ("start", "training", "validation", "test"))
    )
    assert hours["with_workers"]["1"] > hours["with_workers"]["8"] >= hours["longest_run"] > 0
    assert told["exaflop"] > 0 and told["downloads"] == [] and not told["do_not_fit"]


def test_doubling_the_peak_halves_the_time_that_depends_on_it(project, say):
    """Calls are free, so only operations cost time: training and test take half as long, the start is unchanged."""
    file = small(project)
    slow, fast = (
        json.loads(
            say(
                "plan",
                "--configfile",
                file,
                "--no-measure",
                "--peak",
                peak,
                "--share",
                0.5,
                "--job-overhead",
                0,
                "--json",
            ).stdout
        )
        for peak in (0.001, 0.002)
    )
    assert slow["hours"]["start"] == 0
    assert slow["hours"]["training"] == pytest.approx(2 * fast["hours"]["training"])


def test_a_measured_plan_lists_what_it_timed(project, say):
    told = json.loads(say("plan", "--configfile", small(project), "--json").stdout)
    assert told["time"]["basis"] == "measured" and told["time"]["busy"] > 0
    timed = {(point["kind"], point["pass"]) for point in told["time"]["points"]}
    assert timed == {("dlinear", "step"), ("dlinear", "forecast"), ("seasonal-naive", "forecast")}
    assert all(point["seconds"] > 0 for point in told["time"]["points"])
    text = say("plan", "--configfile", small(project)).stdout
    assert "nothing trained" in text and "By tomorrow" in text
    assert not (project / "results").exists()


def test_too_little_memory_or_disk_is_reported(project, say, monkeypatch):
    file = small(project)
    told = say("plan", "--configfile", file, "--no-measure", "--gpu-memory", 0.1, code=1).stdout
    assert "do not fit" in told and "overrides" in told
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    assert "10 bytes free" in say("plan", "--configfile", file, "--no-measure", code=1).stdout


def test_finished_runs_are_compared_with_the_prediction(project, say):
    file = small(project)
    runs = make_matrix(yaml.safe_load(file.read_text(encoding="utf-8")), root=project).every_run()
    folder = next(name for name, run in runs.items() if run.method == "dlinear")
    place = project / "results" / folder
    place.mkdir(parents=True)
    source_digest = code_of_run(runs[folder])
    metrics = {"steps": 4, "provenance": {"resumed_at": [], "source_digest": source_digest}}
    (place / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (place / "history.csv").write_text("step\n2\n4\n", encoding="utf-8")
    benchmark = project / "results/benchmarks" / f"{folder}.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\tmax_rss\tcpu_time\n9.0\t100.0\t2.0\n", encoding="utf-8")
    told = json.loads(say("plan", "--configfile", file, "--no-measure", "--job-overhead", 4, "--json").stdout)
    assert told["runs"] == {"all": 2, "done": 1, "left": 1, "measured_again": 0}
    [check] = told["checked_against"]["each"]
    assert (check["folder"], check["measured"], check["measured_bytes"]) == (folder, 2.0, 100 * 2**20)
    assert told["checked_against"]["time_median"] == pytest.approx(check["predicted"] / 2.0) and check["predicted"] > 4
    text = (place / "metrics.json").read_text(encoding="utf-8")
    (place / "metrics.json").write_text(text.replace(source_digest, "0" * len(source_digest)), encoding="utf-8")
    told = json.loads(say("plan", "--configfile", file, "--no-measure", "--json").stdout)
    assert told["runs"] == {"all": 2, "done": 0, "left": 2, "measured_again": 0}, (
        "of other code, so the workflow repeats it"
    )


def test_a_finished_run_that_was_measured_with_other_metrics_counts_as_left(project, say, monkeypatch):
    (project / "plan_metric.py").write_text(METRIC, encoding="utf-8")
    monkeypatch.syspath_prepend(str(project))
    file = small(project, metrics=["plan_metric:NEAR"])
    runs = make_matrix(yaml.safe_load(file.read_text(encoding="utf-8")), root=project).every_run()
    folder = next(name for name, run in runs.items() if run.method == "dlinear")
    finish(project, runs[folder])
    done = say("plan", "--configfile", file, "--no-measure").stdout
    assert not unnamed(done, "1 finished run", "it was measured by other metrics than this configuration names")
    told = json.loads(say("plan", "--configfile", file, "--no-measure", "--json").stdout)
    assert told["runs"] == {"all": 2, "done": 0, "left": 2, "measured_again": 1}
    broken = small(project, metrics=["plan_metric:NEAER"])
    assert not unnamed(say("plan", "--configfile", broken, "--no-measure", code=2).stderr, "plan_metric:NEAER", "NEAR?")


def test_runs_that_were_measured_by_metrics_count_as_left_where_the_configuration_names_none(project, say):
    file = small(project)
    runs = make_matrix(yaml.safe_load(file.read_text(encoding="utf-8")), root=project).every_run()
    for run in runs.values():
        finish(project, run, metrics={"near": {"place": "plan_metric:NEAR", "definition": "ab"}})
    done = say("plan", "--configfile", file, "--no-measure").stdout
    assert not unnamed(done, "2 finished runs", "they were measured by other metrics", "names none")
    told = json.loads(say("plan", "--configfile", file, "--no-measure", "--json").stdout)
    assert told["runs"] == {"all": 2, "done": 0, "left": 2, "measured_again": 2} and told["metrics"] == []


def test_published_weights_are_listed_as_downloads_with_their_size(project, say):
    config = {
        "experiments": {
            "long_term": {"datasets": {"ETTm1": {"context": 96, "horizons": [96]}}, "methods": ["time-llama"]}
        },
        "backbones": [{"name": "Llama-2-7B", "blocks": 1, "rank": 8}],
    }
    file = small(project, **config)
    told = json.loads(say("plan", "--configfile", file, "--no-measure", "--json").stdout)
    sizes = {each["name"]: each["bytes"] for each in told["downloads"]}
    assert sizes["ETT-small/ETTm1.csv"] == 10360719
    assert sizes["Llama-2-7B"] == pytest.approx(13.48e9, rel=1e-3)  # 9.98 + 3.50 GB on the hub
    assert told["disk"]["needed"] > sizes["Llama-2-7B"]


def test_a_method_can_be_left_out(project, say):
    file = small(project)
    told = json.loads(say("plan", "--configfile", file, "--no-measure", "--without", "dlinear", "--json").stdout)
    assert set(told["methods"]) == {"seasonal-naive"} and told["runs"]["all"] == 1
    both = ["time-llama-4", "time-llama-5"]
    floors = ["look-back-mean", "seasonal-naive", "hour-of-day-mean"]
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": both, "not_run": floors}
    of_one_method = small(project, experiments={"long_term": section})
    runs = [
        json.loads(say("plan", "--configfile", of_one_method, "--no-measure", *more, "--json").stdout)["runs"]["all"]
        for more in ((), ("--without", both[0]))
    ]
    assert runs[0] == 2 * runs[1] > 0, "a variant can also be left out by its name"
    file = small(project)
    wrong = say("plan", "--configfile", file, "--without", "dlinear", "--without", "dlinera", code=2).stderr
    assert not unnamed(wrong, "--without", "'dlinera'")
    every = ("--without", "dlinear", "--without", "seasonal-naive")
    assert not unnamed(say("plan", "--configfile", file, *every, code=2).stderr, "--without")


def test_help_shows_examples(say):
    assert "timellama plan --configfile config/cpu.yaml" in say("plan", "--help").stdout
