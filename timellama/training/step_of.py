"""Which function carries a run out."""

from timellama.experiments.run import Run
from timellama.methods.registry import method_of
from timellama.methods.series_method import reads_whole_series


def step_of(run: Run) -> str:
    """As `module:function`: planning needs its digest and must not import it."""
    if run.task != "short-term":
        return "timellama.training.run:run_experiment"
    if reads_whole_series(method_of(run.method)):
        return "timellama.training.whole_series:run_whole_series"
    return "timellama.training.short_term:run_m4_experiment"
