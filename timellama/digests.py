"""The digest of today's code that a number hangs on: what the workflow asks for and what `metrics.json` keeps.

A run or sweep whose digest differs from that of its result is made again.
"""

from timellama.build import modules_of
from timellama.provenance import source_digest
from timellama.specs import Run


def code_of_run(run: Run) -> str:
    """Of a training and its test."""
    step = "timellama.short_term" if run.task == "short-term" else "timellama.experiment"
    # What reads the data is no part of a training, but its result would be another with another reader.
    return source_digest(step, "timellama.data.normalise", *modules_of(run.method))


def code_of_sweep(method: str) -> str:
    """Of a measurement of time and memory."""
    return source_digest("timellama.efficiency", "timellama.efficiency_sweep", *modules_of(method))
