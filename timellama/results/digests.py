"""The digest of today's code that a number depends on: what the workflow asks for and what `metrics.json` keeps.

A run or sweep whose digest differs from that of its result is run again.
"""

from timellama.core.code_digest import code_digest
from timellama.experiments.run import Run
from timellama.training.build import entries_of

# They record what a step did, keep two steps apart or stop one; none of them changes a number.
CHANGES_NO_NUMBER = (
    "timellama.core.provenance",
    "timellama.core.lock",
    "timellama.core.interruption",
    "timellama.core.allocator",
    "timellama.core.job_state",
)


def code_of_run(run: Run) -> str:
    """Of a training and its test."""
    step = (
        "timellama.training.short_term:run_m4_experiment"
        if run.task == "short-term"
        else "timellama.training.run:run_experiment"
    )
    # What reads the data is no part of a training, but its result would be another with another reader.
    return _code(step, "timellama.data.canonicalise:normalise", *entries_of(run.method))


def code_of_sweep(method: str) -> str:
    """Of a measurement of time and memory."""
    return _code(
        "timellama.cost.efficiency:measure", "timellama.cost.efficiency_sweep:measure_sweep", *entries_of(method)
    )


def _code(*entries: str) -> str:
    return code_digest(*entries, without=CHANGES_NO_NUMBER)
