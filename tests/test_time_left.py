"""What the progress bars say about the time left."""

import logging

import pytest
from rich.console import Console
from rich.progress import Progress

from timellama.core.jobs import time_left


@pytest.mark.parametrize(
    ("total", "completed", "elapsed", "text"),
    [
        (36, 12, 1800, "1:00:00 left"),
        (4, 3, 20, "0:00:07 left"),
        (36, 0, 1800, ""),
        (0, 0, 1800, ""),
        (36, 36, 1800, ""),
    ],
)
def test_remaining_jobs_are_assumed_to_take_as_long_as_those_done(total, completed, elapsed, text):
    now = 0.0
    progress = Progress(get_time=lambda: now, disable=True)
    number = progress.add_task("train", total=total)
    now = elapsed
    progress.update(number, completed=completed)
    (task,) = progress.tasks
    assert time_left.TimeLeft().render(task).plain == text


def test_the_bars_of_snakemake_get_the_time_left_and_other_handlers_are_left_alone():
    plain = logging.StreamHandler()
    bars = logging.StreamHandler()
    bars.progress = Progress(console=Console(width=80), disable=True)
    before = bars.progress.columns
    time_left.show([plain, bars])
    assert bars.progress.columns[:-1] == before and isinstance(bars.progress.columns[-1], time_left.TimeLeft)
