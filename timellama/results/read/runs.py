"""Finished runs on disk: finding one by what the user types, reading it, and its siblings with other seeds."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError
from timellama.core.layout import METRICS
from timellama.experiments.run import Run
from timellama.results.read.documents import Described, as_result, read_metrics
from timellama.training.scores.metric_objects import BUILT_IN, EXTRA

LEVELS = 4  # task, data set, variant, identity: the folders between results/ and a run's files
LISTED = 5  # our choice: candidates named when a text matches several runs


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run with its result: its specification, its folder and the content of `metrics.json`."""

    run: Run
    folder: Path
    metrics: dict[str, Any]

    @property
    def used(self) -> Run:
        """The run with the settings that it was trained with; a searched run's were chosen among its trials."""
        return self.run.settled(**self.metrics["chosen"]) if self.run.trials else self.run

    def label_of(self, metric: str) -> str:
        """What tables call one of its errors."""
        own = self.metrics.get(EXTRA, {})
        return own[metric]["label"] if metric in own else BUILT_IN[metric].label

    @property
    def results(self) -> Path:
        """The folder `results/` that contains the run."""
        return self.folder.resolve().parents[LEVELS - 1]


def read_run(folder: Path) -> Finished:
    """The finished run in `folder`. Raises InputError if there is none, or none that this version can read."""
    metrics = read_metrics(folder / METRICS)
    described = as_result(metrics, Described, folder / METRICS)
    try:
        run = Run.from_json(json.dumps(described.run))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder / METRICS} does not describe a run of this version ({error!r}): delete it and run again"
        ) from error
    if run.identity != described.identity:
        raise InputError(
            f"{folder / METRICS} is of {metrics['identity']}, but its settings give {run.identity}: it was edited, or "
            "written by another version. Delete it and run again"
        )
    return Finished(run=run, folder=folder, metrics=metrics)


def _folders(results: Path) -> list[Path]:
    """The folders of all finished runs."""
    return sorted(file.parent for file in results.glob(f"{'*/' * LEVELS}{METRICS}"))


def every_run(*, results: Path) -> list[Finished]:
    """All finished runs under `results`. Raises InputError as `read_run`."""
    return [read_run(folder) for folder in _folders(results)]


def find_run(text: str, *, results: Path) -> Finished:
    """The finished run that `text` names: its folder, its `metrics.json`, or a unique part of its path.

    Raises InputError if none or several match.
    """
    path = Path(text)
    folder = path.parent if path.name == METRICS else path
    if folder.is_dir():
        if not (folder / METRICS).is_file():
            raise InputError(f"{folder} has no {METRICS}: name the folder of a finished run, or let it finish first")
        return read_run(folder)
    everything = _folders(results)
    names = {folder: str(folder.relative_to(results)) for folder in everything}
    found = [folder for folder, name in names.items() if text in name]
    if len(found) == 1:
        return read_run(found[0])
    if found:
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        listed = ", ".join(names[folder] for folder in found[:LISTED])
        raise InputError(f"{text!r} matches {len(found)} runs: {listed}{more}. Give more of the name")
    known = ", ".join([*list(names.values())[:LISTED], "..."][: len(names)]) if names else "none is finished yet"
    raise InputError(f"{text!r} is neither a run's folder nor a part of a finished run's name below {results}: {known}")


def same_but_seed(finished: Finished) -> list[Finished]:
    """The finished runs beside this one, itself included, whose settings differ from its own only in the seed."""

    def settings(run: Run) -> Run:
        return dataclasses.replace(run, seed=0)

    beside = [read_run(file.parent) for file in sorted(finished.folder.parent.glob(f"*/{METRICS}"))]
    found = [other for other in beside if settings(other.run) == settings(finished.run)]
    return sorted(found, key=lambda other: other.run.seed)
