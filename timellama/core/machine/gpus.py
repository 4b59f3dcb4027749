"""One GPU per training, where several trainings run at once on one machine without a scheduler that assigns GPUs.

`python -m timellama.core.machine.gpus COMMAND...` becomes COMMAND. A training script gets a GPU that no other has:
the first free one in CUDA_VISIBLE_DEVICES, which becomes the only one that it sees. The GPU is taken by locking a file
and released when the training and its children have ended, however they end. With TIMELLAMA_RUNS_PER_GPU=4 four
trainings share a GPU. The script that calibrates intervals counts as a training. Other commands run unchanged.

Only the standard library is imported, and nothing that a number depends on imports this module.
"""

import fcntl
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
RUNS = "TIMELLAMA_RUNS_PER_GPU"
# The endings of Snakemake's copies of the scripts in workflow/scripts that compute on a GPU at the same time.
TRAINING = (".train.py", ".calibrate.py")
WAIT = 0.5  # our choice: seconds between two checks for a free GPU


def visible_gpus() -> list[str]:
    """The names in CUDA_VISIBLE_DEVICES or, if it is not set, the numbers that nvidia-smi lists. Exits if none."""
    if VISIBLE in os.environ:
        names = os.environ[VISIBLE].split(",")
    else:
        try:
            listing = subprocess.check_output(["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"nvidia-smi lists no GPUs ({error}): name them, for example {VISIBLE}=0,1") from None
        names = listing.splitlines()
    found = [name.strip() for name in names if name.strip()]
    if not found:
        raise SystemExit(f"{VISIBLE} is {os.environ.get(VISIBLE)!r}, which is no GPU: name them, for example 0,1")
    return found


def take_gpu(gpus: Sequence[str], *, locks: Path, runs: int) -> str:
    """Take a place on a GPU for this process and those that it starts or becomes; a GPU has `runs` places.

    GPUs with fewer places taken come first. Waits while all places are taken.
    """
    locks.mkdir(exist_ok=True)
    while True:
        for place, gpu in itertools.product(range(runs), gpus):
            file = os.open(locks / f"{gpu.replace('/', '-')}.{place}", os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            os.set_inheritable(file, True)  # it stays open, and so locked, in the command that this process becomes
            return gpu
        time.sleep(WAIT)


def runs_per_gpu() -> int:
    """How many trainings share a GPU. Exits if TIMELLAMA_RUNS_PER_GPU is not a positive whole number."""
    asked = os.environ.get(RUNS, "1")
    if not asked.isascii() or not asked.isdigit() or int(asked) < 1:
        raise SystemExit(f"{RUNS} is {asked!r}, which is not a positive whole number: set it to 1, 2, ...")
    return int(asked)


def main(command: Sequence[str]) -> None:
    """Become the command."""
    if command[-1].endswith(TRAINING):
        # One folder for all workflows of a user, so that two workflows do not share a GPU either.
        locks = Path(tempfile.gettempdir()) / f"timellama-gpus-{os.getuid()}"
        os.environ[VISIBLE] = take_gpu(visible_gpus(), locks=locks, runs=runs_per_gpu())
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
