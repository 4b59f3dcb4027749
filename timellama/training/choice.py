"""Which trial of a search a searched run takes: the one with the lowest validation loss, as a file that names them all.

Nothing here reads a test error. `timellama.experiments.search` says what the trials are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from timellama.core.files import write_json
from timellama.core.schema import check_json, read_json
from timellama.core.values import Text, Whole
from timellama.experiments.run import Run

RERUN = "Delete it and run again."


class Trial(BaseModel):
    """What a choice needs from a trial's `metrics.json`."""

    run: dict[str, Any]
    identity: Text
    validation_loss: float
    best_step: Whole
    steps: Whole


class Tried(BaseModel):
    """A trial that a choice was made from."""

    folder: Text


class Choice(BaseModel):
    """What a searched run takes from a choice: the chosen settings, as `named_fields` gives them, and the trials."""

    options: dict[str, Any]
    training: dict[str, Any]
    trials: tuple[Tried, ...]


def choose(trials: Sequence[Path], *, out: Path) -> dict[str, Any]:
    """Write to `out`, and return, which of the trials' `metrics.json` has the lowest validation loss; first of equals.

    `folder`, `options` and `training` are the chosen trial's. `trials` holds the folder of each trial, its validation
    loss, the step of that loss, and the total steps. Raises InputError for a document that lacks one of these.
    """
    documents = [_read(path) for path in trials]
    for path, document in zip(trials, documents, strict=True):
        check_json(document, Trial, path=path, remedy=RERUN)
    best = best_of(documents)
    choice = {
        "folder": folder_of(best),
        "options": best["run"]["options"],
        "training": best["run"]["training"],
        "trials": [
            {"folder": folder_of(document)} | {key: document[key] for key in ("validation_loss", "best_step", "steps")}
            for document in documents
        ],
    }
    write_json(out, choice)
    return choice


def best_of(trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The document, among those of some trials, with the lowest validation loss; the first of equals."""
    return min(trials, key=lambda document: document["validation_loss"])


def folder_of(document: Mapping[str, Any]) -> str:
    """The folder of a run below `results/`, as `Run.folder`, from its document."""
    return "/".join([*(document["run"][key] for key in ("task", "dataset", "variant")), document["identity"]])


def settled(run: Run, choice: Path | None) -> Run:
    """A searched run with the settings that the file `choice` names; any other run as it is.

    Raises ValueError for a choice among trials other than the run's, and InputError for a damaged file.
    """
    if choice is None:
        return run
    found = check_json(_read(choice), Choice, path=choice, remedy=RERUN)
    if (among := tuple(trial.folder for trial in found.trials)) != run.trials:
        raise ValueError(
            f"{choice} chooses among {among}, but {run.folder} among {run.trials}: delete it and run again"
        )
    return run.settled(options=found.options, training=found.training)


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, absent=RERUN, damaged=RERUN)
