"""What reports are made from: where results are, and what a report needs besides them.

Results are named by their paths (`results/...`). Those in `absent` have no result; reports show dashes for them.
"""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from timellama.core import layout
from timellama.data.catalogue.datasets import Dataset
from timellama.data.splits import part_rows, train_rows
from timellama.experiments.impossible import below_season
from timellama.experiments.matrix import EFFICIENCY, Matrix
from timellama.experiments.run import Run
from timellama.reports.failures import remark
from timellama.training.scores.metric_objects import EXTRA, definitions, describe, find_metrics

TABLE_6_WINDOW = 96  # found by comparing the paper's counts with the files: 8545 = 8640 - 96 + 1 for ETTh1


def planned_files(matrix: Matrix, experiment: str) -> list[str]:
    """The results that an experiment has when it is complete; none for one that the plan does not have."""
    if experiment == EFFICIENCY:
        return [layout.sweep_of(sweep.folder) for sweep in matrix.sweeps.values()]
    return [layout.metrics_of(run.folder) for run in matrix.runs.get(experiment, [])]


def remark_on(files: Iterable[str], absent: Collection[str]) -> str:
    """What a report of `files` says where some of them are absent."""
    files = list(files)
    return remark(sum(file in absent for file in files), len(files))


def report_facts(matrix: Matrix, experiment: str, *, absent: Collection[str]) -> dict[str, Any]:
    """What a report needs besides the results: the planned cells and the names of methods."""
    shown, backbones = ("label", "floor"), matrix.config.get("backbones")
    impossible = [dataclasses.asdict(cell) for cell in matrix.impossible if cell.experiment == experiment]
    return {
        "configuration": matrix.config["name"],
        "backbone": "{name} x{blocks}".format(**backbones[0]) if backbones else "",
        "planned": matrix.cells(experiment) if experiment in matrix.runs else [],
        "not_run": matrix.not_run(experiment) if experiment in matrix.runs else [],
        "methods": {name: {key: getattr(entry, key) for key in shown} for name, entry in matrix.methods.items()},
        "remark": remark_on(planned_files(matrix, experiment), absent),
        "models": {name: entry.note for name, entry in matrix.backbones.items() if entry.note},
        "generated": [name for name, entry in matrix.datasets.items() if entry.generated],
        **({"impossible": impossible} if impossible else {}),
        **_repaired(matrix, experiment),
        **_with_calendar(matrix, experiment),
        **_below_season(matrix, experiment),
        **_trials(matrix, experiment),
        **user_metrics(matrix),
    }


def _repaired(matrix: Matrix, experiment: str) -> dict[str, str]:
    """Under `repaired` a sentence for each data set of an experiment that was repaired as its entry says."""
    used = dict.fromkeys(run.dataset for run in matrix.runs.get(experiment, ()))
    entries = [matrix.datasets[name] for name in used]
    told = [(entry.name, entry.repairs.sentence(entry.reading)) for entry in entries]
    sentences = [f"{name} was repaired before use: {what}." for name, what in told if what]
    return {"repaired": " ".join(sentences)} if sentences else {}


def _with_calendar(matrix: Matrix, experiment: str) -> dict[str, str]:
    """Under `calendar` a sentence on the methods of an experiment that are given more than the others' look-back."""
    read: dict[str, dict[str, None]] = {}
    for run in matrix.runs.get(experiment, ()):
        if run.calendar:
            read.setdefault(matrix.methods[run.variant].label, {})[run.dataset] = None
    parts = [f"{label} ({', '.join(datasets)})" for label, datasets in read.items()]
    return {"calendar": f"Also given calendar features: {'; '.join(parts)}."} if parts else {}


def _below_season(matrix: Matrix, experiment: str) -> dict[str, str]:
    """Under `below_season` what forecasts do if their look-back holds no season, where there are some."""
    sentences = {
        f"{matrix.methods[run.variant].label} {instead} on {run.dataset}: a look-back of {run.context} steps holds no "
        f"season of {run.season}."
        for run, instead in below_season(matrix.runs.get(experiment, ()))
    }
    return {"below_season": " ".join(sorted(sentences))} if sentences else {}


def _trials(matrix: Matrix, experiment: str) -> dict[str, Any]:
    """For a search the folders of its trials, and by variant the published settings that the configuration replaces."""
    runs = matrix.runs.get(experiment, ())
    folders = {folder for run in runs for folder in run.trials}
    if not folders:
        return {}
    changed: dict[str, list[str]] = {}
    for run in runs:
        if not run.trials and run.folder not in folders and (names := _replaced(run, matrix)):
            changed[run.variant] = sorted({*changed.get(run.variant, ()), *names})
    return {"trials": sorted(folders), "changed": changed}


def _replaced(run: Run, matrix: Matrix) -> list[str]:
    """The options and training settings in which a run differs from its entry in `config/methods.yaml`."""
    entry, names = matrix.methods[run.variant], []
    of_data = entry.datasets.get(run.dataset)
    for part in ("options", "training"):
        used = getattr(run, part)
        if used is not None:
            published = type(used)(**getattr(entry, part) | (getattr(of_data, part) if of_data else {}))
            fields = [field.name for field in dataclasses.fields(used) if field.name != "rank"]  # the language model's
            names += [name for name in fields if getattr(used, name) != getattr(published, name)]
    return names


def user_metrics(matrix: Matrix) -> dict[str, list[dict[str, Any]]]:
    """The configuration's own metrics, each described with the digest of its definition; empty where it has none."""
    metrics = find_metrics(matrix.config.get(EXTRA, ()))
    digests = definitions(metrics)
    described = [describe(metric) | {"definition": digests[place]} for place, metric in metrics.items()]
    return {EXTRA: described} if described else {}


def dataset_rows(matrix: Matrix) -> list[dict[str, object]]:
    """The catalogue's facts for the table of data sets, with the horizons that the configuration requests."""
    horizons = {name: set() for name in matrix.datasets}
    for run in matrix.every_run().values():
        horizons[run.dataset].add(run.horizon)
    return [dataset_row(entry, horizons=sorted(horizons[name])) for name, entry in matrix.datasets.items()]


def dataset_row(entry: Dataset, *, horizons: Sequence[int]) -> dict[str, object]:
    """A line of the table of data sets in the terms of the paper's table 6, which counts windows of 96 rows (M4:
    series).

    The windows of validation and test begin 96 rows before their part, so each has one more than the part has rows.
    """
    row = {"dataset": entry.name, "variates": entry.variates, "frequency": entry.frequency, "domain": entry.domain}
    row["horizons"] = ", ".join(map(str, horizons))
    if entry.split.rule == "published":
        return row | {"train": entry.rows, "val": 0, "test": entry.rows}
    train = train_rows(entry.split, rows=entry.rows)
    parts = part_rows(entry.split, rows=entry.rows, context=1, horizon=1, train_percent=100)
    counts = {"val": len(parts["validation"]) + 1, "test": len(parts["test"]) + 1}
    return row | {"train": train - TABLE_6_WINDOW + 1} | counts
