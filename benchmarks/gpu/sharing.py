"""Part `sharing`: training steps per second of several processes sharing one GPU, Time-LlaMA on ETTh1's shape."""

import os
import subprocess
import sys
import time

import torch

from benchmarks.gpu.record import ROOT, Given, arguments, synchronise
from benchmarks.gpu.steps import Step, model_of, subject

PROCESSES = (1, 4, 8, 14)  # the machine that this was written for has 16 cores
SECONDS = 6.0  # our choice: how long steps are counted


def worker(given: Given, start: float) -> None:
    """Make steps for SECONDS, starting at the clock time `start`, and print their number."""
    torch.set_num_threads(1)
    run, parts = subject(given)
    batch = run.training.batch_size
    step = Step(model_of(given, run), run, device=given.device, batch=batch)
    x, y = parts.train.to(given.device).batch(torch.arange(batch, device=given.device))
    for _ in range(3):
        step(x, y)
    synchronise(given.device)
    late = time.time() - start
    time.sleep(max(0.0, -late))
    count, end = 0, max(start, time.time()) + SECONDS
    while time.time() < end:
        step(x, y)
        synchronise(given.device)
        count += 1
    print(count, max(late, 0.0))


def main(given: Given) -> None:
    """Record the steps per second of all processes together, for each number of processes."""
    for number in PROCESSES[:2] if given.tiny else PROCESSES:
        if given.left() < 25:
            given.record.add(what="processes", processes=number, status="skipped: no time was left")
            continue
        with given.record.attempt(what="processes", processes=number):
            start = time.time() + (8 if given.tiny else 12 + number / 2)
            command = [sys.executable, *("-m", "benchmarks.gpu.sharing", "--device", given.device)]
            command += ["--out", str(given.out), "--results", str(given.results), "--seconds", "60"]
            command += ["--tiny"] if given.tiny else []
            environment = os.environ | {"TIMELLAMA_CHECK_START": str(start), "OMP_NUM_THREADS": "1"}
            given_to_all = {"cwd": ROOT, "stdout": subprocess.PIPE, "text": True, "env": environment}
            started = [subprocess.Popen(command, **given_to_all) for _ in range(number)]
            said = [process.communicate(timeout=given.left())[0].split() for process in started]
            counts, late = [int(count) for count, _ in said], max(float(late) for _, late in said)
            given.record.add(
                what="processes", processes=number, steps_per_second=sum(counts) / SECONDS, late_seconds=late
            )


if __name__ == "__main__":
    given = arguments("sharing")
    if "TIMELLAMA_CHECK_START" in os.environ:
        worker(given, start=float(os.environ["TIMELLAMA_CHECK_START"]))
    else:
        main(given)
