"""The numbers behind a table, one per row, for further work in pandas or R.

Each row of `numbers_of` is also an evaluation summary of fev (github.com/autogluon/fev), whose `leaderboard` and
`pairwise_comparison` read the rows of one metric unchanged.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

OWN = (  # the columns of every flat row; a table of other things than errors adds its own
    *("data_set", "horizon", "look_back", "train_percent", "method", "variant", "backbone", "metric"),
    *("mean", "std", "seeds", "windows", "published", "commit"),
)
COLUMNS = (
    *OWN,
    *("model_name", "dataset_path", "dataset_config", "max_context_length", "eval_metric", "quantile_levels"),
    *("test_error", "training_time_s", "inference_time_s", "num_forecasts", "trained_on_this_dataset", "fev_version"),
)
FEV = "0.10.0"  # the version of fev whose columns these are


def numbers_of(summary: pd.DataFrame, metrics: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """One row per cell and metric, with the columns `COLUMNS`, from the rows of `aggregate.summarise`.

    `mean` is over `seeds`, and `std` is their standard deviation (divisor n - 1), both unrounded. `windows` are those
    of the test part, `published` is the paper's number. Absent values are None: `std` of one seed, `published` if the
    paper has none, horizon and look-back of a row over several data sets. Several seeds or commits are joined by a
    space.

    In fev's columns, a task is a data set, share of the training rows, horizon, look-back and metric; fev fills in what
    it does not have, such as ids and covariates. Times are means over seeds, in seconds, of the whole test part.
    """
    rows = []
    for cell in summary.to_dict("records"):
        same = {
            "data_set": cell["dataset"],
            "horizon": cell["horizon"] or None,
            "look_back": cell["context"] or None,
            "train_percent": cell["train_percent"],
            "method": cell["label"],
            "variant": cell["variant"],
            "backbone": cell["backbone"] or None,
        }
        for metric in metrics:
            rows.append(
                {
                    **same,
                    "metric": metric,
                    "mean": cell[f"{metric}_mean"],
                    "std": _there(cell[f"{metric}_std"]),
                    "seeds": " ".join(str(seed) for seed in cell["seeds"]),
                    "windows": cell["n_windows"],
                    "published": _there(cell.get(f"{metric}_paper", math.nan)),
                    "commit": " ".join(cell["commits"]),
                    **_summary_of_fev(cell, metric),
                }
            )
    return tuple(rows)


def _summary_of_fev(cell: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """The columns of fev's evaluation summaries that are not among ours."""
    backbone = f" {cell['backbone']}" if cell["backbone"] else ""
    return {
        "model_name": f"{cell['variant']}{backbone}",
        "dataset_path": cell["dataset"],
        "dataset_config": f"train-{cell['train_percent']}",
        "max_context_length": cell["context"] or None,
        "eval_metric": metric.upper(),
        "quantile_levels": "[]",  # point forecasts
        "test_error": cell[f"{metric}_mean"],
        "training_time_s": _there(cell.get("seconds_train", math.nan)),
        "inference_time_s": _there(cell.get("seconds_evaluate", math.nan)),
        "num_forecasts": cell["n_windows"],
        "trained_on_this_dataset": False,  # fev's word for a model that may have seen the test part
        "fev_version": FEV,
    }


def _there(value: float) -> float | None:
    return None if math.isnan(value) else value
