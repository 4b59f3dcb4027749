"""Search: the settings that are tried for each trained method, known before anything runs.

Every method gets the same number of trials, at the points of one scrambled Sobol sequence, with the same budget of
training windows and the same validation windows. A trial is a run like any other. A searched run names its trials. When
it is trained, it takes the settings of the trial with the lowest validation loss (`timellama.training.choice`); test
errors play no part.

The protocol is ours; for equal budgets see Dodge et al. 2019 (arXiv 1909.03004).
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from timellama.core.errors import InputError
from timellama.experiments.configuration import Search
from timellama.experiments.run import Run, Training
from timellama.methods.registry import method_of
from timellama.methods.space import SHARED, Space

SOBOL = Path(__file__).with_name("sobol.csv")  # written by benchmarks/sobol.py


@functools.cache
def points() -> tuple[tuple[float, ...], ...]:
    """The points of every search, each coordinate between 0 and 1."""
    lines = SOBOL.read_text(encoding="utf-8").splitlines()
    return tuple(tuple(float(value) for value in line.split(",")) for line in lines)


def space_of(method: str, *, fixed: frozenset[str] = frozenset()) -> Space:
    """The parameters of a method that a search varies, without the options in `fixed`, which define a variant.

    Raises InputError for a parameter that is neither a training setting nor an option, and for too many of them.
    """
    found = method_of(method)
    space = {name: of for name, of in {**SHARED, **found.space}.items() if name not in fixed}
    known = {field.name for kind in (Training, found.options) for field in dataclasses.fields(kind)}
    if odd := sorted(set(space) - known):
        raise InputError(f"method {method!r}: space has {odd[0]!r}, which is neither an option nor a training setting")
    if len(space) > len(points()[0]):
        raise InputError(f"method {method!r}: space has {len(space)} parameters; a search varies {len(points()[0])}")
    return space


def trials(run: Run, *, search: Search, space: Space) -> list[Run]:
    """The trials of a run with one seed, each at its point of `space` and with the search's budget.

    Raises InputError for more trials than there are points.
    """
    if search.trials > len(points()):
        raise InputError(f"search: trials is {search.trials}, but there are {len(points())} points: lower it")
    return [_trial(run, search, space, point) for point in points()[: search.trials]]


def _trial(run: Run, search: Search, space: Space, point: Sequence[float]) -> Run:
    values = {name: of.at(at) for (name, of), at in zip(space.items(), point, strict=False)}
    settings = {name: value for name, value in values.items() if name in _names(Training)}
    options = {name: value for name, value in values.items() if name in _names(type(run.options))}
    steps = math.ceil(search.samples / settings.get("batch_size", run.training.batch_size))
    budget = {
        "epochs": steps,  # at least one step per epoch, so only the budget ends training
        "max_steps": steps,
        "validations_per_epoch": 1,
        "least_validations": search.validations,
        "validation_windows": search.validation_windows,
        "patience": steps,  # as many as there can be validations, so every trial uses the whole budget
    }
    training = dataclasses.replace(run.training, **budget, **settings)
    return dataclasses.replace(run, training=training, options=dataclasses.replace(run.options, **options))


def _names(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def searched(run: Run, *, among: Sequence[Run]) -> Run:
    """The run that takes its settings from the best of the trials `among`.

    Until it is trained it has the settings of the first, so that its trials alone determine its identity.
    """
    first, folders = among[0], tuple(trial.folder for trial in among)
    return dataclasses.replace(run, training=first.training, options=first.options, trials=folders)


def expanded(runs: Sequence[Run], *, search: Search, fixed: dict[str, frozenset[str]]) -> Iterator[Run]:
    """The runs with published settings, the trials of each of their trained cells, and one searched run per seed.

    Trials use a cell's first seed. `fixed` holds, by variant, the options that define it.
    """
    yield from runs
    cells: dict[str, list[Run]] = {}
    for run in runs:
        if run.training:
            same = dataclasses.replace(run, seed=0, options=None, training=None)
            cells.setdefault(same.to_json(), []).append(run)
    for seeds in cells.values():
        first = seeds[0]
        found = trials(first, search=search, space=space_of(first.method, fixed=fixed[first.variant]))
        yield from found
        for run in seeds:
            yield searched(run, among=found)
