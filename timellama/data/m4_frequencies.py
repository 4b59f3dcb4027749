"""The frequencies of the M4 competition, and what a run on one of them must be.

Horizons and seasons are the competition's own (Makridakis, Spiliotis and Assimakopoulos 2020, The M4 Competition,
tables 1 and 2 and its definition of MASE). Standard library only: planning checks runs before any data are there.
"""

from dataclasses import dataclass

from timellama.errors import InputError
from timellama.specs import Run

LOSS = "smape"  # paper, table 7; sizes differ by orders of magnitude, so a squared error would train on a few series


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """`horizon` steps to forecast; `season` steps of a season in MASE and Naive2."""

    horizon: int
    season: int


FREQUENCIES = {  # by pandas alias
    "YE": Frequency(horizon=6, season=1),
    "QE": Frequency(horizon=8, season=4),
    "ME": Frequency(horizon=18, season=12),
    "W": Frequency(horizon=13, season=1),
    "D": Frequency(horizon=14, season=1),
    "h": Frequency(horizon=48, season=24),
}
# How many horizons before its end a training series is cut into windows: M4Meta.history_size of N-BEATS and
# Time-Series-Library (data_provider/m4.py). It keeps long series from outnumbering short ones. Theirs draw one cut a
# series and epoch at random; here each cut whose targets are complete is one window.
RECENT_HORIZONS = {"YE": 1.5, "QE": 1.5, "ME": 1.5, "W": 10.0, "D": 10.0, "h": 10.0}
SEASONAL = ("seasonal-naive", "hour-of-day-mean")  # methods that read whole seasons from the context


def frequency_of(*, horizon: int, season: int) -> str:
    """The pandas alias of M4's frequency with this horizon and season. Raises InputError where there is none."""
    for alias, frequency in FREQUENCIES.items():
        if frequency == Frequency(horizon=horizon, season=season):
            return alias
    known = ", ".join(f"{alias} {f.horizon}/{f.season}" for alias, f in FREQUENCIES.items())
    raise InputError(
        f"horizon is {horizon} and season {season}, but M4's frequencies have horizon/season {known}; correct "
        "`horizons` in the configuration or `season` in the catalogue"
    )


def require_m4_run(run: Run) -> None:
    """Raise InputError, naming the field and the remedy, unless `run` can be carried out on M4's series.

    The number of series is that of test and of validation windows, so no part of them can be empty; how many training
    windows there are, only the data tell.
    """
    where = f"{run.dataset}, {run.variant}"
    frequency_of(horizon=run.horizon, season=run.season)
    for name, value, wanted in (
        ("split.rule", run.split.rule, "published"),
        ("variates", run.variates, 1),
        ("train_percent", run.train_percent, 100),
        ("training.loss", run.training.loss if run.training else LOSS, LOSS),
    ):
        if value != wanted:
            raise InputError(f"{where}: {name} is {value!r}, but must be {wanted!r} on M4; set it so")
    if run.context < 1:
        raise InputError(f"{where}: context is {run.context}; it must be at least 1, the paper's is {2 * run.horizon}")
    if run.method in SEASONAL and run.context < run.season:
        raise InputError(
            f"{where}: context is {run.context}, shorter than the season of {run.season} steps that this method "
            f"repeats; lengthen it, the paper's is {2 * run.horizon}"
        )
