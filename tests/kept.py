"""The kept results of `config/cpu.yaml`, from the experiments whose numbers pages show."""

import json
from pathlib import Path

import pandas as pd

from docs.kept_numbers import UNREAD
from timellama.reports.reference.numbers import planned_results

APART = ("search", "tokens")  # other settings of the methods that pages show


def kept_runs(root: Path) -> pd.DataFrame:
    """One row per run, without the runs that only `APART` has."""
    folder = root / "docs/reference/cpu"
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    frame = pd.read_csv(folder / "metrics.csv", usecols=lambda name: not name.startswith(UNREAD), low_memory=False)
    return frame[frame["result"].isin(planned_results(plan, without=APART))]


def table_1_runs(root: Path) -> pd.DataFrame:
    """Published settings, six blocks, the look-back of table 1."""
    runs = kept_runs(root)
    context = runs["run/dataset"].map({"ILI": 96}).fillna(512)
    return runs[(runs["run/backbone/blocks"].fillna(6) == 6) & (runs["run/context"] == context)]


def searched_runs(root: Path) -> pd.DataFrame:
    """One row per run with searched settings; no trials."""
    frame = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    return frame[frame["run/trials"].notna()]


def errors(
    runs: pd.DataFrame, variant: str, horizon: int, *, percent: int = 100, dataset: str = "ETTh1", error: str = "mse"
) -> pd.Series:
    """A test error per seed."""
    same = (runs["run/variant"] == variant) & (runs["run/dataset"] == dataset) & (runs["run/horizon"] == horizon)
    return runs[same & (runs["run/train_percent"] == percent)].set_index("run/seed")[error].sort_index()
