"""Where a number came from: the digest of the code it hangs on, the commit, versions and the machine.

`source_digest` follows the imports of a step's modules through the package and digests their syntax trees without
docstrings, so a comment or a reworded docstring re-runs nothing and a changed line of code re-runs exactly the steps
that use it. Only the standard library is imported: the DAG's planning calls this.
"""

import ast
import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGE = "timellama"
ROOT = Path(__file__).resolve().parent
LIBRARIES = ("torch", "transformers", "numpy", "pandas", "safetensors", "tokenizers", "peft", "snakemake")


def _module_file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def _parsed(module: str) -> tuple[str, frozenset[str]]:
    """The digest of a module's syntax tree without docstrings, and the package's modules that it imports."""
    file = _module_file(module)
    if file is None:
        raise ValueError(f"{module!r} is no module of {PACKAGE}; a step can only name modules that exist")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = []
        imported |= {n for n in names if n.split(".")[0] == PACKAGE and _module_file(n)}
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), frozenset(imported)


def modules_used(modules: tuple[str, ...]) -> list[str]:
    """The modules and every module of the package that they import, directly or not, sorted."""
    found, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _parsed(module)[1]
    return sorted(found)


@functools.cache
def source_digest(*modules: str) -> str:
    """SHA-256 over the syntax trees of `modules_used`."""
    lines = "".join(f"{module} {_parsed(module)[0]}\n" for module in modules_used(modules))
    return hashlib.sha256(lines.encode()).hexdigest()


def commit() -> dict:
    """The checkout's commit and whether tracked or new files differ from it; `unknown` where git cannot tell."""

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
    found = {"python": platform.python_version(), PACKAGE: importlib.metadata.version(PACKAGE)}
    for library in LIBRARIES:
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


def memory_gib() -> int:
    """Main memory, rounded to GiB."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def hardware() -> dict:
    """Processor, cores, memory and system; the device is added by whoever computes on it."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "system": platform.platform(),
    }
