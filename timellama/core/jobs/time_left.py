"""The time left, on the progress bars of Snakemake's logger `rich`, which by itself shows the elapsed time."""

from collections.abc import Iterable
from typing import Any

from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text


class TimeLeft(ProgressColumn):
    """How long the remaining jobs of a bar take if they take as long as those that are done.

    Rich's own estimate uses the last 30 seconds, in which perhaps no training ends.
    """

    def render(self, task: Task) -> Text:
        """`0:12:30 left`; empty before the first job is done and after the last."""
        if not task.total or not task.completed or not task.elapsed or task.finished:
            return Text("")
        seconds = round(task.elapsed * (task.total - task.completed) / task.completed)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02}:{seconds:02} left")


def show(handlers: Iterable[Any]) -> None:
    """Adds the time left to the bars of each of Snakemake's log handlers that has bars."""
    for handler in handlers:
        progress = getattr(handler, "progress", None)
        if isinstance(progress, Progress):
            progress.columns = (*progress.columns, TimeLeft())
