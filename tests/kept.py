"""The kept results of `config/cpu.yaml`, of the experiments whose numbers pages show."""

import json
from pathlib import Path

import pandas as pd

APART = ("search", "tokens")  # other settings of the methods that pages show


def kept_runs(root: Path) -> pd.DataFrame:
    """A row a run, without those that `APART` alone have."""
    folder = root / "docs/reference/cpu"
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))["experiments"]
    shown = {result for name, entry in plan.items() if name not in APART for result in entry["results"]}
    frame = pd.read_csv(folder / "metrics.csv", low_memory=False)
    return frame[frame["result"].isin(shown)]
