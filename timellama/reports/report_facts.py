"""What reports are made from: where results are, and what a report has to know beside them.

Results are named by their paths (`results/...`). Those in `absent` have no result; reports show dashes for them.
"""

from collections.abc import Collection, Iterable
from typing import Any

from timellama.core import layout
from timellama.experiments.matrix import EFFICIENCY, Plan, dataset_row
from timellama.reports.failures import remark
from timellama.training.metric_objects import EXTRA, definitions, describe, find_metrics


def planned_files(plan: Plan, experiment: str) -> list[str]:
    """The results that an experiment has when it is complete; none for one that the plan does not have."""
    if experiment == EFFICIENCY:
        return [layout.sweep_of(sweep.folder) for sweep in plan.sweeps.values()]
    return [layout.metrics_of(run.folder) for run in plan.runs.get(experiment, [])]


def remark_on(files: Iterable[str], absent: Collection[str]) -> str:
    """What a report of `files` says where some of them are absent."""
    files = list(files)
    return remark(sum(file in absent for file in files), len(files))


def report_facts(plan: Plan, experiment: str, *, absent: Collection[str]) -> dict[str, Any]:
    """What a report has to know beside the results: the planned cells and how methods are called."""
    shown = ("label", "floor")
    return {
        "configuration": plan.config["name"],
        "backbone": "{name} x{blocks}".format(**plan.config["backbones"][0]),
        "planned": plan.cells(experiment) if experiment in plan.runs else [],
        "not_run": plan.not_run(experiment) if experiment in plan.runs else [],
        "methods": {name: {key: getattr(entry, key) for key in shown} for name, entry in plan.methods.items()},
        "remark": remark_on(planned_files(plan, experiment), absent),
        "generated": [name for name, entry in plan.datasets.items() if entry.generated],
        **user_metrics(plan),
    }


def user_metrics(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The configuration's own metrics, each described with the digest of its definition; empty where it has none."""
    metrics = find_metrics(plan.config.get(EXTRA, ()))
    digests = definitions(metrics)
    described = [describe(metric) | {"definition": digests[place]} for place, metric in metrics.items()]
    return {EXTRA: described} if described else {}


def dataset_rows(plan: Plan) -> list[dict[str, object]]:
    """The catalogue's facts for the table of data sets, with the horizons that the configuration asks for."""
    horizons = {name: set() for name in plan.datasets}
    for run in plan.every_run().values():
        horizons[run.dataset].add(run.horizon)
    return [dataset_row(entry, horizons=sorted(horizons[name])) for name, entry in plan.datasets.items()]
