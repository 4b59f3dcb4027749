"""Two trainings never share a GPU unless asked to, and a killed one releases its GPU.

The devices are names: no GPU is needed.
"""

import os
import subprocess
import sys
import time
from itertools import pairwise

import pytest

COMMAND = (sys.executable, "-m", "timellama.core.machine.gpus", "sh", "-c")
LONGEST = 300  # seconds, on a busy machine


@pytest.fixture
def start(tmp_path, root):
    """Starts a shell command as the script of a training, or as another, with these GPUs; None leaves them unset."""

    def start(command, gpus, *, script="tmp1.train.py", **variables):
        given = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        given |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(root)} | variables
        given |= {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
        pipe = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([*COMMAND, command, script], env=given, **pipe)

    return start


def said(process):
    out, _ = process.communicate(timeout=LONGEST)
    return process.returncode, out.strip()


def test_each_training_has_a_gpu_to_itself_and_waits_for_it(start):
    told = "begin=$(date +%s.%N); sleep 0.5; echo $CUDA_VISIBLE_DEVICES $begin $(date +%s.%N)"
    seen = [said(process)[1].split() for process in [start(told, "3, GPU-5d2f") for _ in range(5)]]
    assert {gpu for gpu, _, _ in seen} == {"3", "GPU-5d2f"}
    for gpu in ("3", "GPU-5d2f"):
        spans = sorted((float(begin), float(end)) for name, begin, end in seen if name == gpu)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_as_many_trainings_share_a_gpu_as_are_requested(start):
    """Four on two GPUs, two on each; the fifth waits."""
    told = "begin=$(date +%s.%N); sleep 3; echo $CUDA_VISIBLE_DEVICES $begin $(date +%s.%N)"
    running = [start(told, "0,1", TIMELLAMA_RUNS_PER_GPU="2") for _ in range(5)]
    seen = sorted((float(begin), float(end), gpu) for gpu, begin, end in (said(each)[1].split() for each in running))
    assert sorted(gpu for *_, gpu in seen[:4]) == ["0", "0", "1", "1"]
    assert seen[4][0] >= min(end for _, end, _ in seen[:4])


def test_places_on_a_gpu_are_taken_without_waiting_until_all_are(tmp_path, root):
    """In a separate process, which keeps what it takes."""
    code = (
        "import sys; from pathlib import Path; from timellama.core.machine import gpus\n"
        "def wait(seconds): sys.exit('waits')\n"
        "gpus.time.sleep = wait\n"
        "for _ in range(5): print(gpus.take_gpu(['0', '1'], locks=Path(sys.argv[1]), runs=2), flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr.strip()) == (["0", "1", "0", "1"], "waits")


@pytest.mark.parametrize("asked", ["0", "-1", "two", ""])
def test_an_invalid_number_of_trainings_per_gpu_is_an_error(start, asked):
    code, out = said(start("echo ran", "0", TIMELLAMA_RUNS_PER_GPU=asked))
    assert code == 1 and "TIMELLAMA_RUNS_PER_GPU" in out


def test_a_killed_training_releases_its_gpu(start, tmp_path):
    process = start(f"touch {tmp_path}/begun; exec sleep 1000", "0")
    end = time.monotonic() + LONGEST
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    waiting = start("echo $CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.communicate(timeout=3)
    process.kill()
    process.communicate()
    assert said(waiting) == (0, "0")


def test_other_commands_run_unchanged(start):
    assert said(start("echo $CUDA_VISIBLE_DEVICES; exit 3", "0,1", script="tmp1.table.py")) == (3, "0,1")


def test_no_gpu_is_an_error(start):
    code, out = said(start("echo ran", ""))
    assert code == 1 and out == "CUDA_VISIBLE_DEVICES is '', which is no GPU: name them, for example 0,1"
    code, out = said(start("echo ran", None))
    assert (code == 1 and "nvidia-smi lists no GPUs" in out) or out == "ran", "a machine with GPUs"


def test_nvidia_smi_is_asked_when_no_gpus_are_set(start, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 7\necho 8\n", encoding="utf-8")
    program.chmod(0o755)
    assert said(start("echo $CUDA_VISIBLE_DEVICES", None, PATH=f"{tmp_path}:{os.environ['PATH']}")) == (0, "7")
