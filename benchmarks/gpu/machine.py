"""Part `machine`: the hardware and its two ceilings, bytes per second and operations per second."""

import json
import platform

import torch

from benchmarks.gpu.record import MADE_OF, Given, arguments, timed
from timellama.core import provenance

MATMUL = 8192  # our choice: large enough for the ceiling of a GPU's matrix units
COPY = 1 << 31  # bytes, our choice: far beyond the cache


def matmul_rate(device: str, dtype: torch.dtype, *, size: int) -> float:
    """Floating-point operations per second of a product of square matrices of random numbers."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / min(timed(lambda: a @ b, device=device, seconds=1, most=10))


def copy_rate(device: str, *, size: int) -> float:
    """Bytes read and written per second by a copy within the device's memory."""
    a = torch.randn(size // 4, device=device)
    b = torch.empty_like(a)
    return 2 * size / min(timed(lambda: b.copy_(a), device=device, seconds=1, most=10))


def made_of(given: Given) -> dict[str, object]:
    """The checkout's commit or, if git does not know it, the one at which the data were packed."""
    commit, file = provenance.commit(), given.results / MADE_OF
    known = commit["git_commit"] != "unknown" or not file.is_file()
    return commit if known else json.loads(file.read_text(encoding="utf-8"))


def main(given: Given) -> None:
    """Record the machine and its ceilings."""
    cuda = given.device == "cuda"
    name = torch.cuda.get_device_name() if cuda else provenance.processor()
    memory = torch.cuda.get_device_properties(0).total_memory if cuda else provenance.memory_gib() << 30
    given.record.add(
        what="machine",
        device=name,
        memory_bytes=memory,
        host=provenance.processor(),
        cores=provenance.hardware()["cores"],
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda,
        **made_of(given),
    )
    size = 256 if given.tiny else MATMUL
    for label, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("float32 by TF32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        with given.record.attempt(what="matmul", dtype=label):
            torch.backends.cuda.matmul.allow_tf32 = tf32
            rate = matmul_rate(given.device, dtype, size=size)
            given.record.add(what="matmul", dtype=label, size=size, tflops=rate / 1e12)
    with given.record.attempt(what="copy"):
        rate = copy_rate(given.device, size=1 << 20 if given.tiny else COPY)
        given.record.add(what="copy", gigabytes_per_second=rate / 1e9)


if __name__ == "__main__":
    main(arguments("machine"))
