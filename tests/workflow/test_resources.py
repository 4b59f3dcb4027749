"""What trainings ask for: cores that do not overfill a machine, and memory, minutes and a GPU of their own sizes."""

import os
import re

import pytest


def trainings(told: str) -> dict[str, str]:
    """What a dry run told of every training, by its log."""
    jobs = [job for job in re.split(r"(?m)^rule ", told) if job.startswith("train:")]
    return {re.search(r"log: results/logs/train/(\S+)", job).group(1): job for job in jobs}


@pytest.mark.parametrize("cores", [1, 2, 8, 100])
def test_no_more_trainings_run_at_once_than_the_machine_has_cores_for(untouched, cores):
    few = ("-n", "reports/table_long_term.tex", "--configfile", "config/smoke.yaml")
    done = untouched.snakemake(*few, "--cores", str(cores))
    assert done.returncode == 0, done.stdout
    jobs = trainings(done.stdout)
    assert len(jobs) == 10
    for job in jobs.values():
        threads = re.search(r"threads: (\d+)", job)
        assert cores // int(threads.group(1) if threads else 1) == min(cores, len(os.sched_getaffinity(0)))


def test_a_training_on_cuda_asks_for_a_gpu_and_for_the_memory_of_its_backbone(dry_run):
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
