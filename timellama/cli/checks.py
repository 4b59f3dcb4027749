"""Whether this machine can run a configuration: each need of the project, what was found, and what to type.

Nothing is installed, fetched or written. An unmet need of the runs is a gap; an unmet need of reports or convenience
only is a warning.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from timellama.backbones.catalogue import BackboneEntry
from timellama.cli.own_parts import own_methods, own_prompts, problems
from timellama.core import layout
from timellama.core.errors import InputError
from timellama.core.layout import RECORD
from timellama.core.provenance import PACKAGE, ROOT, memory_gib, processor
from timellama.data.catalogue import inventory
from timellama.data.fetch import pypi
from timellama.data.fetch.hub import HUB_ADDRESS, HUB_VARIABLE, TOKEN_VARIABLE
from timellama.data.fetch.sources import Artifact
from timellama.experiments.impossible_cells import grouped
from timellama.experiments.matrix import Matrix
from timellama.methods.registry import method_of
from timellama.methods.time_llama.prompts import prompt_kind
from timellama.reports.registry import of_configuration
from timellama.training.scores.metric_objects import EXTRA, find_metrics

OK, WARNING, GAP = "ok", "warning", "gap"
PATIENCE = 5.0  # our choice, seconds: a server that does not answer by then counts as unreachable
ROOM = 2_000_000_000  # our choice, bytes: with less, a table of the default configuration may run out of space
LEAST_MEMORY = 2  # our choice, GiB: the default configuration's largest run takes 1.6 GB (`timellama plan`)
LATEX = ("booktabs.sty", "graphicx.sty")  # the packages that a document with the tables loads
Reach = Callable[[str], str | None]  # a source -> why it cannot be reached, or None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One need: `state` is ok, warning or gap; `remedy` is what to type, if anything."""

    name: str
    state: str
    found: str
    remedy: str = ""


def examine(matrix: Matrix, *, results: Path, mirrors: Sequence[str], reach: Reach) -> Iterator[Finding]:
    """Every need of the plan's runs, in the order in which a user would meet them."""
    yield python(importlib.metadata.metadata(PACKAGE)["Requires-Python"])
    yield from libraries(importlib.metadata.requires(PACKAGE) or ())
    yield from torch_and_device(matrix.config["device"], threads=matrix.config["threads"])
    yield memory()
    yield disk(results)
    yield from impossible(matrix)
    yield from own_parts(matrix.config)
    yield from data(matrix, results=results, mirrors=mirrors, reach=reach)
    yield from backbones(matrix, results=results, mirrors=mirrors, reach=reach)
    yield git(ROOT.parent)
    yield latex()


def can_run(findings: Iterable[Finding]) -> bool:
    """Whether no need of the runs is unmet."""
    return all(finding.state != GAP for finding in findings)


def python(wanted: str) -> Finding:
    """The interpreter's version."""
    version = platform.python_version()
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return Finding(name="Python", state=OK, found=f"{version} (needs {wanted})")
    remedy = "make install PYTHON=/path/to/python3.11"
    return Finding(name="Python", state=GAP, found=f"{version}, needs {wanted}", remedy=remedy)


def libraries(requirements: Iterable[str]) -> Iterator[Finding]:
    """The installed versions compared with those that the project needs; one line if all are right."""
    wrong, right = [], 0
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):  # of an extra
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append((requirement, "not installed"))
            continue
        if requirement.specifier.contains(version, prereleases=True):
            right += 1
        else:
            wrong.append((requirement, f"{version}, needs {requirement.specifier}"))
    for requirement, found in wrong:
        remedy = f"{Path(sys.executable).name} -m pip install -c constraints.txt '{requirement}'"
        yield Finding(name=requirement.name, state=GAP, found=found, remedy=remedy)
    yield Finding(name="libraries", state=OK if right else GAP, found=f"{right} of {right + len(wrong)} as needed")


def torch_and_device(wanted: str, *, threads: int) -> Iterator[Finding]:
    """Whether torch works, and on which device."""
    try:
        import torch

        total = int(torch.ones(2, 2).matmul(torch.ones(2, 2)).sum())
    except Exception as error:  # a broken installation fails in many ways, all of them a gap
        found = f"{type(error).__name__}: {error}"
        yield Finding(
            name="torch", state=GAP, found=found, remedy="pip install --force-reinstall -c constraints.txt torch"
        )
        return
    assert total == 8
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding(name="torch", state=OK, found=f"{torch.__version__}, {cores} core(s) of {processor()}")
    cuda = torch.cuda.is_available()
    if cuda:
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        yield Finding(name="device", state=OK, found=f"{wanted}: CUDA {torch.version.cuda}, {names}")
    elif wanted.startswith("cuda"):
        remedy = "snakemake ... --config device=cpu precision=float32, or run it where there is a GPU"
        yield Finding(name="device", state=GAP, found=f"{wanted} is requested, but torch finds no CUDA", remedy=remedy)
    else:
        yield Finding(name="device", state=OK, found=f"{wanted}: cpu, no CUDA")
    if threads > cores:
        remedy = f"snakemake ... --config threads={cores}"
        yield Finding(name="threads", state=WARNING, found=f"{threads} a run, {cores} core(s)", remedy=remedy)


def memory() -> Finding:
    """Main memory; `timellama plan` says what the runs of a configuration take."""
    found = memory_gib()
    if found >= LEAST_MEMORY:
        return Finding(name="memory", state=OK, found=f"{found} GiB")
    return Finding(name="memory", state=WARNING, found=f"{found} GiB", remedy="timellama plan")


def disk(results: Path) -> Finding:
    """Whether results can be written and there is space for them."""
    place = results if results.is_dir() else Path()
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        return Finding(
            name="disk", state=GAP, found=f"{place.absolute()} cannot be written", remedy=f"chmod u+w {place}"
        )
    state, remedy = (OK, "") if free >= ROOM else (GAP, "free some space; `timellama plan` says how much is needed")
    return Finding(name="disk", state=state, found=f"{free / 1e9:.1f} GB free", remedy=remedy)


def data(matrix: Matrix, *, results: Path, mirrors: Sequence[str], reach: Reach) -> Iterator[Finding]:
    """Each data set of the runs: here, available locally, or to be fetched from a source that answers."""
    for name in dict.fromkeys(run.dataset for run in matrix.every_run().values()):
        files = matrix.datasets[name].files
        states = [inventory.state_of(file, results=results, mirrors=mirrors) for file in files]
        absent = [file for file, state in zip(files, states, strict=True) if state == inventory.ABSENT]
        far = [file for file, state in zip(files, states, strict=True) if state == inventory.REMOTE]
        if absent:
            found = f"{absent[0].source} does not exist"
            yield Finding(
                name=f"data {name}", state=GAP, found=found, remedy="correct `source` in config/datasets.yaml"
            )
            continue
        if not far:
            yield Finding(name=f"data {name}", state=OK, found=", ".join(dict.fromkeys(states)))
            continue
        yield _of_source(f"data {name}", far[0], mirrors, reach, fetch=f"timellama data fetch {name}")


def backbones(matrix: Matrix, *, results: Path, mirrors: Sequence[str], reach: Reach) -> Iterator[Finding]:
    """Each language model of the runs: prepared, available locally, or to be fetched."""
    wanted = dict.fromkeys(run.backbone for run in matrix.every_run().values() if run.backbone)
    for name in dict.fromkeys(backbone.name for backbone in wanted):
        entry = matrix.backbones[name]
        folders = [layout.within(results, layout.backbone_folder(b)) for b in wanted if b.name == name]
        ready = sum((folder / RECORD).is_file() for folder in folders)
        label = f"backbone {name}"
        if ready == len(folders):
            yield Finding(name=label, state=OK, found=f"prepared ({ready} of {len(folders)})")
        elif entry.kind == "random":
            yield Finding(name=label, state=OK, found="made here")
        elif entry.kind == "folder":
            there = Path(entry.source).expanduser().is_dir()
            remedy = "" if there else "correct `source` in config/backbones.yaml"
            yield Finding(name=label, state=OK if there else GAP, found=f"folder {entry.source}", remedy=remedy)
        else:
            target = f"{folders[0]}/{RECORD}"
            yield _of_backbone(label, entry, target, results=results, mirrors=mirrors, reach=reach)


def _of_backbone(
    label: str, entry: BackboneEntry, target: str, *, results: Path, mirrors: Sequence[str], reach: Reach
) -> Finding:
    make = f"snakemake -j1 {target}"
    if entry.kind == "gguf":
        artifact = Artifact(path=Path(entry.source).name, source=entry.source, sha256=entry.pin)
        artifacts = [artifact]
    else:
        unknown = [file for file, digest in entry.files.items() if digest is None]
        if unknown:
            found = f"no SHA-256 of {', '.join(unknown)} is on record"
            remedy = f"write them under `files` of {entry.name} in config/backbones.yaml, or use kind folder"
            return Finding(name=label, state=GAP, found=found, remedy=remedy)
        artifacts = [
            Artifact(path=f"{entry.source}/{file}", source=f"hub:{entry.source}@{entry.pin}!{file}", sha256=digest)
            for file, digest in entry.files.items()
        ]
    states = [inventory.state_of(artifact, results=results, mirrors=mirrors) for artifact in artifacts]
    far = [artifact for artifact, state in zip(artifacts, states, strict=True) if state == inventory.REMOTE]
    if not far:
        return Finding(name=label, state=OK, found=", ".join(dict.fromkeys(states)))
    if entry.licence_page and not os.environ.get(TOKEN_VARIABLE):
        found = f"gated, and {TOKEN_VARIABLE} is not set"
        remedy = f"accept the licence at {entry.licence_page}, then export {TOKEN_VARIABLE}=<your read token>"
        return Finding(name=label, state=GAP, found=found, remedy=remedy)
    return _of_source(label, far[0], mirrors, reach, fetch=make)


def _of_source(label: str, artifact: Artifact, mirrors: Sequence[str], reach: Reach, *, fetch: str) -> Finding:
    """For a file that is not here: whether a mirror or its publisher answers."""
    for mirror in mirrors:
        if "://" in mirror and reach(mirror) is None:
            return Finding(name=label, state=OK, found=f"to be fetched, the mirror {mirror} answers", remedy=fetch)
        archives = pypi.archive_names(artifact.source) if artifact.source.startswith("pypi:") else []
        if "://" not in mirror and any((Path(mirror).expanduser() / name).is_file() for name in archives):
            return Finding(name=label, state=OK, found="in a mirror, within its package", remedy=fetch)
    problem = reach(artifact.source)
    if problem is None:
        return Finding(name=label, state=OK, found="to be fetched, its publisher answers", remedy=fetch)
    remedy = f"TIMELLAMA_MIRROR=FOLDER with the file at FOLDER/{artifact.path}, or a network"
    return Finding(name=label, state=GAP, found=f"not here, {problem}", remedy=remedy)


def reachable(source: str) -> str | None:
    """Why a source does not answer, or None: tries a connection to an address, pip's index for a package."""
    if source.startswith("pypi:"):
        name, version, _ = pypi.parse(source)
        command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", name]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=4 * PATIENCE, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return "pip's index does not answer"
        listed = re.search(rf"(?<![\w.]){re.escape(version)}(?![\w.])", done.stdout)
        return None if done.returncode == 0 and listed else f"pip's index has no {name} {version}, or does not answer"
    address = os.environ.get(HUB_VARIABLE, "") or HUB_ADDRESS if source.startswith("hub:") else source
    parts = urlsplit(address)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 443)
    if parts.hostname is None:
        return f"{address} is not an address"
    try:
        with socket.create_connection((parts.hostname, port), timeout=PATIENCE):
            return None
    except OSError as error:
        return f"{parts.hostname} does not answer ({error})"


def impossible(matrix: Matrix) -> Iterator[Finding]:
    """Cells that the configuration requests and that are impossible, by reason; the others run."""
    for group in grouped(matrix.impossible):
        of = f"{group.cells} cell(s) of {', '.join(group.experiments)}"
        yield Finding(name="impossible", state=WARNING, found=f"{group.sentence} ({of})", remedy=group.remedy)


def own_parts(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether a configuration's own methods, prompts, metrics and reports can be imported; else nothing is run.

    The first two only where it names any as `module:NAME`.
    """
    yield from _named("methods", "`methods`", own_methods(config), method_of)
    yield from _named("prompts", "the option `prompt`", own_prompts(config), prompt_kind)
    yield _own(EXTRA, config, lambda: find_metrics(config.get(EXTRA, ())))
    yield _own("reports", config, lambda: of_configuration(config))


def _own(key: str, config: Mapping[str, Any], load: Callable[[], Any]) -> Finding:
    name, count = f"own {key}", len(config.get(key, ()))
    try:
        load()
    except InputError as error:
        return Finding(name=name, state=GAP, found=str(error), remedy=_correct(f"`{key}`"))
    return Finding(name=name, state=OK, found=f"{count} imported" if count else "none")


def _named(key: str, where: str, places: Sequence[str], load: Callable[[str], Any]) -> Iterator[Finding]:
    wrong = problems(places, load)
    for message in wrong.values():
        yield Finding(name=f"own {key}", state=GAP, found=message, remedy=_correct(where))
    if imported := len(places) - len(wrong):
        yield Finding(name=f"own {key}", state=OK, found=f"{imported} imported")


def _correct(where: str) -> str:
    return f"correct it, or remove it from {where}; docs/adding.md says how they are written"


def git(root: Path) -> Finding:
    """Whether results can name their commit."""
    found = shutil.which("git")
    if found and (root / ".git").exists():
        return Finding(name="git", state=OK, found="results name their commit")
    what = "no git" if not found else "the package is not in a clone"
    return Finding(name="git", state=WARNING, found=f"{what}: results cannot name their commit", remedy="git clone")


def latex(which: Callable[[str], str | None] = shutil.which) -> Finding:
    """Whether the tables can be compiled here; they are written in any case."""
    install = "apt-get install texlive-latex-base texlive-latex-recommended"
    if not which("pdflatex"):
        return Finding(
            name="LaTeX", state=WARNING, found="no pdflatex: tables are written, not compiled", remedy=install
        )
    missing = []
    if which("kpsewhich"):
        asked: Mapping[str, bool] = {
            file: subprocess.run(["kpsewhich", file], capture_output=True, check=False).returncode == 0
            for file in LATEX
        }
        missing = [file for file, there in asked.items() if not there]
    if missing:
        return Finding(name="LaTeX", state=WARNING, found=f"{', '.join(missing)} missing", remedy=install)
    return Finding(name="LaTeX", state=OK, found="pdflatex, booktabs, graphicx")
