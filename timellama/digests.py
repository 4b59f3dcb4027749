"""The digest of today's code that a number depends on: what the workflow asks for and what `metrics.json` keeps.

A run or sweep whose digest differs from that of its result is run again.
"""

from timellama.build import entries_of
from timellama.core.code_digest import code_digest
from timellama.specs import Run

# They record what a step did, keep two steps apart or stop one; none of them changes a number.
CHANGES_NO_NUMBER = ("timellama.provenance", "timellama.lock", "timellama.interruption", "timellama.allocator")


def code_of_run(run: Run) -> str:
    """Of a training and its test."""
    step = "timellama.short_term:execute_m4" if run.task == "short-term" else "timellama.experiment:execute"
    # What reads the data is no part of a training, but its result would be another with another reader.
    return _code(step, "timellama.data.normalise:normalise", *entries_of(run.method))


def code_of_sweep(method: str) -> str:
    """Of a measurement of time and memory."""
    return _code("timellama.efficiency:measure", "timellama.efficiency_sweep:measure_sweep", *entries_of(method))


def _code(*entries: str) -> str:
    return code_digest(*entries, without=CHANGES_NO_NUMBER)
