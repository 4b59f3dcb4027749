"""The outcome of a search: per cell and method its trials, the chosen one, and the errors with it and as published.

The expected best of k trials is that of Dodge et al. 2019 (arXiv 1909.03004, equation 2 for a loss): of k drawn with
replacement from those that ran.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellama.experiments.run import Training
from timellama.methods.registry import method_of
from timellama.methods.space import Interval
from timellama.results.aggregate import read_metrics
from timellama.training.choice import best_of, folder_of

CELL = ("task", "dataset", "horizon", "context", "variant", "backbone")  # what trials and searched runs share


@dataclass(frozen=True, kw_only=True)
class Found:
    """The documents of one cell of one method, in `published` and `searched` one per seed; any may be empty.

    `trials` is empty until all of them have a result: the best of some of them is not the choice.
    """

    variant: str
    dataset: str
    horizon: int
    published: tuple[Mapping[str, Any], ...]
    trials: tuple[Mapping[str, Any], ...]
    searched: tuple[Mapping[str, Any], ...]

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The trial that was chosen."""
        return best_of(self.trials) if self.trials else None


def found(paths: Sequence[Path], *, trials: Collection[str]) -> list[Found]:
    """The cells of the `metrics.json` at `paths`, in the order of their first appearance; `trials` are folders of runs.

    Raises InputError as `read_metrics` does.
    """
    cells: dict[str, list[Mapping[str, Any]]] = {}
    for path in paths:
        document = read_metrics(path)
        cell = json.dumps([document["run"][key] for key in CELL], sort_keys=True)
        cells.setdefault(cell, []).append(document)
    of_cells = []
    for documents in cells.values():
        run = documents[0]["run"]
        tried = tuple(d for d in documents if folder_of(d) in trials)
        searched = tuple(d for d in documents if d["run"].get("trials"))
        published = tuple(d for d in documents if d not in tried and d not in searched)
        parts = {"published": published, "trials": tried, "searched": searched}
        names = {key: run[key] for key in ("variant", "dataset", "horizon")}
        place = f"{folder_of(documents[0]).rpartition('/')[0]}/H{run['horizon']}-T{run['context']}-"
        if len(tried) < sum(folder.startswith(place) for folder in trials):
            parts["trials"] = ()
        of_cells.append(Found(**names, **{key: tuple(sorted(of, key=_order)) for key, of in parts.items()}))
    return of_cells


def _order(document: Mapping[str, Any]) -> tuple[int, str]:
    return document["run"]["seed"], document["identity"]


def expected_best(losses: Sequence[float], k: int) -> float:
    """The expected lowest of `k` losses drawn with replacement: each is weighted by its chance of being the lowest.

    Raises ValueError for no losses, and for k below 1.
    """
    if not losses or k < 1:
        raise ValueError(f"losses are {len(losses)} and k is {k}; both must be at least 1")
    n = len(losses)
    chances = [((n - rank) / n) ** k - ((n - rank - 1) / n) ** k for rank in range(n)]
    return sum(chance * loss for chance, loss in zip(chances, sorted(losses), strict=True))


def setting(document: Mapping[str, Any], name: str) -> Any:
    """A run's value of a searched parameter; a document omits parameters that were added later and have the default."""
    run = document["run"]
    kinds = ((Training, run["training"]), (method_of(run["method"]).options, run["options"]))
    return next(getattr(kind(**given), name) for kind, given in kinds if name in kind.__dataclass_fields__)


def at_the_edge(cell: Found, space: Mapping[str, Any]) -> list[str]:
    """The numeric parameters of the space for which the chosen trial has the lowest or the highest tried value."""
    best = cell.best
    if best is None or len(cell.trials) < 3:
        return []
    names = [name for name, of in space.items() if isinstance(of, Interval)]
    tried = {name: [setting(trial, name) for trial in cell.trials] for name in names}
    return [name for name in names if setting(best, name) in (min(tried[name]), max(tried[name]))]


def at_an_end(cell: Found) -> str:
    """Whether the chosen trial was best before its first step, at its last validation, or between the two."""
    best = cell.best
    if best is None or 0 < best["best_step"] < best["steps"]:
        return ""
    return "first" if best["best_step"] == 0 else "last"
