"""A configuration with made-up results: in the same form as those of runs and sweeps, but not computed."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import made_up
from timellama.core import layout
from timellama.core.schema import read_yaml
from timellama.core.values import named_fields
from timellama.experiments.matrix import EFFICIENCY, Matrix, make_matrix
from timellama.reports.reference import folder as reference_folder

MODULES = ["Q", "K", "V", "O", "U", "D"]
COMMIT = "1" * 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """The project's plan, a folder `results` that a test fills, and a folder `kept` for its reference."""

    matrix: Matrix
    root: Path
    results: Path
    kept: Path
    configfile = "config/smoke.yaml"

    def files(self) -> dict[str, dict]:
        """Every planned result, made up, by its path."""
        runs = {layout.metrics_of(run.folder): run_document(run) for run in self.matrix.every_run().values()}
        return runs | {layout.sweep_of(sweep.folder): sweep_document(sweep) for sweep in self.matrix.sweeps.values()}

    def results_of(self, experiment: str) -> list[str]:
        """The paths of an experiment's planned results."""
        if experiment == EFFICIENCY:
            return [layout.sweep_of(sweep.folder) for sweep in self.matrix.sweeps.values()]
        return [layout.metrics_of(run.folder) for run in self.matrix.experiment(experiment)]

    def put(self, documents: dict[str, dict]) -> None:
        """Writes results where the workflow would."""
        for path, document in documents.items():
            file = self.results.parent / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(document), encoding="utf-8")

    def export(self, **options) -> reference_folder.Exported:
        """Adds the results in `results` to the reference."""
        settings = {"configfile": self.configfile, "results": self.results, "root": self.root}
        return reference_folder.export(self.kept, matrix=self.matrix, **settings, **options)

    def check(self) -> list:
        """What in the reference differs from its numbers."""
        return reference_folder.check(self.kept, root=self.root)

    def tables(self) -> dict[str, str]:
        """The text of each kept Markdown table by its name."""
        return {path.stem: path.read_text(encoding="utf-8") for path in self.kept.glob("table_*.md")}


def numbers(text: str) -> Iterator[float]:
    """Floats with all their digits, determined by a text."""
    for turn in range(100):
        digest = hashlib.sha256(f"{turn} {text}".encode()).digest()
        yield int.from_bytes(digest[:7], "big") / 2**56


def provenance() -> dict:
    return {
        "git_commit": COMMIT,
        "git_dirty": False,
        "source_digest": "ab" * 32,
        "data_sha256": "cd" * 32,
        "backbone_digest": {"blocks.safetensors": "1234567890"},
        "versions": {"python": "3.11.7", "torch": "2.13.0+cpu", "transformers": "5.23.0"},
        "hardware": {"processor": "A processor", "cores": 2, "memory_gib": 24, "device": "cpu"},
        "threads": 1,
        "started": "2026-01-02T00:00:00+00:00",
        "ended": "2026-01-02T00:00:10+00:00",
        "resumed_at": [],
    }


def run_document(run) -> dict:
    draw = numbers(run.folder)
    errors = {"mse": next(draw), "mae": next(draw)}
    if run.task == "short-term":
        naive2 = {"smape": next(draw), "mase": next(draw)}
        scores = {"smape": next(draw), "mase": next(draw), "owa": next(draw), "naive2": naive2}
        entry = scores | {"frequency": "Hourly", "series": 10}
        errors = scores | {"frequencies": {run.dataset: entry}}
    routed = getattr(run.options, "adapter", "") == "dynamic"
    rates = [[next(draw) for _ in MODULES] for _ in range(2)]
    router = {"modules": MODULES, "selection_rate": rates, "collapsed_blocks": [1], "distinct_patterns": [3, 4]}
    made = made_up.document(
        **{"run": named_fields(run), "identity": run.identity, "errors": errors, "n_windows": 100 + run.horizon},
        **{"validation_loss": next(draw), "steps": 4, "best_step": 2, "router": router if routed else None},
        parameters={"total": 2000, "trainable": 100},
        seconds={"train": next(draw), "evaluate": next(draw), "total": 3600.0},
        origin=provenance() | {"run_digest": run.digest, "data_sha256": run.data_sha256},
    )
    return json.loads(json.dumps(made))


def sweep_document(sweep) -> dict:
    rows = []
    for variates, batch_size in sweep.cells():
        seconds = next(numbers(f"{sweep.folder} {variates}"))
        stage = {"first": seconds, "seconds": seconds, "p95": seconds, "calls": 30, "peak": 10**8, "reserved": None}
        row = {"variates": variates, "batch_size": batch_size, "limit_bytes": 10**9, "device": "cpu", "threads": 1}
        row |= {"forward_status": "measured", "training_status": "measured", "forward": stage, "training": stage}
        row |= {"forward_predicted": None, "training_predicted": None, "dtype": "float32", "processor": "A processor"}
        row |= {"versions": {"python": "3.11.7"}, "samples_per_second": 1 / seconds}
        row |= {"uncounted": {"aten::_softmax": 6}} if variates > 7 else {}
        rows.append(row)
    settings = json.loads(sweep.to_json()) | {"run": json.loads(sweep.run.to_json())}
    return {"sweep": settings, "rows": rows, "provenance": provenance()}


def make_world(root: Path, folder: Path) -> World:
    config = read_yaml(root / "config/smoke.yaml")
    return World(matrix=make_matrix(config, root=root), root=root, results=folder / "results", kept=folder / "kept")


@pytest.fixture
def world(root, tmp_path) -> World:
    return make_world(root, tmp_path)


@pytest.fixture(scope="session")
def exported_once(root, tmp_path_factory) -> Path:
    """A reference of every result, made once, since its figures take seconds to draw."""
    folder = tmp_path_factory.mktemp("once")
    made = make_world(root, folder)
    made.put(made.files())
    made.export()
    return folder


@pytest.fixture
def complete(world, exported_once) -> World:
    """A world with all results, and a copy of their reference."""
    shutil.copytree(exported_once, world.kept.parent, dirs_exist_ok=True)
    return world
