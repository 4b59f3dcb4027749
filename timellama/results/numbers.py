"""The numbers behind a table, one row a number, for people who go on in pandas or R."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

COLUMNS = (
    *("data_set", "horizon", "look_back", "train_percent", "method", "variant", "backbone", "metric"),
    *("mean", "std", "seeds", "windows", "published", "commit"),
)


def numbers_of(summary: pd.DataFrame, metrics: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """A row a cell and metric, with the columns `COLUMNS`, of the rows of `aggregate.summarise`.

    `mean` is over `seeds`, and `std` their standard deviation (divisor n - 1), both unrounded. `windows` are those of
    the test part, `published` is the paper's number. What there is not is None: `std` of one seed, `published` where
    the paper has none, horizon and look-back of a row over several data sets. Several seeds or commits are joined by
    a space.
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
                }
            )
    return tuple(rows)


def _there(value: float) -> float | None:
    return None if math.isnan(value) else value
