"""A report as data: its name, its title and caption, what it needs and who builds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timellama.core.layout import METRICS

MAIN = ("long_term", "few_shot")  # the first that has results is the main table of the page of a run
EVERY = "*"  # as an experiment: all those of the configuration


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a report is made from.

    `experiments` are keys of the configuration; a report is made where the configuration has one of them, or always
    where it needs none or they are `optional`. `runs` is the `module:function` that chooses among their runs, given
    the plan and the data set of a report with `{dataset}` in its name; without it all are taken. `file` is read from
    each run. With `intervals` the report is made where the configuration also has `intervals: true`. `published` are
    files of the paper's numbers. A report `of_paper` is about the paper's data sets only, and is left out where a
    configuration has none of them. `datasets` and `failures` request the catalogue's facts and the absent results.
    """

    experiments: tuple[str, ...] = ()
    optional: bool = False
    runs: str = ""
    file: str = METRICS
    intervals: bool = False
    published: tuple[str, ...] = ()
    of_paper: bool = False
    datasets: bool = False
    failures: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """A table (its name begins with `table_`) or a figure.

    Attributes:
        name: the file's name, without ending; `{dataset}` in it makes one figure per data set.
        title: on the page of the reports, which sorts by it.
        caption: how to read it, in two or three sentences of reStructuredText, on the same page.
        needs: what it is made from.
        build: `module:function` of the builder. It takes a `ReportContext`. For a table it returns a `cells.Table`, or
            the texts by file ending (`.tex`, `.md`, `.html`, `.csv`), for a figure the matplotlib figure and the remark
            on it, which is written beside it.
        lead: the first sentence of a table's own caption, for a builder that several reports share.
        dataset: filled in for a name with `{dataset}`.
    """

    name: str
    title: str
    caption: str
    needs: Needs
    build: str
    lead: str = ""
    dataset: str | None = None

    @property
    def is_table(self) -> bool:
        """Whether it is written as text, not drawn."""
        return self.name.startswith("table_")


@dataclass(frozen=True, kw_only=True)
class ReportContext:
    """What a builder is called with: the existing files, by experiment, and what else the report needs.

    `facts` holds `configuration`, `backbone`, `methods` (label and floor by variant), `generated` data sets, `remark`
    (how many results are absent, or nothing), for a figure `mark` (the same in a few words, drawn in it), for one
    experiment `planned` cells and `not_run` methods, and what `Needs` requests.
    """

    report: Report
    files: Mapping[str, Sequence[Path]]
    published: Sequence[Path] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """The files of all experiments, each once."""
        return list(dict.fromkeys(path for of in self.files.values() for path in of))
