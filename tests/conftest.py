"""Fixtures for every test: the project's root, a copy in which it was run, and the folder of real data, if any."""

import compileall
import dataclasses
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.preloaded import PreloadedPython
from timellama.data.splits import Split
from timellama.experiments.matrix import make_matrix
from timellama.experiments.run import Backbone, Run, Training
from timellama.methods.registry import method_of
from timellama.methods.time_llama import TimeLlamaOptions
from timellama.reports.planned import code_of
from timellama.reports.registry import of_configuration
from timellama.results.digests import code_of_run

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("Snakefile", "config", "timellama", "workflow")
# Fixtures that are slow to make or whose tests are slow. With several workers their tests run first, so that no worker
# has to wait for one of them at the end.
LONG = ("failing", "finished", "cluster", "killed", "make_project", "exported_once", "smollm2")


def pytest_configure(config) -> None:
    """Before workers start, limit their threads, and those of what they start, to the number of cores in all."""
    workers = getattr(config.option, "numprocesses", None)  # of pytest-xdist
    if workers:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // workers)))


def pytest_collection_modifyitems(config, items) -> None:
    if hasattr(config, "workerinput"):  # of pytest-xdist
        items.sort(key=lambda item: min((LONG.index(n) for n in item.fixturenames if n in LONG), default=len(LONG)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data files; a test that needs it is skipped by name where there is none."""
    folder = Path(os.environ.get("TIMELLAMA_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "SOURCES.csv").is_file():
        pytest.skip(f"needs the real data files of {folder}, which is absent")
    return folder


class Project:
    """A copy of the project that snakemake runs in, with the copy's own package."""

    def __init__(self, folder: Path, *, python: Path):
        self.folder = folder
        self.python = python

    def start(
        self, *arguments: str, environment: dict[str, str] | None = None, python: Path | str = sys.executable
    ) -> subprocess.Popen:
        """Start snakemake in the copy; output and errors come together in `stdout`."""
        command = [python, "-m", "snakemake", "-j2", *arguments]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment(environment), text=True, **output)

    def snakemake(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        """Run snakemake in the copy to completion, preloaded."""
        with self.start(*arguments, environment=environment, python=self.python) as process:
            output, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout=output)

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """The environment in which the copy's own package is imported."""
        return os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"} | (more or {})

    def planned(self) -> set[str]:
        """The output folders or files that a dry run of everything would remake."""
        done = self.snakemake("-n", "--quiet", "rules", "--summary", "all")
        assert done.returncode == 0, done.stdout
        lines = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
        header = lines[0]
        return {row[0] for row in lines[1:] if row[header.index("plan")] != "no update"}


@pytest.fixture(scope="session")
def preloaded_python(tmp_path_factory) -> Iterator[Path]:
    """The stand-in for Python where a whole workflow is run to completion."""
    if sys.platform != "linux":  # elsewhere libraries may not survive a fork
        yield Path(sys.executable)
        return
    python = PreloadedPython(tmp_path_factory.mktemp("python"))
    yield python.executable
    python.close()


@pytest.fixture(scope="session")
def make_project(root, preloaded_python, tmp_path_factory) -> Callable[[], Project]:
    # A copy's many processes write no bytecode, so that an edited module is never mistaken for its earlier version. The
    # package is compiled here once, or each of them would compile it again.
    compileall.compile_dir(root / "timellama", quiet=2)
    # Likewise the digests of its code, which are kept beside the bytecode.
    matrix = make_matrix(yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8")), root=root)
    for run in matrix.every_run().values():
        code_of_run(run)
    for report in of_configuration(matrix.config).values():
        code_of(report)

    def make() -> Project:
        folder = tmp_path_factory.mktemp("project")
        for name in COPIED:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
            else:
                shutil.copy2(source, folder / name)
        return Project(folder, python=preloaded_python)

    return make


@pytest.fixture(scope="session")
def finished(make_project, preloaded_python, tmp_path_factory) -> Project:
    """The smoke configuration, cut to one horizon, one seed and three methods, run to its reports.

    It is made once for all workers, so it is read-only. To run or write something in it, use `copy_of_finished`.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make_finished(make_project()).folder.rename(folder)
    return Project(folder, python=preloaded_python)


def make_finished(project: Project) -> Project:
    file = project.folder / "config/config.yaml"
    config = yaml.safe_load((project.folder / "config/smoke.yaml").read_text(encoding="utf-8"))
    config["seeds"] = [0]
    config["experiments"] = {
        "long_term": {
            "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
            "methods": ["time-llama", "dlinear", "seasonal-naive"],
        }
    }
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    done = project.snakemake("all")
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture(scope="session")
def copy_of_finished(finished, tmp_path_factory) -> Callable[[], Project]:
    """Copies the finished project into a new folder, with the same modification times."""

    def copy() -> Project:
        folder = tmp_path_factory.mktemp("around") / "project"
        shutil.copytree(finished.folder, folder)  # copies the times too, which Snakemake compares
        return Project(folder, python=finished.python)

    return copy


@pytest.fixture(scope="session")
def kept(root):
    """The kept runs of table 1's settings, one row each."""
    from tests.kept import table_1_runs

    return table_1_runs(root)


@pytest.fixture(scope="session")
def searched(root):
    """The kept runs with searched settings, one row each."""
    from tests.kept import searched_runs

    return searched_runs(root)


@pytest.fixture(scope="session")
def backbone_of():
    """Turns a transformers model into ours, through what a prepared folder keeps of it."""
    from timellama.backbones.blocks import Architecture, Backbone
    from timellama.backbones.weights import architecture

    def backbone_of(model):
        described = architecture(model.config.to_dict(), where="the test's model")
        embedding = {id(parameter) for parameter in model.get_input_embeddings().parameters()}
        weights = {n: p.detach() for n, p in model.named_parameters() if id(p) not in embedding}
        described["frequencies"] = tuple(described["frequencies"])
        return Backbone(architecture=Architecture(**described), weights=weights).eval()

    return backbone_of


@pytest.fixture(scope="session")
def sample_run() -> Run:
    """A run of Time-LlaMA on ETTh1 with a tiny language model."""
    return Run(
        task="long-term",
        dataset="ETTh1",
        data_sha256="ab",
        split=Split(rule="months", train=12, validation=4, test=4, rows_per_day=24),
        season=24,
        variates=7,
        context=512,
        horizon=96,
        train_percent=100,
        variant="time-llama",
        method="time-llama",
        options=TimeLlamaOptions(),
        training=Training(),
        backbone=Backbone(name="tiny-gpt2", blocks=2, pin="0"),
        prompt="a prompt",
        seed=0,
        precision="float32",
        device="cpu",
    )


@pytest.fixture(scope="session")
def tiny(root, tmp_path_factory) -> Path:
    """The folder of two blocks of a random GPT-2, 32 wide."""
    from timellama.backbones.catalogue import load_backbones, prepare

    folder = tmp_path_factory.mktemp("backbone") / "tiny"
    prepare(load_backbones(root / "config/backbones.yaml")["tiny-gpt2"], blocks=2, source=None, folder=folder)
    return folder


@pytest.fixture
def run_of(sample_run) -> Callable[..., Run]:
    """Makes the run of a method, on `tiny` if it needs a language model, with these options."""

    def make(name: str, **options: object) -> Run:
        method = method_of(name)
        if name == "time-llm":
            options = {"features": 32} | options  # no wider than the tiny backbone
        own = {"method": name, "variant": name, "options": method.options(**options), "context": 96, "horizon": 24}
        own["backbone"] = sample_run.backbone if method.backbone else None
        return dataclasses.replace(sample_run, **own)

    return make
