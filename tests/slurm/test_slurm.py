"""The smoke workflow on a real Slurm: one job is killed, and the table is the local one, byte for byte."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

COPIED = ("Snakefile", "config", "timellama", "workflow")
TABLE = "reports/table_long_term.tex"
SUBMITTED = re.compile(r"has been submitted with SLURM jobid (\d+) \(log: (\S+)\)")
LONGEST = 1200  # seconds: a busy machine with two cores takes six minutes
# A test cluster has no accounting, which is what the profile's way to ask for a job's state needs.
ASKING = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")
ASKING += (
    "--seconds-between-status-checks",
    "3",
    "--latency-wait",
    "5",
    "--set-resources",
    "train:mem_mb=1000*attempt",
)


def copy_of_project(root: Path, folder: Path) -> Path:
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.sif"))
        else:
            shutil.copy2(root / name, folder / name)
    return folder


def start(folder: Path, *arguments: str, log: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", TABLE, "--configfile", "config/smoke.yaml", *arguments]
    given = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("w") as out:
        return subprocess.Popen(command, cwd=folder, env=given, stdout=out, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def ran(cluster, root, tmp_path_factory):
    """The folder, the log and the Slurm job that was killed."""
    folder = copy_of_project(root, tmp_path_factory.mktemp("cluster"))
    log = folder / "snakemake.log"
    running = start(folder, "--profile", "workflow/profiles/slurm", *ASKING, log=log)
    killed, end = None, time.monotonic() + LONGEST
    while running.poll() is None and time.monotonic() < end:
        trainings = [number for number, place in SUBMITTED.findall(log.read_text()) if "/rule_train/" in place]
        if killed is None and trainings and state(trainings[0]) == "RUNNING":
            subprocess.run(["scancel", trainings[0]], check=True)
            killed = trainings[0]
        time.sleep(0.5)
    running.kill()
    assert running.wait() == 0, log.read_text()
    return folder, log.read_text(), killed


def state(job: str) -> str:
    done = subprocess.run(["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"], text=True, stdout=subprocess.PIPE)
    return done.stdout.strip()


def test_a_job_that_was_killed_is_run_again(ran):
    _, log, killed = ran
    assert killed is not None, "no training was seen running"
    assert state(killed) == "CANCELLED"
    places = [place.rsplit("/", 1)[0] for _, place in SUBMITTED.findall(log)]
    (again,) = {place for place in places if places.count(place) > 1}
    (of_killed,) = (place for number, place in SUBMITTED.findall(log) if number == killed)
    assert of_killed.startswith(f"{again}/") and places.count(again) == 2


def test_small_jobs_share_one_submission(ran):
    _, log, _ = ran
    places = [place for _, place in SUBMITTED.findall(log)]
    assert sum("/group_prepare_" in place for place in places) == 1, "fetch and normalise"
    assert sum("/rule_train/" in place for place in places) == len(places) - 3, "backbone, prepare and report"


def test_the_table_is_the_local_one(ran, root, tmp_path):
    there, _, _ = ran
    here = copy_of_project(root, tmp_path / "local")
    running = start(here, "-j2", log=tmp_path / "local.log")
    assert running.wait(LONGEST) == 0, (tmp_path / "local.log").read_text()
    assert (there / TABLE).read_bytes() == (here / TABLE).read_bytes()
    metrics = sorted(path.relative_to(here) for path in here.glob("results/*/*/*/*/metrics.json"))
    assert len(metrics) == 10
    for path in metrics:
        assert (there / path).is_file()
