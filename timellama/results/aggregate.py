"""From many runs to one tidy table: mean and spread over seeds, and the gap to the paper's numbers.

A run writes a `metrics.json`; `collect` reads many of them, `summarise` combines the runs of one cell and
`with_published` adds the paper's number (`config/published/*.csv`) to each. Nothing is filled in or repaired: a file
that cannot be read, two runs with one seed, or test parts of different sizes stop here, before they reach a table.
"""

import dataclasses
import json
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.experiments.run import Run
from timellama.results.read.documents import FORECAST_ERRORS, Metrics, as_result, read_metrics
from timellama.results.statistics.uncertainty import of_pairs
from timellama.training.scores.metric_objects import EXTRA

CELL = ["dataset", "context", "horizon", "train_percent", "variant", "backbone"]
# The fields in which two compared runs may differ. They share every other field of a run, including any added later:
# runs of 5 % and of all training rows, or of two data files, are not a pair. A heavy method may have a precision of its
# own, and not every method's steps can be compiled.
COMPARED = ("variant", "method", "options", "training", "backbone", "prompt", "calendar", "precision", "compiled")
PAIRED = tuple(field.name for field in dataclasses.fields(Run) if field.name not in (*COMPARED, "seed"))
PAIR = ["dataset", "horizon", "context", "train_percent", "paired", "seed"]  # `paired` holds all of `PAIRED`
KEYS = ("dataset", "horizon", "method", "backbone", "setting")  # columns that say which cell a published number is of
OTHER_NAMES = {"Electricity": "ECL", "ECL": "Electricity"}  # one data set: ECL in the paper's table 1, Electricity in 6
RANDOM = " (random weights)"  # ends the description of an untrained language model
SHORT = 7  # digits of a commit that are shown, as in Git

_RUN_KEYS = (
    "task",
    "dataset",
    "context",
    "horizon",
    "train_percent",
    "variant",
    "method",
    "seed",
    "precision",
    "compiled",
)
_NUMBERS = {  # column: where it is in metrics.json
    "validation_loss": "validation_loss",
    "steps": "steps",
    "best_step": "best_step",
    "parameters_total": "parameters.total",
    "parameters_trainable": "parameters.trainable",
    "seconds_train": "seconds.train",
    "seconds_evaluate": "seconds.evaluate",
    "seconds_total": "seconds.total",
    "peak_memory_bytes": "peak_memory_bytes",
}


def backbone_order(backbone: str) -> tuple[str | int, ...]:
    """The sort key of described backbones: x2 comes before x16."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", backbone))


def describe_backbone(backbone: dict[str, Any] | None) -> str:
    """`SmolLM2-135M x6`, with `(random weights)` if they are random; an empty string without a backbone."""
    if backbone is None:
        return ""
    # An integer pin is a seed: that backbone of the catalogue never had learned weights.
    random = backbone["weights"] == "random" or backbone["pin"].isdecimal()
    return f"{backbone['name']} x{backbone['blocks']}{RANDOM if random else ''}"


def describe_commit(provenance: dict[str, Any]) -> str:
    """`1a2b3c4`, `1a2b3c4 + uncommitted changes` or `unknown`."""
    commit = provenance["git_commit"]
    short = commit if commit == "unknown" else commit[:SHORT]
    if provenance["git_dirty"] is None and commit != "unknown":
        return f"{short} (uncommitted changes not looked for)"
    return f"{short} + uncommitted changes" if provenance["git_dirty"] else short


def _row(path: Path, methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One run as a flat row; label and floor are looked up by its variant."""
    document = read_metrics(path)
    result = as_result(document, Metrics, path)
    row = {"path": str(path), "identity": result.identity}
    row |= {key: getattr(result.run, key) for key in _RUN_KEYS}
    if row["variant"] not in methods:
        raise InputError(
            f"{path} is of {row['variant']!r}, which is not a method of the catalogue ({', '.join(methods)}). Add it "
            "to config/methods.yaml, or leave this file out."
        )
    row |= {key: methods[row["variant"]][key] for key in ("label", "floor")}
    row["backbone"] = describe_backbone(document["run"]["backbone"])
    row |= {metric: getattr(result, metric) for metric in result.errors}
    for metric, kept in document.get(EXTRA, {}).items():
        row[metric], row[f"{metric} definition"] = kept["value"], kept["definition"]
    row["n_windows"] = result.n_windows
    row |= {column: operator.attrgetter(place)(result) for column, place in _NUMBERS.items()}
    router = result.router
    row["collapsed_blocks"] = None if router is None else len(router.collapsed_blocks)
    row["routed_blocks"] = None if router is None else len(router.distinct_patterns)
    row["commit"] = describe_commit(document["provenance"])
    row["device"] = result.provenance.hardware.device
    planned, used = result.run.data_sha256, result.provenance.data_sha256
    if planned is not None and planned != used:
        raise InputError(
            f"{path} was computed from other data (SHA-256 {used}) than its run specifies ({planned}): restore the "
            "files in results/raw (snakemake fetches those that are deleted), then delete this file and run again."
        )
    settings = {key: value for key, value in document["run"].items() if key != "seed"}
    row["paired"] = json.dumps({name: document["run"].get(name) for name in PAIRED}, sort_keys=True)
    row["settings"] = json.dumps(settings, sort_keys=True)
    return row


def collect(paths: Iterable[Path], *, methods: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per run, sorted by cell, seed and identity; columns are the keys of `metrics.json`, flattened.

    `methods` gives each variant its `label`, the name in tables, and whether it is a `floor` (`config/methods.yaml`).
    `device` is the device that was used, whatever was requested. `settings` has everything that defines the run except
    its seed, as JSON. `paired` has what a compared run must share. A value that a run does not have (the router of a
    method without one) is NaN.

    Raises:
        InputError: no path is given; a file does not parse, lacks a key, has a metric that is not finite or is of a
            variant without a label; two files contain the same run.
    """
    rows = [_row(Path(path), methods) for path in paths]
    if not rows:
        raise InputError("There is no metrics file to collect. Run at least one run, or give other paths.")
    seen: dict[str, str] = {}
    for row in rows:
        if row["identity"] in seen:
            raise InputError(
                f"{seen[row['identity']]} and {row['path']} contain the same run, {row['identity']}. Give one."
            )
        seen[row["identity"]] = row["path"]
    return pd.DataFrame(sorted(rows, key=lambda row: (*_cell_order(row), row["seed"], row["identity"])))


def _cell_order(row: Mapping[str, Any]) -> tuple:
    return tuple(backbone_order(row[key]) if key == "backbone" else row[key] for key in CELL)


def _differing(settings: Sequence[str]) -> str:
    """The names of the settings in which JSON objects differ, for an error message."""
    documents = [json.loads(text) for text in settings]
    keys = sorted({key for document in documents for key in document})
    return ", ".join(key for key in keys if any(document.get(key) != documents[0].get(key) for document in documents))


def _check(frame: pd.DataFrame) -> None:
    """Raise InputError if a mean over seeds, or a comparison of methods, would mix what does not belong together."""
    # All groups at once, as pandas takes milliseconds for each single one.
    mixed = frame.groupby(CELL)["settings"].transform("nunique") > 1
    for cell, runs in frame[mixed | frame.duplicated([*CELL, "seed"], keep=False)].groupby(CELL, sort=True):
        name = ", ".join(f"{key} {value}" for key, value in zip(CELL, cell, strict=True) if value != "")
        if runs["settings"].nunique() > 1:
            raise InputError(
                f"The runs of {name} differ in {_differing(list(runs['settings']))}, so they have no common mean. "
                f"Give only the runs of one configuration: {', '.join(runs['path'])}"
            )
        twice = runs.loc[runs["seed"].duplicated(keep=False)]
        raise InputError(f"{name} has several runs of one seed: {', '.join(twice['path'])}. Keep one of them.")
    tested = ["dataset", "horizon"]
    unequal = frame.groupby(tested)["n_windows"].transform("nunique") > 1
    for (dataset, horizon), runs in frame[unequal].groupby(tested, sort=True):
        counts = runs.drop_duplicates("n_windows")
        listed = "; ".join(f"{row.n_windows} in {row.path}" for row in counts.itertuples())
        raise InputError(
            f"Runs of {dataset} at horizon {horizon} were tested on different numbers of windows ({listed}), so "
            "they cannot be compared. Run those of an older version of the data or of the code again."
        )


def summarise(
    frame: pd.DataFrame, metrics: Sequence[str] = FORECAST_ERRORS, *, extra: Sequence[str] = ()
) -> pd.DataFrame:
    """One row per cell: (data set, context, horizon, training share, variant, backbone) over its seeds.

    Adds `n`, `seeds` (sorted tuple), `<metric>_mean`, `<metric>_std` (divisor n - 1; NaN for one seed), `n_windows`,
    `seconds_train` and `seconds_evaluate` (means), `commits` and `devices` (sorted tuples). `extra` are user-supplied
    metrics, NaN in a cell if one of its runs lacks them.

    Raises:
        InputError: runs of a cell differ in more than the seed, a seed occurs twice, the runs of one data set and
            horizon were tested on different numbers of windows, or a run lacks one of `metrics`.
    """
    for metric in metrics:
        lacking = frame if metric not in frame else frame.loc[frame[metric].isna()]
        if len(lacking):
            raise InputError(
                f"{lacking['path'].iloc[0]} has no `{metric}`: it is of another task. Summarise tasks separately."
            )
    _check(frame)
    same = ["label", "floor", "task", "method", "precision", "compiled", "n_windows"]
    timed = ["seconds_train", "seconds_evaluate"]
    taken = {*same, "seed", "commit", "device", *metrics, *extra, *timed}
    columns = {name: frame[name].to_numpy() for name in taken.intersection(frame)}
    nowhere = np.full(len(frame), math.nan)
    rows = []
    for cell, of in frame.groupby(CELL).indices.items():
        row = dict(zip(CELL, cell, strict=True)) | {key: columns[key][of[0]] for key in same}
        row |= {"n": len(of), "seeds": tuple(sorted(int(seed) for seed in columns["seed"][of]))}
        for metric in (*metrics, *extra):
            # NaN if a seed lacks it: otherwise a mean over some seeds would be shown beside means over all seeds.
            values = columns.get(metric, nowhere)[of].astype(float)
            row[f"{metric}_mean"] = values.mean()
            row[f"{metric}_std"] = values.std(ddof=1) if len(of) > 1 else math.nan
        for seconds in timed:
            values = columns.get(seconds, nowhere)[of].astype(float)
            known = values[~np.isnan(values)]
            row[seconds] = known.mean() if len(known) else math.nan
        row |= {
            "commits": tuple(sorted(set(columns["commit"][of]))),
            "devices": tuple(sorted(set(columns["device"][of]))),
        }
        rows.append(row)
    return pd.DataFrame(sorted(rows, key=_cell_order))


def of_definition(frame: pd.DataFrame, metric: str, definition: str) -> pd.DataFrame:
    """The frame of `collect`, with the user-supplied metric NaN in runs that lack it or have another definition."""
    if metric not in frame:
        return frame.assign(**{metric: math.nan})
    return frame.assign(**{metric: frame[metric].astype(float).where(frame[f"{metric} definition"] == definition)})


def _read_csv(csv: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(csv)
    except (OSError, ValueError) as error:
        raise InputError(f"{csv} cannot be read as a table ({error}). Restore it from the repository.") from error


def published_cells(csv: Path) -> list[tuple[str, int]]:
    """The (data set, horizon) pairs for which one of the paper's tables or figures has numbers, in its order.

    Raises:
        InputError: the file cannot be read, or does not have them.
    """
    published = _read_csv(csv)
    if not {"dataset", "horizon"} <= set(published):
        raise InputError(f"{csv} has no columns `dataset` and `horizon`. Restore it from the repository.")
    return list(dict.fromkeys(zip(published["dataset"], published["horizon"], strict=True)))


def read_published(csv: Path, *, key: str = "method") -> pd.DataFrame:
    """The paper's numbers. `key` is the required column; a column `variant` counts as `method`.

    Raises:
        InputError: the file cannot be read, has no such column, or has two lines for one cell.
    """
    published = _read_csv(csv).rename(columns={"variant": "method"})
    if key not in published:
        raise InputError(f"{csv} has no column `{key}`. Restore it from the repository.")
    keys = [name for name in KEYS if name in published]
    if published.duplicated(keys).any():
        twice = published.loc[published.duplicated(keys), keys].iloc[0].tolist()
        raise InputError(f"{csv} has more than one line for {twice}. Choose one setting before comparing with it.")
    return published


def _by_cell(published: pd.DataFrame) -> tuple[list[str], dict[tuple, dict[str, Any]]]:
    """The columns that identify a number's cell, and each line by its values of them, under both names of ECL."""
    keys = [key for key in KEYS if key in published]
    cells = {}
    for row in published.to_dict("records"):
        cells[tuple(row[key] for key in keys)] = row
        if row.get("dataset") in OTHER_NAMES:
            cells[tuple((row | {"dataset": OTHER_NAMES[row["dataset"]]})[key] for key in keys)] = row
    return keys, cells


def with_published(summary: pd.DataFrame, csv: Path) -> pd.DataFrame:
    """Add the paper's `<metric>_paper` and the gap `<metric>_gap`, (ours - paper) / paper in per cent, to each row.

    A method is found by its label. Cells that the paper does not have are NaN.

    Raises:
        InputError: as `read_published`.
    """
    published = read_published(csv)
    keys, cells = _by_cell(published)
    metrics = [column for column in published if f"{column}_mean" in summary]

    def cell(row: dict[str, Any], metric: str) -> float:
        names = {"dataset": row["dataset"], "horizon": row["horizon"], "method": row["label"]}
        names["backbone"] = row["backbone"].split(" x")[0]
        names["setting"] = "full" if row["train_percent"] == 100 else f"few-shot-{row['train_percent']}pct"
        return cells.get(tuple(names[key] for key in keys), {}).get(metric, math.nan)

    joined = summary.copy()
    for metric in metrics:
        paper = pd.Series([cell(row, metric) for row in summary.to_dict("records")], index=summary.index, dtype=float)
        joined[f"{metric}_paper"] = paper
        joined[f"{metric}_gap"] = (summary[f"{metric}_mean"] - paper) / paper * 100
    return joined


def published_numbers(csv: Path) -> dict[tuple[str, int, str], dict[str, float]]:
    """The paper's numbers by (data set, horizon, method's label), for cells that have none of ours.

    Raises:
        InputError: as `read_published`.
    """
    _, cells = _by_cell(read_published(csv))
    return {cell: {name: row[name] for name in FORECAST_ERRORS if name in row} for cell, row in cells.items()}


def paired_difference(ours: pd.DataFrame, reference: pd.DataFrame, metric: str) -> tuple[float, float, int]:
    """Mean of ours - reference over common seeds, half the width of its 95 % t interval, and the number of pairs.

    Both frames are rows of `collect`, of one cell each. The mean is NaN without a common seed, the half width with
    fewer than two.
    """
    pairs = paired(ours, reference, metric)
    if len(pairs) < 2:
        return pairs.mean(), math.nan, len(pairs)
    estimate = of_pairs(pairs.tolist())
    return estimate.value, estimate.ends()[1] - estimate.value, len(pairs)


def paired(ours: pd.DataFrame, reference: pd.DataFrame, metric: str) -> pd.Series:
    """Ours - reference by seed, for the seeds that both have; both frames are rows of `collect`, of one cell each."""
    ours, reference = (frame[["seed", metric]].set_index("seed")[metric] for frame in (ours, reference))
    return ours.sub(reference).dropna()


def relative_changes(ours: pd.DataFrame, reference: pd.DataFrame, metric: str) -> pd.Series:
    """(ours - reference) / reference in per cent, for each `PAIR` that both have.

    Both frames are rows of `collect`, of one variant and language model each.
    """
    ours, reference = (frame[[*PAIR, metric]].set_index(PAIR)[metric] for frame in (ours, reference))
    return ((ours - reference) / reference * 100).dropna()
