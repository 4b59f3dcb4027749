"""Whether this machine multiplies bfloat16 faster than float32, for configurations whose precision is `auto`.

A GPU does, and so does a CPU with tiles for it (AMX). A CPU with only AVX512-BF16 is measured once, and the
result is kept, so that every later plan on the machine agrees. `python -m timellama.core.machine.bfloat16` measures.
Planning imports this module, so only the measurement imports torch.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from timellama.core.files import write_json
from timellama.core.machine.planned_gpu import GPU, plans_for_gpu
from timellama.core.provenance import CPUINFO, processor, processor_flags

FASTER = 1.2  # our choice: a smaller gain does not justify giving up 16 bits of each product
SIZE = 512  # our choice: rows and columns of the measured product, 0.3 GFLOP
SECONDS = 0.025  # our choice: how long each of the two types is measured


def measured() -> float:
    """Float32 seconds over bfloat16 seconds for one product, measured in a separate process."""
    said = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, check=True)
    return float(said.stdout)


def is_faster(
    device: str,
    *,
    cache: Path,
    cpuinfo: Path = CPUINFO,
    gpu: Path = GPU,
    probe: Callable[[], float] = measured,
) -> bool:
    """Whether bfloat16 is the faster type on `device` (auto, cpu or cuda), by `probe` if the flags do not say.

    The result of a probe is kept in `cache`, one per processor.
    """
    if plans_for_gpu(device, gpu=gpu):
        return True
    flags = processor_flags(cpuinfo)
    if "amx_bf16" in flags:
        return True
    if "avx512_bf16" not in flags:
        return False
    known = json.loads(cache.read_text(encoding="utf-8")) if cache.is_file() else {}
    here = processor(cpuinfo)
    if here not in known:
        known[here] = probe()
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, known)
    return known[here] >= FASTER


def ratio() -> float:
    """Float32 seconds over bfloat16 seconds for one product, in this process, on one thread."""
    import torch

    torch.set_num_threads(1)
    found = []
    for kind in (torch.float32, torch.bfloat16):
        a, b = torch.ones(SIZE, SIZE, dtype=kind), torch.ones(SIZE, SIZE, dtype=kind)
        a @ b  # warm-up
        fastest, end = float("inf"), time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            begun = time.perf_counter()
            a @ b
            fastest = min(fastest, time.perf_counter() - begun)
        found.append(fastest)
    return found[0] / found[1]


if __name__ == "__main__":
    print(ratio())
