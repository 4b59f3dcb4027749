"""Whether any model of a table beats its floor: forecasts so simple that a trained model has to be better.

A table whose models all lose says so in its caption, from its numbers. We count a data set where this holds at each of
its horizons and look-backs, by the means over seeds of the table's first metric: one won cell would leave room for a
choice among horizons, and an average over horizons would hide it.
"""

from dataclasses import dataclass

import pandas as pd

from timellama.reports.render.markup import listed
from timellama.reports.render.origin import first_seen, name_columns
from timellama.training.scores.metric_objects import Metric

PLACE = ["dataset", "horizon", "context"]


@dataclass(frozen=True, kw_only=True)
class Unbeaten:
    """The data sets on which no model beats the floor, whether these are `all`, and the best floors there."""

    datasets: tuple[str, ...]
    all: bool
    best: tuple[str, ...]
    metric: Metric

    def titled(self, title: str) -> str:
        """The first sentence of a caption, which says so if there is such a data set."""
        if not self.datasets:
            return title
        where = "" if self.all else f"on {listed(self.datasets)} "
        return f"{title.removesuffix('.')}; {where}no model beats the floor."

    @property
    def notes(self) -> tuple[str, ...]:
        """What that means, with the floors that are the best."""
        if not self.datasets:
            return ()
        where = "its horizons and look-backs" if len(self.datasets) == 1 else "their horizons and look-backs"
        return (
            f"No model beats the floor on {listed(self.datasets)}: at each of {where} none has a better "
            f"{self.metric.label}, as a mean over seeds, than the best floor ({listed(self.best)}).",
        )


def unbeaten(summary: pd.DataFrame, *, metric: Metric) -> Unbeaten:
    """Of the rows of `aggregate.summarise`, the data sets on which the best model is never better than the best floor.

    A place (data set, horizon, look-back) counts where both a model and a floor have a number.
    """
    column, sign = f"{metric.name}_mean", 1 if metric.direction == "lower" else -1
    named = summary.assign(column=name_columns(summary), value=sign * summary[column].astype(float))
    named = named[named["value"].notna()]
    lost: dict[str, list[str]] = {}
    won = set()
    for (dataset, *_), place in named.groupby(PLACE, sort=False):
        floor, models = place[place["floor"].astype(bool)], place[~place["floor"].astype(bool)]
        if floor.empty or models.empty:
            continue
        best = floor["value"].min()
        if models["value"].min() < best:
            won.add(dataset)
        else:
            lost.setdefault(dataset, []).extend(floor.loc[floor["value"] == best, "column"])
    order = [dataset for dataset in first_seen(summary["dataset"]) if dataset in lost and dataset not in won]
    names = first_seen(name for dataset in order for name in lost[dataset])
    return Unbeaten(datasets=tuple(order), all=bool(order) and not won, best=tuple(names), metric=metric)
