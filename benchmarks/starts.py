"""Whether kept trainings that never validated their start would end differently now that a training does.

`python -m benchmarks.starts --results results` builds the untrained model of every kept run whose code is older than
`RULE`, as the run built it, and writes its validation loss beside the best one to `docs/reference/starts.csv`. A run
ends as it did if its best loss is below that of its start and if some loss was below the start's before the patience
ended. If the best loss came within the patience, some loss was. Otherwise the run is trained again until one is.

Data and language models have to be prepared first:
`python -m benchmarks.starts --needs | xargs snakemake -j2 --configfile config/cpu.yaml --`.
"""

import argparse
import csv
import subprocess
from collections.abc import Callable, Collection
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.commits import CONFIG, KEPT, ROOT
from timellama.core import layout
from timellama.data.m4.series import load_m4
from timellama.data.m4.windows import prepare_m4
from timellama.data.series import load_series
from timellama.data.windows import prepare
from timellama.experiments.matrix import make_matrix
from timellama.experiments.run import Run
from timellama.training.build import build
from timellama.training.device import seed_everything
from timellama.training.run import TaskParts, calendar_of, in_order
from timellama.training.scores.m4_scores import Reference
from timellama.training.train import train, validate

OUTPUT = ROOT / "docs/reference/starts.csv"
RULE = "ea07b9e33cf8f3bb0b15fe5c14ec5f9db83cba87"  # since this commit the untrained model is validated too
COLUMNS = ("result", "start", "best", "validations_to_best", "patience", "validations_to_below")


def older_than_rule(commit: str) -> bool:
    """Whether the code of `commit` does not include `RULE`. Raises CalledProcessError if the commit is not here."""
    order = ["git", "merge-base", "--is-ancestor", RULE, commit]
    found = subprocess.run(order, cwd=ROOT, check=False, capture_output=True)
    if found.returncode not in (0, 1):
        found.check_returncode()
    return found.returncode == 1


def of_older_code(kept: pd.DataFrame, *, older: Callable[[str], bool] = older_than_rule) -> pd.DataFrame:
    """The kept trainings whose commit is `older` than the rule."""
    commits = {commit for commit in kept["provenance/git_commit"].unique() if older(commit)}
    return kept[kept["provenance/git_commit"].isin(commits) & (kept["steps"] > 0)]


def parts_of(run: Run, series: Path) -> TaskParts:
    """The windows of a run, as its training uses them."""
    if run.task == "short-term":
        m4 = load_m4(series)
        return prepare_m4(m4, context=run.context, frequency=Reference.of(m4, dataset=run.dataset).frequency)
    data = in_order(load_series(series), getattr(run.options, "column_order", 0))
    sizes = {"context": run.context, "horizon": run.horizon, "train_percent": run.train_percent}
    return prepare(data, run.split, **sizes, marks=calendar_of(run, data).marks(data.time))


class Below(Exception):
    """A validation loss below that of the start; `step` is the number of steps before it."""

    def __init__(self, step: int):
        super().__init__(step)
        self.step = step


class Watch:
    """Ends a training at its first validation loss below that of its start; replaces a run's progress file."""

    due = False

    def write(self, _: str, *, step: int, best_step: int | None, **__: Any) -> None:
        """Receive what a training reports after each validation. Raises Below."""
        if best_step:
            raise Below(step)


def model_of(run: Run, *, results: Path) -> Any:
    """A run's untrained model, on one thread of the CPU."""
    torch.set_num_threads(1)
    seed_everything(run.seed, "cpu")
    folder = layout.within(results, layout.backbone_folder(run.backbone)) if run.backbone else None
    return build(run, backbone_folder=folder)


def start_of(run: Run, parts: TaskParts, *, results: Path) -> float:
    """The validation loss of a run's untrained model."""
    model, training = model_of(run, results=results), run.training
    return validate(model, parts.validation, training=training, device="cpu", precision=run.precision)[0]


def below_start(run: Run, parts: TaskParts, *, results: Path) -> int | None:
    """The first step whose validation loss is below that of the start; None if the patience ends before one is."""
    try:
        train(
            model_of(run, results=results),
            windows=parts.train,
            validation=parts.validation,
            training=run.training,
            balance_weight=run.balance_weight,
            seed=run.seed,
            device="cpu",
            precision=run.precision,
            report=Watch(),
        )
    except Below as found:
        return found.step
    return None


def row_of(of: tuple[str, Run, float, int], *, results: Path) -> dict[str, Any]:
    """A line of `starts.csv`, from a result, its run, its best validation loss, and the step of that loss."""
    result, run, best, best_step = of
    parts, patience = parts_of(run, layout.within(results, layout.SERIES, dataset=run.dataset)), run.training.patience
    between = run.training.steps(windows=len(parts.train), variates=run.variates).between_validations
    start, validations = start_of(run, parts, results=results), -(-best_step // between)
    step = below_start(run, parts, results=results) if best < start and validations > patience else None
    return {
        "result": result,
        "start": start,
        "best": best,
        "validations_to_best": validations,
        "patience": patience,
        "validations_to_below": None if step is None else -(-step // between),
    }


def asked() -> list[tuple[str, Run, float, int]]:
    """The arguments of `row_of` for each kept training of older code, in the order of `metrics.csv`."""
    runs = make_matrix(CONFIG, root=ROOT).every_run()
    planned = {layout.metrics_of(folder): run for folder, run in runs.items()}
    old = of_older_code(pd.read_csv(KEPT, low_memory=False))
    columns = zip(old["result"], old["validation_loss"], old["best_step"], strict=True)
    return [(result, planned[result], best, step) for result, best, step in columns]


def needs(runs: Collection[Run]) -> list[str]:
    """The files that Snakemake has to make first."""
    files = {layout.SERIES.format(dataset=run.dataset) for run in runs}
    files |= {f"{layout.backbone_folder(run.backbone)}/{layout.RECORD}" for run in runs if run.backbone}
    return sorted(files)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starts", description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / layout.RESULTS, help="folder of what --needs lists")
    parser.add_argument("--processes", type=int, default=2, help="runs at once, each on one thread")
    parser.add_argument("--needs", action="store_true", help="list the files that have to be prepared, and exit")
    given = parser.parse_args()
    runs = asked()
    if given.needs:
        print("\n".join(needs([run for _, run, _, _ in runs])))
        return
    with ProcessPoolExecutor(given.processes) as pool:
        found = list(pool.map(partial(row_of, results=given.results), runs))
    with OUTPUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
