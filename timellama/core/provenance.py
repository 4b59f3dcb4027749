"""Where a number came from: the commit, the libraries' versions and the machine.

Only the standard library is imported: planning the workflow calls this.
"""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from timellama import __version__

PACKAGE = "timellama"
ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = (
    *("torch", "transformers", "numpy", "pandas", "safetensors", "tokenizers", "peft", "snakemake"),
    *("neuralforecast", "chronos-forecasting", "scipy", "statsforecast"),
)
CPUINFO = Path("/proc/cpuinfo")
# Linux's flags and the makers' names; the first that a processor has decides how a product is computed.
INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}


def commit() -> dict:
    """The checkout's commit and whether tracked or new files differ from it; `unknown` if git cannot say.

    An installed package may be in the folder of somebody else's checkout, whose commit says nothing about it.
    """
    if not (ROOT.parent / ".git").exists():
        return {"git_commit": "unknown", "git_dirty": None}

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(ROOT.parent), *arguments], capture_output=True, text=True, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head, status = git("rev-parse", "HEAD"), git("status", "--porcelain")
    return {"git_commit": head or "unknown", "git_dirty": None if status is None else bool(status)}


def versions() -> dict[str, str]:
    """Python's and the libraries' versions; a library that is not installed is left out."""
    return {"python": platform.python_version(), PACKAGE: __version__} | installed(LIBRARIES)


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of libraries; one that is not installed is left out."""
    found = {}
    for library in libraries:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name as the system gives it, and its widest instructions: `AMD EPYC (AVX2)`.

    A virtual machine may give several processor generations the same name, and they round differently.
    """
    name = _first(cpuinfo, "model name") or platform.processor() or platform.machine()
    flags = processor_flags(cpuinfo)
    widest = next((written for flag, written in INSTRUCTIONS.items() if flag in flags), None)
    return f"{name} ({widest})" if widest else name


def processor_flags(cpuinfo: Path = CPUINFO) -> set[str]:
    """What the first processor can do, in Linux's names; empty where the system does not say."""
    return set(_first(cpuinfo, "flags").split())


def _first(cpuinfo: Path, key: str) -> str:
    """What the file says about the first processor under `key`; empty if it says nothing."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    values = (value.strip() for name, _, value in (line.partition(":") for line in lines) if name.strip() == key)
    return next(values, "")


def memory_bytes() -> int:
    """Main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_gib() -> int:
    """Main memory, rounded to GiB."""
    return round(memory_bytes() / 2**30)


def hardware() -> dict:
    """Processor, cores, memory and system; the device is added by the code that computes on it."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "system": platform.platform(),
    }
