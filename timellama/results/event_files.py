"""A run's `history.csv` and `router.csv` as event files for TensorBoard, written at any time after the training.

TensorBoard is an extra: nothing else in the project needs it. Times are those of the training, so that TensorBoard's
relative axis shows how long the training took.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from timellama.core import layout
from timellama.core.errors import InputError
from timellama.results.read.run_files import read_rows
from timellama.results.read.runs import Finished

EVENTS = "events.out.tfevents.*"
CURVES = {  # column of history.csv: its name in TensorBoard
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "balance_loss": "loss/balance",
    "learning_rate": "learning rate",
}
CHOICES = ["step", "block", "module", "selection_rate", "entropy"]  # columns of router.csv


class Point(NamedTuple):
    """One value of one curve; `time` is in seconds since 1970."""

    name: str
    value: float
    step: int
    time: float


def points(finished: Finished) -> Iterator[Point]:
    """Every value in the run's CSV files; none for a method that trains nothing.

    Raises:
        InputError: as `read_rows`.
    """
    began = datetime.fromisoformat(finished.metrics["provenance"]["started"]).timestamp()
    history = read_rows(finished.folder / layout.HISTORY, ["step", "seconds", *CURVES])
    times = {int(row["step"]): began + row["seconds"] for row in history.to_dict("records")}
    for row in history.to_dict("records"):
        for column, name in CURVES.items():
            if not math.isnan(row[column]):  # a method without a router has no balance loss
                yield Point(name, row[column], int(row["step"]), times[int(row["step"])])
    chosen = read_rows(finished.folder / layout.ROUTER, CHOICES)
    for row in chosen.to_dict("records"):
        step, block = int(row["step"]), row["block"]
        yield Point(f"router, block {block}/{row['module']}", row["selection_rate"], step, times[step])
    for row in chosen.drop_duplicates(["step", "block"]).to_dict("records"):
        step = int(row["step"])
        yield Point(f"router entropy/block {row['block']}", row["entropy"], step, times[step])


def write(runs: Sequence[Finished], *, out: Path) -> dict[str, int]:
    """Write a folder of events for each run under `out`, and return how many values each has; old events are deleted.

    Raises:
        InputError: TensorBoard is not installed; otherwise as `points`.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            f"TensorBoard is not installed ({error}): pip install -c constraints.txt -e '.[tensorboard]'"
        ) from error
    written = {}
    for finished in runs:
        found = list(points(finished))
        folder = out / finished.run.folder
        for old in folder.glob(EVENTS):
            old.unlink()
        if found:
            with SummaryWriter(str(folder)) as writer:
                for point in found:
                    writer.add_scalar(point.name, point.value, point.step, walltime=point.time)
        written[finished.run.folder] = len(found)
    return written
