"""How the reader `file` reads a file, and what it repaired: the keys `reading` and `repairs` of a catalogue's entry.

Every choice that changes a number is here, so that the same entry and the same bytes give the same series.
Standard library and pydantic only: planning reads these keys.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from timellama.core.values import Distinct, Flag, Text, Whole
from timellama.data.catalogue.reading_choices import Align, Dates, Decimal, Duplicates, Fill, Missing, Separator

STEP = "step"  # the frequency of rows that are numbered and not dated: row i is at second i of 1970

FILLED_OR_MASKED = "missing cells are filled or masked, not both"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is written, and what is to be repaired in it; with the defaults nothing is repaired."""

    separator: Annotated[Separator, Field(description="What separates the cells of a text file.")] = ","
    decimal: Annotated[Decimal, Field(description="The decimal mark of a text file's numbers.")] = "."
    dates: Annotated[
        Dates, Field(description="The order of a date's parts - year-first, or which of two numbers before the year.")
    ] = "year-first"
    zone: Annotated[
        Text | None,
        Field(description="The zone of timestamps that name none, such as Europe/Berlin; the series is kept in UTC."),
    ] = None
    sheet: Annotated[Text | None, Field(description="The sheet of an Excel file that has several.")] = None
    id_column: Annotated[
        Text | None, Field(description="In a long file (one value per row), the column that names the series.")
    ] = None
    value_column: Annotated[Text | None, Field(description="In a long file, the column of the values.")] = None
    align: Annotated[
        Align | None,
        Field(
            description="For a long file whose series differ in length - common keeps the time that all of them span, "
            "all keeps the time that any of them spans, which leaves cells missing."
        ),
    ] = None
    keep: Annotated[Distinct[Text], Field(description="The only columns of values that are read; none means all.")] = ()
    drop: Annotated[Distinct[Text], Field(description="Columns that are left out.")] = ()
    sort: Annotated[Flag, Field(description="Whether rows are put in order of time.")] = False
    duplicates: Annotated[
        Duplicates | None, Field(description="What replaces rows of one timestamp - the first, the last or their mean.")
    ] = None
    fill: Annotated[
        Fill | None,
        Field(description="What replaces missing cells and rows - linear, previous (the last value) or seasonal."),
    ] = None
    missing: Annotated[
        Missing | None,
        Field(
            description="Instead of `fill` - mask leaves missing cells and rows missing; they count in no loss and "
            "in no error, and a look-back has the last value before them."
        ),
    ] = None

    @property
    def on_grid(self) -> bool:
        """Whether missing rows are found and added, which depends on the frequency."""
        return self.fill is not None or self.missing is not None

    @property
    def chosen(self) -> dict[str, object]:
        """The keys that are not at their default, as an entry and `quirks.json` have them."""
        found = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = list(value) if isinstance(value, tuple) else value
        return found


@dataclass(frozen=True, kw_only=True)
class Repairs:
    """What `reading` changed in a file, counted; a file with other counts of repairs is refused."""

    moved_rows: Annotated[Whole, Field(description="Rows that stood behind a later one and were put in order.")] = 0
    merged_rows: Annotated[Whole, Field(description="Rows that gave way to another of the same timestamp.")] = 0
    cut_rows: Annotated[
        Whole, Field(description="Rows of a long file outside the time that all series span, which were left out.")
    ] = 0
    added_rows: Annotated[Whole, Field(description="Rows that were missing and were filled or masked.")] = 0
    filled_cells: Annotated[Whole, Field(description="Cells that were filled, those of added rows included.")] = 0
    masked_cells: Annotated[
        Whole, Field(description="Cells that were left missing, those of added rows included; they count nowhere.")
    ] = 0

    @property
    def counted(self) -> dict[str, int]:
        """The counts that are not 0."""
        return {name: count for name, count in dataclasses.asdict(self).items() if count}

    @property
    def facts(self) -> dict[str, int]:
        """The counts as `quirks.json` has them: all, but for that of a mask where there is none."""
        counts = dataclasses.asdict(self)
        return counts if self.masked_cells else {name: n for name, n in counts.items() if name != "masked_cells"}

    def sentence(self, reading: Reading) -> str | None:
        """What was repaired, as text for the user; None if nothing was."""
        parts = (
            (self.moved_rows, "row", "put in order of time"),
            (self.merged_rows, "row", f"of a repeated timestamp merged ({reading.duplicates})"),
            (self.cut_rows, "row", "outside the common time cut off"),
            (self.added_rows, "missing row", "added"),
            (self.filled_cells, "cell", f"filled ({reading.fill})"),
            (self.masked_cells, "missing cell", "masked (in no loss and no error)"),
        )
        return ", ".join(f"{plural(count, what)} {done}" for count, what, done in parts if count) or None


def plural(count: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
