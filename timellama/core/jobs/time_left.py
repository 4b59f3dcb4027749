"""The time that is left, on the progress bars of Snakemake's logger `rich`, which by itself shows the time gone by."""

from collections.abc import Iterable
from typing import Any

from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text


class TimeLeft(ProgressColumn):
    """What the jobs of a bar still take if they take as long as those that are done.

    Rich's own estimate looks at the last 30 seconds, in which no training may end.
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
    """Adds the time left to the bars of those of Snakemake's log handlers that have bars."""
    for handler in handlers:
        progress = getattr(handler, "progress", None)
        if isinstance(progress, Progress):
            progress.columns = (*progress.columns, TimeLeft())
