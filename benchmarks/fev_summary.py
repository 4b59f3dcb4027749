"""What fev computes from a made-up file in our format: `python -m benchmarks.fev_summary` writes `tests/fev.json`.

The package fev needs an older huggingface_hub than ours, so it is installed into a separate folder, which the process
that runs this finds first (`COMMAND`). Reference: Shchur et al. 2025 (arXiv 2509.26468).
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests import made_up
from timellama.reports.render.table_csv import written
from timellama.results.numbers import FEV, numbers_of

COMMAND = f"pip install --target build/fev fev=={FEV} && PYTHONPATH=build/fev python -m benchmarks.fev_summary"
KEPT = Path(__file__).resolve().parents[1] / "tests" / "fev.json"
SCORES = ("win_rate", "skill_score", "median_training_time_s")


def summary() -> pd.DataFrame:
    """Three methods on three data sets; one method is sometimes the best and sometimes the worst."""
    made = made_up.cells("ABC")
    made.loc[made["variant"] == "dlinear", "mse_mean"] *= np.linspace(0.7, 2, 6)
    return made


def file_of(made: pd.DataFrame) -> str:
    """The content of the file that is written for a table of these rows."""
    return written(numbers_of(made, ["mse"]))


def measured() -> dict[str, Any]:
    """The kept document: the file, fev's leaderboard and its pairwise comparisons of methods; needs fev."""
    import fev

    text = file_of(summary())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        file.write_text(text, encoding="utf-8")
        board = fev.leaderboard(str(file), baseline_model="seasonal-naive")
        compared = fev.pairwise_comparison(str(file))
    return {
        "fev": fev.__version__,
        "command": COMMAND,
        "file": text.splitlines(),
        "leaderboard": {name: {score: float(scores[score]) for score in SCORES} for name, scores in board.iterrows()},
        "pairwise": [[*names, float(rate)] for names, rate in compared["win_rate"].items()],
    }


if __name__ == "__main__":
    KEPT.write_text(json.dumps(measured(), indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{KEPT}\n")
