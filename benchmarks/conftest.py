"""Shared fixtures: the prepared language model, the models built on it, and a final table of all ratios."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from timellama.core.machine.allocator import keep_freed_memory
from timellama.core.provenance import processor
from timellama.data.catalogue.datasets import load_catalogue
from timellama.experiments.run import Backbone, Run, Training
from timellama.methods.registry import method_of
from timellama.training.build import build

ROOT = Path(__file__).resolve().parent.parent
VARIABLE = "TIMELLAMA_BENCHMARK_BACKBONE"
PREPARED = "results/backbones/SmolLM2-135M/x6-pretrained"
THREADS = 2  # docs/benchmarks.md: all goals are for two threads
ROWS = pytest.StashKey[list[tuple[str, str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start with an empty table."""
    config.stash[ROWS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table: what, measured, goal."""
    rows = terminalreporter.config.stash[ROWS]
    if not rows:
        return
    rows = [("what", "measured", "goal"), *rows]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    terminalreporter.section(f"SmolLM2-135M, first 6 blocks, {torch.get_num_threads()} threads, {processor()}")
    for what, measured, goal in rows:
        terminalreporter.write_line(f"{what:<{wide[0]}}  {measured:>{wide[1]}}  {goal:>{wide[2]}}")


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    """Run every benchmark, and every process that it starts, on two threads, with freed memory kept as in a run."""
    keep_freed_memory()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="session")
def folder() -> Path:
    """The prepared language model; without one the benchmarks are skipped."""
    folder = Path(os.environ.get(VARIABLE, ROOT / PREPARED))
    if not (folder / "backbone.json").is_file():
        pytest.skip(f"no prepared language model in {folder}: make {PREPARED}/backbone.json, or set {VARIABLE}")
    return folder


@pytest.fixture
def make(folder) -> Callable[..., nn.Module]:
    """`make(method, variates=7, **options)`: a model for evaluation, on ETTh1's prompt, context 512, horizon 96."""

    def make(method: str, *, variates: int, precision: str = "float32", **options: object) -> nn.Module:
        kind = method_of(method)
        entry = load_catalogue(ROOT / "config/datasets.yaml")["ETTh1"]
        run = Run(
            task="long-term",
            dataset=entry.name,
            data_sha256=None,
            split=entry.split,
            season=entry.season,
            variates=variates,
            context=512,
            horizon=96,
            train_percent=100,
            variant=method,
            method=method,
            options=kind.options(**options),
            training=Training(),
            backbone=Backbone(name="SmolLM2-135M", blocks=6, pin="") if kind.backbone else None,
            prompt=entry.prompt.format(context=512, horizon=96),
            seed=0,
            precision=precision,
            device="cpu",
        )
        torch.manual_seed(0)
        return build(run, backbone_folder=folder).eval()

    return make


@pytest.fixture
def interleaved(benchmark) -> Callable[..., tuple[float, float]]:
    """Median seconds of `ours` and of `other`, one call of each in turn, so that a busy moment hits both sides."""

    def interleaved(ours: Callable[[], object], other: Callable[[], object], *, rounds: int) -> tuple[float, float]:
        seconds = []

        def before_ours() -> None:
            start = time.perf_counter()
            other()
            seconds.append(time.perf_counter() - start)

        benchmark.pedantic(ours, setup=before_ours, rounds=rounds, iterations=1)
        if benchmark.disabled:
            pytest.skip("nothing is timed under --benchmark-disable")
        return benchmark.stats.stats.median, statistics.median(seconds)

    return interleaved


@pytest.fixture
def record(benchmark, request) -> Callable[..., None]:
    """`record(what, value, unit, goal)` stores a result with those of pytest-benchmark and as a line of the table."""

    def record(what: str, value: float, unit: str, goal: str, **details: float) -> None:
        benchmark.extra_info.update(what=what, value=value, unit=unit, goal=goal, **details)
        request.config.stash[ROWS].append((what, f"{value:.3g} {unit}", f"{goal} {unit}"))

    return record
