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


def commit() -> dict:
    """The checkout's commit and whether tracked or new files differ from it; `unknown` where git cannot tell.

    An installed package may lie in the folder of somebody else's checkout, whose commit says nothing of it.
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


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_bytes() -> int:
    """Main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_gib() -> int:
    """Main memory, rounded to GiB."""
    return round(memory_bytes() / 2**30)


def hardware() -> dict:
    """Processor, cores, memory and system; the device is added by whoever computes on it."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "system": platform.platform(),
    }
