"""Losses and the learning rate over the steps of training."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from timellama.core.errors import InputError
from timellama.reports.figures import of_runs
from timellama.reports.figures.panels import legend, panels
from timellama.reports.render import style
from timellama.reports.report import ReportContext
from timellama.results.read.run_files import read_rows

READING = "A line is a seed. A mark with a black edge is at the lowest validation loss, whose weights are tested."


def figure(given: ReportContext) -> tuple[Figure, str]:
    """The figure of one data set, and the remark on it.

    Raises InputError as `of_runs.require_every_step` and `draw_learning_curves` do.
    """
    if not given.paths:
        return of_runs.without_results("learning_curves", facts=given.facts)
    for path in given.paths:
        of_runs.require_every_step(path)
    labelled = of_runs.labelled(given.paths, methods=given.facts["methods"])
    drawn = draw_learning_curves(labelled, title=of_runs.document_of(given.paths[0])["run"]["dataset"])
    return drawn, of_runs.remark(given.paths, facts=given.facts, reading=READING, of_test=False)


def draw_learning_curves(runs: Sequence[tuple[str, Path]], *, title: str) -> Figure:
    """Training loss, validation loss and learning rate over the steps, a colour per label; its runs are its seeds.

    The lowest validation loss, whose weights are tested, is marked. Methods that train nothing have no line.

    Raises:
        InputError: a file cannot be read, or no run has trained.
    """
    fields = {"train_loss": "training loss", "validation_loss": "validation loss", "learning_rate": "learning rate"}
    histories = [(label, read_rows(path, ["step", *fields])) for label, path in runs]
    histories = [(label, history) for label, history in histories if len(history)]
    if not histories:
        raise InputError(f"{title}: no run has trained, so there is no learning curve. Give a method that trains.")
    looks = style.looks([label for label, _ in histories])
    with style.theme():
        figure, axes = panels(len(fields), height=2.1)
        for axis, (field, name) in zip(axes, fields.items(), strict=True):
            for label, history in histories:
                look = looks[label]
                axis.plot(history["step"], history[field], color=look.color, linestyle=look.linestyle, label=label)
                if field == "validation_loss":
                    best = history.loc[history[field].idxmin()]
                    axis.plot(best["step"], best[field], look.marker, color=look.color, markeredgecolor="black")
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axis.set_xlabel("step")
            axis.set_ylabel(name)
        legend(figure, axes[0], title=title)
    return figure
