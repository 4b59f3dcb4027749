"""The Python interface: `timellama.bench(df, horizon=28)` and `timellama.load_run(path)`.

The parameters are those of the command `timellama bench`, which does the same for a file. The workflow trains here too.
"""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from timellama.core.errors import InputError
from timellama.core.layout import RESULTS
from timellama.core.shipped import METHODS as METHODS_FILE
from timellama.core.shipped import shipped
from timellama.data.files.detect import Asked
from timellama.data.splits import Split
from timellama.experiments.methods_file import load_methods
from timellama.own_data.bench import SPLIT, Wish, name_of, prepare
from timellama.own_data.frames import write_frame
from timellama.own_data.outcome import PAGE, Outcome, TrainedRun, carried_out, load
from timellama.own_data.plan import METHODS
from timellama.results.read.runs import find_run

OUTPUT = "workflow.log"  # what Snakemake prints
NAME = "data"  # the name of a DataFrame's data if no other is given


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """What a bench found.

    Attributes:
        leaderboard: one row per method, in order of test MSE. Columns: `mse` and `mae` on standardised values; `skill`,
            1 - MSE / MSE of the seasonal naive forecast, with the ends `skill_low` and `skill_high` of its 95 %
            interval; `validation_mse`; `seconds` of training and test; `chosen`, the method with the lowest validation
            error.
        best: the chosen method.
        folder: where everything is: bench.yaml, results, reports, report.html.
    """

    leaderboard: pd.DataFrame
    best: str
    folder: Path
    outcome: Outcome

    def forecast(self, data: pd.DataFrame | None = None) -> pd.DataFrame:
        """The next H rows by the chosen method, in long format: `unique_id`, `ds`, `method`, `forecast`, quantiles.

        data: rows, wide or long; the forecast starts after the last one. None: the data of the bench.
        Raises InputError for data that the method cannot read.
        """
        run = self.outcome.best
        return run.framed(self.outcome.next_steps()) if data is None else run.forecast(data)

    @property
    def report(self) -> Path:
        """The page with the leaderboard, the forecast and their provenance."""
        return self.folder / PAGE


def bench(
    data: pd.DataFrame | Path | str,
    *,
    horizon: int,
    context: int | None = None,
    methods: Sequence[str] = METHODS,
    budget: float = Wish.seconds,
    seeds: int = 1,
    folder: Path | str | None = None,
    name: str | None = None,
    split: tuple[float, float, float] = (SPLIT.train, SPLIT.validation, SPLIT.test),
    frequency: str | None = None,
    season: int | None = None,
    fill: str | None = None,
    missing: str | None = None,
    sort: bool = False,
    duplicates: str | None = None,
    accept_quirks: bool = False,
    on_progress: Callable[[str], None] = lambda text: None,
) -> BenchResult:
    """Say which method forecasts the data best, and by how much.

    Args:
        data: a DataFrame, wide (timestamps as index or in one column) or long (`unique_id`, `ds`, `y`), or a file.
        horizon: H, how many rows to forecast.
        context: T, how many rows a forecast looks back at; None chooses.
        methods: keys of config/methods.yaml. The untrained floors are added.
        budget: seconds for all trainings together.
        seeds: trainings of each method, starting at seed 0.
        folder: where everything is written, and where the same call resumes; None: a new temporary folder.
        name: the name of the data; None: the file's name, or `data`.
        split: shares of training, validation and test rows, in order of time.
        frequency, season: the step as pandas' alias, and its steps per season; None detects them.
        fill, missing, sort, duplicates, accept_quirks: repairs, as in the command; nothing is repaired by default.
        on_progress: receives what is being timed.

    Raises:
        InputError: if the data cannot be read or leave no windows, if a method is not known, or if no run of the bench
            ended.
    """
    folder = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="timellama-bench-"))
    if isinstance(data, pd.DataFrame):
        file = folder / f"{name or NAME}.parquet"
        write_frame(data, file)
    elif isinstance(data, (str, Path)):
        file = Path(data)
    else:
        raise InputError(f"data is a {type(data).__name__}; give a pandas DataFrame or the path of a file")
    wish = Wish(
        horizon=horizon,
        context=context,
        methods=tuple(methods),
        seeds=tuple(range(seeds)),
        seconds=budget,
        split=Split(rule="ratio", train=split[0], validation=split[1], test=split[2]),
        frequency=frequency,
        season=season,
        accept_quirks=accept_quirks,
    )
    asked = Asked(fill=fill, missing=missing, sort=sort, duplicates=duplicates)
    made = prepare(file, wish, asked=asked, folder=folder, name=name or name_of(file), on_progress=on_progress)
    outcome, code = carried_out(made, output=folder / OUTPUT)
    if code:
        warnings.warn(f"not all runs ended: see {folder / OUTPUT}; the same call resumes", stacklevel=2)
    return BenchResult(leaderboard=outcome.leaderboard(), best=outcome.method, folder=folder, outcome=outcome)


def load_run(path: Path | str, *, device: str = "auto") -> TrainedRun:
    """A finished run, ready to forecast. `path` is its folder, or a unique part of its path under `results/`.

    Raises InputError if there is none, or if a file that it needs is absent, damaged or a different one.
    """
    finished = find_run(str(path), results=Path(RESULTS))
    known = load_methods(shipped(METHODS_FILE), added={}, origin=METHODS_FILE)
    variant = finished.run.variant
    return load(finished, label=known[variant].label if variant in known else variant, device=device)
