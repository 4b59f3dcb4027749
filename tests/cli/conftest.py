"""A tiny project with finished runs: two seeds of two methods and one that trains nothing, on made-up hourly rows."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests import made_up
from timellama.experiments.run import Run
from timellama.methods.naive import SeasonalNaiveOptions
from timellama.methods.rlinear import RLinearOptions

ROWS = 160
COLUMNS = ("load", "oil temperature")
START = np.datetime64("2024-01-01T00:00:00", "s")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """The project's folder and its runs by name."""

    folder: Path
    runs: dict[str, Run]
    values: np.ndarray

    def place(self, name: str) -> Path:
        return self.folder / "results" / self.runs[name].folder


def carry_out(folder: Path, run: Run, *, backbone_folder: Path | None = None) -> None:
    places = {"series": folder / "results/data" / run.dataset / "series.npz", "backbone_folder": backbone_folder}
    places["kept"] = folder / "results/checkpoints" / run.folder
    made_up.carry_out(run, folder / "results" / run.folder, **places, source_digest="of other code")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, sample_run) -> Made:
    folder = tmp_path_factory.mktemp("made")
    values = np.random.default_rng(0).normal(size=(ROWS, 2)).cumsum(axis=0) * [1, 50] + [10, 500]
    series, about = folder / "results/data/ETTh1/series.npz", {"values": values, "columns": COLUMNS}
    made_up.walk(series, ROWS, sha256=sample_run.data_sha256, **about)
    small = made_up.small(sample_run)
    linear = dataclasses.replace(small, variant="rlinear", method="rlinear", options=RLinearOptions())
    naive = {"variant": "seasonal-naive", "method": "seasonal-naive", "options": SeasonalNaiveOptions()}
    runs = {
        "dlinear-0": small,
        "dlinear-1": dataclasses.replace(small, seed=1),
        "rlinear-0": linear,
        "rlinear-1": dataclasses.replace(linear, seed=1),
        "naive": dataclasses.replace(small, **naive, training=None, season=8),
        "longer": dataclasses.replace(small, horizon=8),
    }
    for run in runs.values():
        carry_out(folder, run)
    return Made(folder=folder, runs=runs, values=values)


@pytest.fixture
def made(made_once, tmp_path, monkeypatch) -> Made:
    """A separate copy for each test, which is also the test's working directory."""
    folder = tmp_path / "project"
    shutil.copytree(made_once.folder, folder)
    monkeypatch.chdir(folder)
    return dataclasses.replace(made_once, folder=folder, runs=dict(made_once.runs))


@pytest.fixture
def say(monkeypatch):
    """Runs the command line with the given arguments; the result has `exit_code`, `stdout` and `stderr`."""
    from timellama.cli.main import app

    monkeypatch.setenv("COLUMNS", "200")

    def say(*arguments: object, code: int = 0):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == code, (done.output, done.exception)
        assert "Traceback" not in done.output
        return done

    return say
