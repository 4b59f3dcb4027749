"""The kept results of `config/cpu.yaml`, of the experiments whose numbers pages show."""

import json
from pathlib import Path

import pandas as pd

from timellama.reports.reference.numbers import planned_results

APART = ("search", "tokens")  # other settings of the methods that pages show


def kept_runs(root: Path) -> pd.DataFrame:
    """A row a run, without those that `APART` alone have."""
    folder = root / "docs/reference/cpu"
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    frame = pd.read_csv(folder / "metrics.csv", low_memory=False)
    return frame[frame["result"].isin(planned_results(plan, without=APART))]
