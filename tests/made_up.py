"""Made-up results, written once for all tests: a run's document, rows of one run or several, real runs of few steps."""

import copy
import dataclasses
import itertools
import json
import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from timellama.data.series import Series, save_series
from timellama.data.splits import Split
from timellama.experiments.run import Run, Training
from timellama.methods.dlinear import DLinearOptions
from timellama.results.aggregate import PAIRED, summarise
from timellama.training.run import Outputs, run_experiment

RUN_FILES = ("metrics.json", "weights.safetensors", "history.csv", "router.csv", "forecasts.npz", "windows.npz")
CELL = {
    "task": "long-term",
    "dataset": "ETTh1",
    "context": 512,
    "horizon": 96,
    "train_percent": 100,
    "variant": "dlinear",
    "method": "dlinear",
    "seed": 0,
    "precision": "float32",
    "compiled": "off",
}
ERRORS = {"mse": 0.4, "mae": 0.5}
DOCUMENT = {
    "run": CELL | {"options": {"kernel": 25}, "backbone": None, "device": "auto"},
    "identity": "a",
    "n_windows": 2785,
    "validation_loss": 0.3,
    "steps": 100,
    "best_step": 50,
    "parameters": {"total": 20, "trainable": 10},
    "seconds": {"train": 1.0, "evaluate": 2.0, "total": 3.0},
    "peak_memory_bytes": 4096,
    "router": None,
    "provenance": {"git_commit": "0123456789" * 4, "git_dirty": False, "hardware": {"device": "cpu"}},
}
METHOD = {  # an entry of `methods`, without its `method`
    "label": "Made up",
    "options": {},
    "training": {},
    "datasets": {},
    "source": "our test",
    "floor": False,
    "citation": "none",
}
ROW = CELL | {
    "path": "made-up/metrics.json",
    "label": "DLinear",
    "floor": False,
    "backbone": "",
    "n_windows": 100,
    "commit": "abcdef0",
    "device": "cpu",
}
LABELS = {"dlinear": "DLinear", "patchtst": "PatchTST", "seasonal-naive": "Seasonal naive"}


def document(
    *,
    errors: Mapping[str, Any] = ERRORS,
    settings: Mapping[str, Any] | None = None,
    origin: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """What a run leaves in metrics.json, with these `errors`.

    `settings` are added to its `run`, and `origin` to its `provenance`. Any other change goes into `run` if that has
    the key, else to the top level.
    """
    made = copy.deepcopy(DOCUMENT) | dict(errors)
    for key, value in changes.items():
        (made["run"] if key in made["run"] else made)[key] = value
    made["run"] |= settings or {}
    made["provenance"] |= origin or {}
    return made


def row(variant: str, **changes: Any) -> dict[str, Any]:
    """A row of `aggregate.collect`, without errors."""
    made = ROW | {"variant": variant, "method": variant} | changes
    return made | {"paired": paired(made)}


def summary(variant: str, *, mse: float, mae: float, **changes: Any) -> dict[str, Any]:
    """A row of `aggregate.summarise` over two seeds; the paper has no number for it."""
    cell = {key: value for key, value in CELL.items() if key != "seed"}
    made = cell | {"variant": variant, "method": variant, "label": variant, "floor": False, "backbone": ""}
    made |= {"n_windows": 2785, "seeds": (0, 1), "commits": ("abcdef0",), "devices": ("cpu",)}
    made |= {"mse_mean": mse, "mse_std": 0.0012, "mae_mean": mae, "mae_std": 0.0034}
    made |= dict.fromkeys(("mse_paper", "mae_paper", "mse_gap", "mae_gap"), math.nan)
    return made | changes


def paired(row: dict[str, Any]) -> str:
    """What a made-up row shares with the rows that it is compared with."""
    return json.dumps({name: row.get(name) for name in PAIRED}, sort_keys=True)


def cells(datasets: Sequence[str], *, without: Container[tuple[str, int, str]] = ()) -> pd.DataFrame:
    """Summarise three methods by data set and horizon; seasonal naive has error 1, `without` lists absent results."""
    found = []
    for place, dataset in enumerate(datasets):
        for horizon, (variant, label) in itertools.product((96, 192), LABELS.items()):
            if (dataset, horizon, variant) in without:
                continue
            error = {"dlinear": 0.5 + place / 12, "patchtst": 0.6, "seasonal-naive": 1.0}[variant]
            given = {"dataset": dataset, "horizon": horizon, "label": label, "mse": error, "mae": error}
            given |= {"floor": variant == "seasonal-naive", "settings": "", "identity": f"{len(found)}"}
            found.append(row(variant, **given, seconds_train=2.0, seconds_evaluate=1.0))
    return summarise(pd.DataFrame(found))


def walk(path: Path, rows: int = 120, *, sha256: str = "ef", **changes: Any) -> Path:
    """Write two hourly random walks as a normalised series."""
    values = np.random.default_rng(0).normal(size=(rows, 2)).cumsum(axis=0)
    time = np.datetime64("2024-01-01", "s") + np.arange(rows) * np.timedelta64(3600, "s")
    save_series(path, Series(**{"values": values, "time": time, "columns": ("a", "b"), "raw_sha256": sha256} | changes))
    return path


def small(run: Run, **changes: Any) -> Run:
    """DLinear instead of a run's method, on two variates with a look-back of 16, in a few steps."""
    settings = {
        "split": Split(rule="ratio", train=0.6, validation=0.2, test=0.2),
        **{"context": 16, "horizon": 4, "variates": 2, "variant": "dlinear", "method": "dlinear"},
        "options": DLinearOptions(kernel=3),
        "training": Training(batch_size=16, max_steps=8),
        **{"backbone": None, "prompt": None},
    }
    return dataclasses.replace(run, **settings | changes)


def outputs(folder: Path) -> Outputs:
    """A run's files in a folder."""
    return Outputs(**{name.split(".")[0]: folder / name for name in RUN_FILES})


def carry_out(run: Run, folder: Path, *, series: Path, kept: Path, **changes: Any) -> dict[str, Any]:
    """Train and test a run on one thread; its files go into the folder and its checkpoints into `kept`."""
    given = {"backbone_folder": None, "threads": 1, "source_digest": "cd"} | changes
    return run_experiment(run, series=series, outputs=outputs(folder), checkpoints=kept, **given)
