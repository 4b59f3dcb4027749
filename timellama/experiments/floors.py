"""The floors of an experiment: untrained forecasts that its table shows whether its configuration lists them or not.

An error says little without them, and the paper's own tables have no untrained forecast. They cost seconds, and
experiments share their runs as they share any other.
"""

from collections.abc import Mapping

from timellama.data.catalogue.datasets import Dataset
from timellama.experiments.configuration import Experiment, SingleRun
from timellama.experiments.methods_file import MethodEntry
from timellama.methods.method import Method
from timellama.methods.registry import method_of
from timellama.methods.series_method import reads_whole_series


def with_floors(
    section: Experiment, *, methods: Mapping[str, MethodEntry], datasets: Mapping[str, Dataset]
) -> Experiment:
    """The experiment with each untrained floor of the catalogue added to its grid, where it fits.

    A floor is run at each look-back and horizon of a data set, unless the configuration has it under `not_run`. If the
    configuration lists it too, it is the same run, which an experiment has once. Where a look-back holds fewer seasons
    than it reads, the cell is impossible, and the plan says so. A floor that fits nowhere in an experiment is left out
    of it. So is a mean over several seasons on M4: it is named after the hour of the day, which one of the six
    frequencies has. Methods that read whole series are run on M4 only.
    """
    places: dict[tuple[str, int], list[int]] = {}
    for dataset, setting in section.datasets.items():
        places.setdefault((dataset, setting.context), []).extend(setting.horizons)
    for single in section.also:
        places.setdefault((single.dataset, single.context), []).extend(single.horizons)
    floors = []
    for name, entry in methods.items():
        if not entry.floor or method_of(entry.method).trains or name in section.not_run:
            continue
        method = method_of(entry.method)
        stands = {place: horizons for place, horizons in places.items() if _has_place(method, datasets.get(place[0]))}
        if not any(context >= method.seasons * datasets[dataset].season for dataset, context in stands):
            continue
        for (dataset, context), horizons in stands.items():
            wanted = tuple(dict.fromkeys(horizons))
            floors.append(SingleRun(dataset=dataset, method=name, context=context, horizons=wanted))
    return section.model_copy(update={"also": (*section.also, *floors)})


def _has_place(method: Method, dataset: Dataset | None) -> bool:
    if dataset is None:
        return False
    published = dataset.split.rule == "published"
    return published if reads_whole_series(method) else not (published and method.seasons > 1)
