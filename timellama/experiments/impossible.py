"""Which cells of a plan cannot be run, each with its reason, known before data or weights are there.

A cell is a data set, a look-back, a horizon and a method, for some methods on a language model. An impossible cell
stops no other. The reasons are a part without a window, a look-back that holds too few seasons, more blocks than a
language model has, and what a method itself reports (`timellama/methods/obstacles.py`). Only names, sizes and options
are read.
"""

from collections.abc import Iterable, Iterator, Mapping

from timellama.backbones.catalogue import BackboneEntry
from timellama.backbones.published import positions_of
from timellama.core.errors import InputError
from timellama.data.catalogue.datasets import Dataset
from timellama.data.splits import count_windows
from timellama.experiments.configuration import LanguageModel
from timellama.experiments.impossible_cells import ImpossibleCell, grouped
from timellama.experiments.run import Run
from timellama.experiments.work import windows_of
from timellama.methods.method import Method
from timellama.methods.obstacles import Obstacle, Setting
from timellama.methods.registry import method_of

NAMES = {"train": "training", "validation": "validation", "test": "test"}


def no_window(entry: Dataset, *, context: int, horizon: int, percent: int) -> Obstacle | None:
    """The parts of a data set that have no window. M4 has no such part: every series is padded to at least one."""
    if entry.split.rule == "published":
        return None
    counts = count_windows(entry.split, rows=entry.rows, context=context, horizon=horizon, train_percent=percent)
    empty = [NAMES[part] for part, count in counts.items() if count < 1]
    if not empty:
        return None
    sizes = f"at context {context} and horizon {horizon}"
    if percent < 100 and empty == ["training"]:
        return Obstacle(
            reason=f"{percent} % of the training rows of {entry.name} leave no training window {sizes}",
            remedy="lower context or horizon, or raise train_percent",
        )
    return Obstacle(
        reason=f"{entry.name} has {entry.rows} rows, which leave no {' and no '.join(empty)} window {sizes}",
        remedy="lower context or horizon",
    )


def few_seasons(entry: Dataset, method: Method, *, context: int) -> Obstacle | None:
    """A look-back that holds fewer whole seasons than the method reads."""
    needed = method.seasons * entry.season
    if context >= needed:
        return None
    return Obstacle(
        reason=f"{entry.name} has a season of {entry.season} steps, and a look-back of {context} holds "
        f"{context // entry.season} of the {method.seasons} that this forecast needs",
        remedy=f"raise context to {needed}",
    )


def many_blocks(entry: BackboneEntry, chosen: LanguageModel) -> Obstacle | None:
    """More blocks than a language model has."""
    if chosen.blocks <= entry.blocks:
        return None
    return Obstacle(
        reason=f"{entry.name} has {entry.blocks} blocks, and {chosen.blocks} are asked for",
        remedy=f"lower its blocks under backbones to {entry.blocks} or less",
    )


def obstacles_of(run: Run, entry: Dataset, backbone: BackboneEntry | None) -> Iterator[Obstacle]:
    """What the run's method reports about its options at the run's sizes."""
    steps = None
    if run.training:
        windows = windows_of(run, rows=entry.rows, frequency=entry.frequency)["train"]
        steps = run.training.steps(windows=windows, variates=run.variates).total
    setting = Setting(
        context=run.context,
        horizon=run.horizon,
        variates=run.variates,
        words=len((run.prompt or "").split()),
        steps=steps,
        width=backbone.width if backbone else 0,
        modules=len(backbone.modules) if backbone else 0,
        positions=positions_of(backbone) if backbone else None,
    )
    yield from method_of(run.method).obstacles_to(run.options, setting)


def require_runs(runs: Mapping[str, Iterable], cells: Iterable[ImpossibleCell], *, origin: str) -> None:
    """Raise InputError for a data set that has no window in any cell, and for an experiment that has nothing to run.

    `runs` are those of each experiment. In both cases nothing of what was requested is left, and a note in a table
    would hide that.
    """
    cells = list(cells)
    used = {run.dataset for of in runs.values() for run in of}
    for cell in cells:
        if cell.of_data and cell.dataset not in used:
            raise InputError(f"{origin}, experiments.{cell.experiment}: {cell.reason}: {cell.remedy}")
    for experiment, of in runs.items():
        lost = [cell for cell in cells if cell.experiment == experiment]
        if not of and lost:
            said = "; ".join(f"{group.sentence} ({group.remedy})" for group in grouped(lost))
            raise InputError(f"{origin}, experiments.{experiment}: none of it can be run. {said}")


def below_season(runs: Iterable[Run]) -> list[tuple[Run, str]]:
    """The runs whose look-back holds no season and whose method then does something else, each with what it does."""
    found = ((run, method_of(run.method).below_season) for run in runs)
    return [(run, instead) for run, instead in found if instead and run.context < run.season]
