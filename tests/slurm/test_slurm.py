"""The workflow on a real Slurm: one job is killed and runs again, and the table is the local one, byte for byte."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

COPIED = ("Snakefile", "config", "timellama", "workflow")
TABLE = "reports/table_long_term.tex"
METHODS = ["time-llama", "seasonal-naive"]
LEFT_OUT = ["look-back-mean", "hour-of-day-mean"]  # floors, which would be planned beside these
SUBMITTED = re.compile(r"has been submitted with SLURM jobid (\d+) \(log: (\S+)/\d+\.log\)")
LONGEST = 1200  # seconds, on a machine that does much else
# A test cluster has no accounting, which is what the profile's way to ask for a job's state needs.
ASKING = ["--slurm-status-command", "squeue", "--slurm-no-account", "--slurm-init-seconds-before-status-checks", "1"]
ASKING += ["--seconds-between-status-checks", "1", "--latency-wait", "5"]
PLACE = ["--set-resources", "train:gpu=1", "train:slurm_partition=graphics"]
SHOWN = "JobID:20,State:20,Partition:20,NumCPUs:20,MinMemory:20,tres-per-job:20"


def copy_of_project(root: Path, folder: Path) -> Path:
    """The project with its smoke configuration cut to two methods."""
    folder.mkdir(exist_ok=True)
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.sif"))
        else:
            shutil.copy2(root / name, folder / name)
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    long_term = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": METHODS}
    long_term["not_run"] = LEFT_OUT
    config["experiments"] = {"long_term": long_term}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def start(folder: Path, *arguments: str, python: Path | str = sys.executable) -> subprocess.Popen:
    given = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with (folder / "snakemake.log").open("w") as out:
        command = [python, "-m", "snakemake", TABLE, *arguments]
        return subprocess.Popen(command, cwd=folder, env=given, stdout=out, stderr=subprocess.STDOUT)


def jobs() -> dict[str, list[str]]:
    """State, partition, processors, memory and GPUs of every job, by its number."""
    done = subprocess.run(["squeue", "-h", "-t", "all", "-O", SHOWN], text=True, stdout=subprocess.PIPE, check=True)
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


def run_and_kill_one(folder: Path) -> str:
    """Run the workflow on the cluster; the number of Time-LlaMA's training, which is killed."""
    running, killed, end = start(folder, "--profile", "workflow/profiles/slurm", *ASKING, *PLACE), None, LONGEST
    while running.poll() is None and end > 0:
        found = SUBMITTED.findall((folder / "snakemake.log").read_text())
        trainings = [number for number, place in found if "_time-llama_" in place]
        if killed is None and trainings and jobs()[trainings[0]][0] == "RUNNING":
            subprocess.run(["scancel", trainings[0]], check=True)
            killed = trainings[0]
        time.sleep(0.5)
        end -= 0.5
    running.kill()
    assert running.wait() == 0, (folder / "snakemake.log").read_text()
    return killed


# One test and not several, which pytest-xdist would give to several processes, each with a Slurm of its own.
def test_a_killed_job_is_run_again_and_the_table_is_the_local_one(cluster, preloaded_python, root, tmp_path):
    there, here = copy_of_project(root, tmp_path / "there"), copy_of_project(root, tmp_path / "here")
    local = start(here, "-j1", python=preloaded_python)
    killed = run_and_kill_one(there)

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
    assert second == 2 * first > 0, "the second attempt asks for as much again"

    assert local.wait(LONGEST) == 0, (here / "snakemake.log").read_text()
    assert (there / TABLE).read_bytes() == (here / TABLE).read_bytes()
    assert len(list(there.glob("results/*/*/*/*/metrics.json"))) == len(METHODS)
