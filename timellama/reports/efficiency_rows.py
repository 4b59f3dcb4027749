"""The rows of efficiency sweeps, read back and named, for the table and the figures."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from timellama.core.errors import InputError
from timellama.cost.efficiency_sweep import MEASURED
from timellama.cost.sweep_document import SweepDocument
from timellama.reports.render.origin import name_columns
from timellama.results.aggregate import describe_backbone, describe_commit
from timellama.results.read.documents import as_result, read_metrics

# What all rows of one report must have in common, or their numbers cannot be compared.
COMMON = ("context", "horizon", "settings_of", "dtype", "threads", "processor", "device")


def read_sweeps(paths: Iterable[Path], *, methods: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all sweeps, each with the run that it belongs to, in the order of the files.

    `name` is the method's label, with the backbone where several backbones were measured.

    Raises:
        InputError: a file is absent or damaged, there are no rows, or they are not of one machine and shape.
    """
    rows = []
    for path in paths:
        document = read_metrics(path)
        swept = as_result(document, SweepDocument, path)
        run = swept.sweep.run
        common = {
            "variant": run.variant,
            "label": methods[run.variant]["label"],
            "backbone": describe_backbone(document["sweep"]["run"]["backbone"]),
            "context": run.context,
            "horizon": run.horizon,
            "settings_of": run.dataset,
            "commit": describe_commit(document["provenance"]),
        }
        rows += [row | common for row in swept.rows]
    if not rows:
        raise InputError("There are no efficiency rows to report. Give at least one sweep.")
    for key in COMMON:
        found = sorted({str(row[key]) for row in rows if key in row})  # a cell that was not started has no device
        if len(found) > 1:
            raise InputError(
                f"The efficiency rows have different {key}: {', '.join(found)}. They cannot be compared: delete "
                "results/efficiency and measure them together."
            )
    devices = [row["device"] for row in rows if "device" in row]
    if not devices:
        raise InputError("No efficiency cell could be measured. The log of each sweep in results/logs says why.")
    names = name_columns(pd.DataFrame(rows)[["variant", "label", "backbone"]])
    return [row | {"device": devices[0], "name": name} for row, name in zip(rows, names, strict=True)]


def place(row: Mapping[str, Any], stage: str, field: str) -> tuple[float | None, bool]:
    """A row's number for a stage (`forward`, `training`), and whether it was measured and not predicted.

    `field` is `seconds` or `bytes`. Where the first call was the only one, it is used for the median. None where there
    is neither a measurement nor a prediction.
    """
    if numbers := row.get(stage):
        return (numbers["peak"] if field == "bytes" else numbers["seconds"] or numbers["first"]), True
    predicted = row.get(f"{stage}_predicted")
    return (predicted[field] if predicted and row[f"{stage}_status"] != MEASURED else None), False


def order(values: Sequence[Any]) -> list[Any]:
    """The distinct values, sorted."""
    return sorted(set(values))
