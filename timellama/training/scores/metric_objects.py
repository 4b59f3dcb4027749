"""Metrics as objects: all that the evaluation, the tables and the commands know about a metric is one `Metric`.

A metric is the mean of scores over all windows. Its function scores a batch; `timellama.training.scores.metrics.Errors`
adds the scores up. GluonTS has metrics as objects too (`gluonts/ev/metrics.py`); here one also holds what a table
needs.

A user-supplied metric is an object of another module. `metrics:` in a configuration names it, as `module:OBJECT` or by
the name of an entry point of the group `timellama.metrics`. It is not part of a run's identity; `record` is what
`metrics.json` keeps of it, so reports read that file without the user's module.
"""

import dataclasses
import hashlib
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from timellama.core.errors import InputError
from timellama.core.outside import chosen

GROUP = "timellama.metrics"  # of entry points
EXTRA = "metrics"  # the key of metrics.json that holds the records of user-supplied metrics
NAME = re.compile(r"[a-z][a-z0-9_]*")
# Columns of `aggregate.collect` and keys of metrics.json: a metric with such a name would overwrite one.
RESERVED = frozenset(
    (
        *("path", "identity", "task", "dataset", "context", "horizon", "train_percent", "variant", "method", "seed"),
        *("precision", "label", "floor", "backbone", "n_windows", "n_targets", "validation_loss", "steps", "best_step"),
        *("parameters_total", "parameters_trainable", "seconds_train", "seconds_evaluate", "seconds_total"),
        *("peak_memory_bytes", "collapsed_blocks", "routed_blocks", "commit", "device", "settings", "paired"),
        *("compiled", "run", "router"),
        *("parameters", "seconds", "provenance", EXTRA, "frequencies", "naive2"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric: `name` in files and `label` in tables, which `direction` is better, `unit`, printed `decimals`.

    `function` maps forecast and truth, both float64 tensors [B, H, N], to scores [B, ...] of which the metric is the
    mean. It is None for a metric that needs more than these two, which `timellama.training.scores.m4_scores` computes.

    Raises InputError for a name that is not in lower case, an unknown direction, decimals outside 0 to 12, a label or
    unit that is not text, and a function that cannot be called.
    """

    name: str
    label: str
    direction: Literal["lower", "higher"]
    unit: str
    decimals: int
    function: Callable[[Any, Any], Any] | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and NAME.fullmatch(self.name)):
            raise InputError(f"name is {self.name!r}, but must have lower-case letters, digits and _ only; rename it")
        of = f"of the metric {self.name!r}"
        for key in ("label", "unit"):
            if not isinstance(getattr(self, key), str):
                raise InputError(f"{key} {of} is {getattr(self, key)!r}, but must be text; put it in quotes")
        if self.direction not in ("lower", "higher"):
            raise InputError(
                f"direction {of} is {self.direction!r}, but must be 'lower' or 'higher'; give the one that is better"
            )
        if type(self.decimals) is not int or not 0 <= self.decimals <= 12:
            raise InputError(f"decimals {of} are {self.decimals!r}, but must be a whole number from 0 to 12; give one")
        if self.function is not None and not callable(self.function):
            raise InputError(f"function {of} is {self.function!r}, which cannot be called; give the function itself")


def squared_error(forecast: Any, truth: Any) -> Any:
    """(f - y)^2 of each value: [B, H, N] twice to [B, H, N]."""
    difference = forecast - truth
    return difference * difference


def absolute_error(forecast: Any, truth: Any) -> Any:
    """|f - y| of each value: [B, H, N] twice to [B, H, N]."""
    return (forecast - truth).abs()


STANDARDISED = "standardised values"
# Decimals are those of the paper's tables 1 and 2.
MSE = Metric(name="mse", label="MSE", direction="lower", unit=STANDARDISED, decimals=3, function=squared_error)
MAE = Metric(name="mae", label="MAE", direction="lower", unit=STANDARDISED, decimals=3, function=absolute_error)
SMAPE = Metric(name="smape", label="SMAPE", direction="lower", unit="per cent", decimals=2)
MASE = Metric(name="mase", label="MASE", direction="lower", unit="in-sample seasonal naive error", decimals=3)
OWA = Metric(name="owa", label="OWA", direction="lower", unit="Naive2's score", decimals=3)

FORECAST = (MSE, MAE)  # paper, tables 1 and 3
M4 = (SMAPE, MASE, OWA)  # paper, table 2
BUILT_IN = {metric.name: metric for metric in (*FORECAST, *M4)}


def find_metrics(places: Sequence[str]) -> dict[str, Metric]:
    """The user-supplied metrics of a configuration's `metrics:`, by place.

    Raises InputError for a place that leads to no `Metric`, a metric without a function, and a name that is taken.
    """
    found: dict[str, Metric] = {}
    for place in places:
        metric = _load(place)
        taken = {*BUILT_IN, *RESERVED, *(other.name for other in found.values())}
        if metric.name in taken:
            raise InputError(f"metrics: the name {metric.name!r} of {place} is taken; give the metric another name")
        if metric.function is None:
            raise InputError(f"metrics: {place} has no function; give the function that scores a batch")
        if not inspect.isfunction(metric.function):
            # Its source file is a part of the metric's definition.
            kind = type(metric.function).__name__
            raise InputError(
                f"metrics: the function of {place} is of type {kind}; write it with def, in your own module"
            )
        found[place] = metric
    return found


def _load(place: str) -> Metric:
    metric = chosen(place, {}, group=GROUP, of="an entry of metrics", kind=Metric)
    if not isinstance(metric, Metric):
        raise InputError(f"metrics: {place} is of type {type(metric).__name__}; name a Metric object")
    return metric


def definitions(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """For each place, a digest of the metric and of the module that its function is in.

    If it differs from the one that a run was made with, the run's number may change.
    """
    found = {}
    for place, metric in metrics.items():
        file = inspect.getsourcefile(metric.function)
        source = Path(file).read_bytes() if file else b""
        found[place] = hashlib.sha256(repr(describe(metric)).encode() + source).hexdigest()
    return found


def describe(metric: Metric) -> dict[str, Any]:
    """All of a metric except its function, in a form that JSON can hold."""
    return {field.name: getattr(metric, field.name) for field in dataclasses.fields(metric) if field.name != "function"}


def described(document: Mapping[str, Any]) -> Metric:
    """The metric, without its function, that `describe` or `record` wrote."""
    names = {field.name for field in dataclasses.fields(Metric)} - {"function"}
    return Metric(**{name: document[name] for name in names})


def record(metric: Metric, *, place: str, definition: str, value: float) -> dict[str, Any]:
    """What metrics.json keeps of a user-supplied metric. A value that is not finite is kept as None."""
    return {
        **describe(metric),
        "place": place,
        "definition": definition,
        "value": value if math.isfinite(value) else None,
    }


def errors_of(document: Mapping[str, Any]) -> dict[str, float | None]:
    """Every metric of a metrics.json by name: the task's own ones first, then the user-supplied ones."""
    own = {name: document[name] for name in BUILT_IN if name in document}
    return own | {name: entry["value"] for name, entry in document.get(EXTRA, {}).items()}
