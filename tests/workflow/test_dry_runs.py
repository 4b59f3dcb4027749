"""What the workflow would do, in a project without data and weights, and the resource requests of its trainings.

These are cores that do not overload a machine, and memory, minutes and a GPU according to their own sizes.
"""

import functools
import os
import re
from collections.abc import Callable

import pytest
import yaml

from tests.digest_caches import forget
from timellama.core import code_digest, code_files
from timellama.reports.planned import code_of
from timellama.reports.registry import of_configuration

CONFIGURATIONS = ("config", "smoke", "cpu", "paper")


@pytest.fixture(scope="module")
def untouched(make_project):
    """A project in which nothing is changed and only dry runs are made."""
    return make_project()


@pytest.fixture(scope="module")
def dry_run(untouched) -> Callable[[str], str]:
    """The output of a dry run of everything with a given configuration."""

    @functools.cache
    def dry_run(name: str) -> str:
        done = untouched.snakemake("all", "-n", "--configfile", f"config/{name}.yaml")
        assert done.returncode == 0, done.stdout
        assert not list(untouched.folder.rglob("*.npz")), "a dry run creates nothing"
        return done.stdout

    return dry_run


def test_a_copy_has_the_digests_that_were_kept(make_project, root, monkeypatch):
    """Otherwise the first workflow in each of the suite's copies would compute them again."""
    folder = make_project().folder / "timellama"
    reports = of_configuration(yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8")))
    before = {name: code_of(report) for name, report in reports.items()}
    monkeypatch.setattr(code_files, "ROOT", folder)
    monkeypatch.setattr(code_digest, "text_of", None)
    forget()
    try:
        assert {name: code_of(report) for name, report in reports.items()} == before
    finally:
        forget()


def test_lint(untouched):
    """The only remaining lint suggests conda or a container; the environment is that of `make install`."""
    done = untouched.snakemake("--lint")
    assert set(re.findall(r"^    \* (.*):$", done.stdout, re.MULTILINE)) == {
        "Specify a conda environment or container for each rule."
    }, done.stdout


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration_plans_without_data_and_weights(dry_run, name):
    assert "rule train:" in dry_run(name)


def test_a_second_configuration_is_not_merged_into_the_default_and_its_jobs_match_the_page(dry_run, root):
    told = dry_run("smoke")
    assert "Synthetic" in told and "NYCWeather" not in told
    planned, shown = (
        dict(re.findall(r"^(\w+) +(\d+)$", text.partition("Job stats:")[2].partition("\n\n")[0], re.MULTILINE))
        for text in (told, (root / "docs/commands.md").read_text(encoding="utf-8").replace("\n…", "\n\n"))
    )
    assert planned == shown and int(planned["total"]) > len(planned) > 10


def test_a_mistake_in_the_configuration_is_reported_without_a_traceback(untouched):
    done = untouched.snakemake("all", "-n", "--config", "seedz=1")
    assert done.returncode != 0 and "unknown key" in done.stdout and "seeds" in done.stdout
    assert "Traceback" not in done.stdout


def trainings(told: str) -> dict[str, str]:
    """What a dry run printed about every training, by its log."""
    jobs = [job for job in re.split(r"(?m)^rule ", told) if job.startswith("train:")]
    return {re.search(r"log: results/logs/train/(\S+)", job).group(1): job for job in jobs}


@pytest.mark.parametrize("cores", [1, 2, 8, 100])
def test_no_more_trainings_run_at_once_than_the_machine_has_cores_for(untouched, dry_run, cores):
    if cores == 2:  # as every dry run here has
        told = dry_run("smoke")
    else:
        few = ("-n", "reports/table_long_term.tex", "--configfile", "config/smoke.yaml")
        done = untouched.snakemake(*few, "--cores", str(cores))
        assert done.returncode == 0, done.stdout
        told = done.stdout
    jobs = trainings(told)
    assert len(jobs) == told.count("\nrule train:") >= 10
    for job in jobs.values():
        threads = re.search(r"threads: (\d+)", job)
        assert cores // int(threads.group(1) if threads else 1) == min(cores, len(os.sched_getaffinity(0)))


def test_a_training_on_cuda_requests_a_gpu_and_the_memory_of_its_backbone(dry_run):
    jobs = trainings(dry_run("paper"))
    asked = {}
    for backbone in ("Llama-2-7B-x8", "Llama-3.2-1B-x6"):
        (job,) = (job for log, job in jobs.items() if f"/Traffic/time-llama/H96-T512-s0-{backbone}" in log)
        found = dict(re.findall(r"(gpu|mem_mb|vram_mb|runtime)=(\d+)", job))
        assert found["gpu"] == "1" and 30 < int(found["runtime"]) <= 24 * 60
        asked[backbone] = (int(found["mem_mb"]), int(found["vram_mb"]))
    weights = 8 * 202_383_360 * 2 // 10**6  # MB of eight blocks of Llama-2 7B in bfloat16, by its own sizes
    host, device = asked["Llama-2-7B-x8"]
    assert host > 2 * weights and device > weights
    assert asked["Llama-3.2-1B-x6"] < (host, device) and asked["Llama-3.2-1B-x6"][1] < device
