"""The table of the catalogue's data sets: the paper's table 6."""

from collections.abc import Mapping, Sequence
from numbers import Number
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError
from timellama.reports.render.cells import Block, Cell, Row, Table
from timellama.reports.render.markup import MISSING, listed
from timellama.reports.report import ReportContext
from timellama.results.aggregate import OTHER_NAMES, read_published

FREQUENCIES = {  # pandas aliases of the catalogue, in the paper's words
    "10min": "10 min",
    "15min": "15 min",
    "h": "1 hour",
    "D": "Daily",
    "W": "Weekly",
    "7D": "1 week",
    "ME": "Monthly",
    "QE": "Quarterly",
    "YE": "Yearly",
}


def table(given: ReportContext) -> Table:
    """One line per data set. Raises InputError as `dataset_table` does."""
    return dataset_table(given.facts["datasets"], published=given.published[0])


def dataset_table(rows: Sequence[Mapping[str, Any]], *, published: Path, notes: Sequence[str] = ()) -> Table:
    """The paper's table 6: what each data set is, ours above the paper's line where it has one.

    A row has `dataset`, `variates`, `horizons` (text), `train`, `val`, `test`, `frequency` and `domain`. The counts
    of the paper are of windows of 96 rows, which for validation and test begin up to 96 rows before the part.

    Raises:
        InputError: a row lacks one of these, or as `read_published`.
    """
    headings = {
        "variates": "Variates",
        "horizons": "Horizons",
        "train": "Train",
        "val": "Validation",
        "test": "Test",
        "frequency": "Frequency",
        "domain": "Domain",
    }
    paper = {row["dataset"]: row for row in read_published(published, key="dataset").to_dict("records")}

    def cells(row: Mapping[str, Any]) -> Row:
        texts = {**row, "frequency": FREQUENCIES.get(row["frequency"], row["frequency"])}
        return tuple(
            Cell(
                text=str(texts[key]).replace("|", ", ") or MISSING,
                value=texts[key] if isinstance(texts[key], Number) else None,
            )
            for key in headings
        )

    entries = []
    for row in rows:
        lacking = [key for key in ("dataset", *headings) if key not in row]
        if lacking:
            raise InputError(
                f"The facts {dict(row)} lack {listed(lacking)}: a row of the table of data sets needs them."
            )
        entry = [(Cell(text=row["dataset"]), Cell(text="ours"), *cells(row))]
        theirs = paper.get(row["dataset"], paper.get(OTHER_NAMES.get(row["dataset"], "")))
        if theirs:
            entry.append((Cell(), Cell(text="paper"), *cells(theirs)))
        entries.append(tuple(entry))
    header = (tuple(Cell(text=text) for text in ("Data set", "", *headings.values())),)
    return Table(
        columns="llrlrrrll",
        blocks=(Block(header=header, groups=(tuple(entries),)),),
        caption="Data sets: number of variates, horizons and sizes of the parts. Below ours is the line of the "
        "paper's table 6.",
        label="tab:datasets",
        notes=(
            "The counts of the long-term sets are windows of 96 rows; those of validation and test begin up to 96 rows "
            "before the part. The paper's counts of ILI are windows of 60 rows. A dash: not in this configuration.",
            *notes,
        ),
    )
