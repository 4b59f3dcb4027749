"""The workflow on a real Slurm: one job is killed and rerun, and the table equals the local one, byte for byte."""

import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

from tests.conftest import Project

TABLE = "reports/table_long_term.tex"
METHODS = ["time-llama", "seasonal-naive"]
LEFT_OUT = ["look-back-mean", "hour-of-day-mean"]  # floors, which would be planned as well
SUBMITTED = re.compile(r"has been submitted with SLURM jobid (\d+) \(log: (\S+)/\d+\.log\)")
LONGEST = 1200  # seconds, on a busy machine
# A test cluster has no accounting, which the profile's way to query a job's state needs.
ASKING = ["--slurm-status-command", "squeue", "--slurm-no-account", "--slurm-init-seconds-before-status-checks", "1"]
ASKING += ["--seconds-between-status-checks", "1", "--latency-wait", "5"]
PLACE = ["--set-resources", "train:gpu=1", "train:slurm_partition=graphics"]
SHOWN = "JobID:20,State:20,Partition:20,NumCPUs:20,MinMemory:20,tres-per-job:20"


def cut(project: Project) -> Project:
    """The project with its smoke configuration cut to two methods."""
    config = yaml.safe_load((project.folder / "config/smoke.yaml").read_text(encoding="utf-8"))
    long_term = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": METHODS}
    long_term["not_run"] = LEFT_OUT
    config["experiments"] = {"long_term": long_term}
    (project.folder / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return project


def start(project: Project, *arguments: str, python: Path | str = sys.executable) -> subprocess.Popen:
    """Starts snakemake in the project; its output goes to a file, which shows its progress."""
    command = [python, "-m", "snakemake", TABLE, *arguments]
    with (project.folder / "snakemake.log").open("w") as out:
        return subprocess.Popen(
            command, cwd=project.folder, env=project.environment(), stdout=out, stderr=subprocess.STDOUT
        )


def jobs() -> dict[str, list[str]]:
    """State, partition, processors, memory and GPUs of every job, by its number."""
    done = subprocess.run(["squeue", "-h", "-t", "all", "-O", SHOWN], text=True, stdout=subprocess.PIPE, check=True)
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


def run_and_kill_one(project: Project) -> str:
    """Runs the workflow on the cluster and kills Time-LlaMA's training; returns the number of that job."""
    running, killed, end = start(project, "--profile", "workflow/profiles/slurm", *ASKING, *PLACE), None, LONGEST
    while running.poll() is None and end > 0:
        found = SUBMITTED.findall((project.folder / "snakemake.log").read_text())
        trainings = [number for number, place in found if "_time-llama_" in place]
        if killed is None and trainings and jobs()[trainings[0]][0] == "RUNNING":
            subprocess.run(["scancel", trainings[0]], check=True)
            killed = trainings[0]
        time.sleep(0.5)
        end -= 0.5
    running.kill()
    assert running.wait() == 0, (project.folder / "snakemake.log").read_text()
    return killed


# One test instead of several, which pytest-xdist would give to several processes, each with its own Slurm.
def test_a_killed_job_is_rerun_and_the_table_equals_the_local_one(cluster, make_project):
    cut_there, cut_here = cut(make_project()), cut(make_project())
    there, here = cut_there.folder, cut_here.folder
    local = start(cut_here, "-j1", python=cut_here.python)
    killed = run_and_kill_one(cut_there)

    submitted = SUBMITTED.findall((there / "snakemake.log").read_text())
    kinds = Counter(re.search(r"/(rule|group)_[a-z]+", place).group() for _, place in submitted)
    small = {"/group_prepare": 1, "/rule_backbone": 1, "/group_report": 1}  # fetch and normalise share a job
    assert kinds == small | {"/rule_train": len(METHODS) + 1}, "one training runs twice"

    seen, of = jobs(), dict(submitted)
    (again,) = [number for number, place in submitted if place == of[killed] and number != killed]
    states = {number: facts[0] for number, facts in seen.items()}
    assert states == {number: "CANCELLED" if number == killed else "COMPLETED" for number in of}
    for number, place in submitted:
        trains = "/rule_train/" in place
        asked = (seen[number][1], seen[number][2], seen[number][4])
        assert asked == (("graphics", "1", "gres:gpu:1") if trains else ("processors", "1", "N/A")), place
    first, second = (int(seen[number][3].removesuffix("M")) for number in (killed, again))
    assert second == 2 * first > 0, "the second attempt requests twice as much"

    assert local.wait(LONGEST) == 0, (here / "snakemake.log").read_text()
    assert (there / TABLE).read_bytes() == (here / TABLE).read_bytes()
    assert len(list(there.glob("results/*/*/*/*/metrics.json"))) == len(METHODS)
