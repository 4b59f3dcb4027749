"""What a run on a frequency of the M4 competition must be (paper, table 2)."""

from timellama.core.errors import InputError
from timellama.data.m4.frequencies import frequency_of
from timellama.experiments.run import Run

LOSS = "smape"  # paper, table 7; sizes differ by orders of magnitude, so a squared error would train on a few series


def require_m4_run(run: Run) -> None:
    """Raise InputError, naming the field and the remedy, unless `run` can be carried out on M4's series.

    There are as many test windows and as many validation windows as series, so neither part can be empty; only the data
    show how many training windows there are.
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
