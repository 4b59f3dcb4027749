"""Kills a tiny run at counted moments and lets it resume. It is a script, because a test cannot kill its own process.

    python killing.py FOLDER ORDERS

`ORDERS` is JSON that maps each trial's name to a list of [signal, share of the run's moments]; a moment is a call
within the package. Writes `FOLDER/report.json`, how each process of each trial ended, and `FOLDER/left.json`, the
progress left by each process that was asked to stop. All runs are forks of this process, which has imported everything
and computed nothing.
"""

import dataclasses
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import torch._dynamo  # noqa: F401  # this and patchtst are for the forks, each of which would spend seconds on them

import timellama
import timellama.methods.patchtst.network
from timellama.core.jobs.job_state import read_progress
from timellama.data.series import Series, save_series
from timellama.data.splits import Split
from timellama.experiments.run import Run, Training
from timellama.methods.patchtst import PatchTSTOptions
from timellama.training.run import Outputs, run_experiment

PACKAGE = str(Path(timellama.__file__).parent)
ROWS, CONTEXT, HORIZON = 160, 16, 4

# Dropout everywhere, so that a generator that is not restored shows.
RUN = Run(
    task="long-term",
    dataset="made-up",
    data_sha256=None,
    split=Split(rule="ratio", train=0.6, validation=0.2, test=0.2),
    season=8,
    variates=2,
    context=CONTEXT,
    horizon=HORIZON,
    train_percent=100,
    variant="patchtst",
    method="patchtst",
    options=PatchTSTOptions(
        patch_length=8, patch_stride=4, width=8, layers=1, heads=2, feed_forward=8, dropout=0.2, head_dropout=0.1
    ),
    training=Training(batch_size=16, epochs=4, validations_per_epoch=2, patience=6, learning_rate=0.01),
    backbone=None,
    prompt=None,
    seed=3,
    precision="float32",
    device="cpu",
)


def outputs(folder: Path) -> Outputs:
    names = ("metrics.json", "weights.safetensors", "history.csv", "router.csv", "forecasts.npz", "windows.npz")
    return Outputs(**{name.split(".")[0]: folder / name for name in names})


def live(folder: Path, *, number: int = 0, moment: int = -1) -> int:
    """Start a process of the run and send it the signal `number` at `moment`. Returns its status from `os.waitpid`."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    moments = 0

    def count(frame, event, _):
        nonlocal moments
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(PACKAGE):
            moments += 1
            if moments == moment:
                os.kill(os.getpid(), number)

    code = 1
    try:
        sys.setprofile(count)
        run_experiment(
            RUN,
            series=folder.parent / "series.npz",
            backbone_folder=None,
            outputs=outputs(folder),
            checkpoints=folder / "kept",
            threads=1,
            source_digest="cd",
        )
        sys.setprofile(None)
        (folder / "moments").write_text(str(moments), encoding="utf-8")
        code = 0
    except SystemExit as stop:
        code = stop.code
    finally:
        os._exit(code)


def main(folder: Path, orders: dict[str, list[list]]) -> None:
    rows = np.random.default_rng(0).normal(size=(ROWS, 2)).cumsum(axis=0)
    time = np.datetime64("2020-01-01", "s") + np.arange(ROWS) * np.timedelta64(3600, "s")
    save_series(folder / "series.npz", Series(values=rows, time=time, columns=("a", "b"), raw_sha256="0"))
    undisturbed = folder / "undisturbed"
    report, left = {"undisturbed": [live(undisturbed)]}, {}
    moments = int((undisturbed / "moments").read_text(encoding="utf-8"))
    for name, stops in orders.items():
        place = folder / name
        report[name], left[name] = [], []
        for signal_name, share in stops:
            report[name].append(live(place, number=signal.Signals[signal_name], moment=1 + int(share * moments)))
            progress = read_progress(place / "kept")
            left[name].append(dataclasses.asdict(progress) if progress else None)
        report[name].append(live(place))
    (folder / "left.json").write_text(json.dumps(left), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    Path(sys.argv[1]).mkdir(parents=True)
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
