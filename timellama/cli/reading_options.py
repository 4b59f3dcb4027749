"""The options that say how a file of one's own is read, which `data add` and `bench` share."""

from typing import Annotated

import typer

from timellama.core.errors import InputError
from timellama.data.files.reading_choices import Align, Decimal, Duplicates, Fill, Missing, Separator

TimeColumn = Annotated[str | None, typer.Option(help="The column of time, where it is not clear.")]
DayFirst = Annotated[
    bool | None, typer.Option("--day-first/--month-first", help="The order of dates such as 02/03/2024.")
]
Zone = Annotated[
    str | None, typer.Option(help="The zone of stamps that name none: Europe/Berlin. They are kept in UTC.")
]
SeparatorOption = Annotated[
    Separator | None, typer.Option(help="What parts the cells of a text file, where it is not clear.")
]
DecimalOption = Annotated[Decimal | None, typer.Option(help="The decimal mark, where it is not clear.")]
Sheet = Annotated[str | None, typer.Option(help="The sheet of an Excel file that has several.")]
IdColumn = Annotated[str | None, typer.Option(help="In a long file, the column that names the series.")]
ValueColumn = Annotated[str | None, typer.Option(help="In a long file, the column of the values.")]
AlignOption = Annotated[
    Align | None,
    typer.Option(help="Of series that differ in length, keep the time that all span, or that any does."),
]
Columns = Annotated[list[str] | None, typer.Option(help="Read this column of values and no other; may be repeated.")]
Drop = Annotated[list[str] | None, typer.Option(help="Leave this column out; may be repeated.")]
Sort = Annotated[bool, typer.Option("--sort", help="Put the rows in order of time.")]
DuplicatesOption = Annotated[
    Duplicates | None, typer.Option(help="What stands for the rows of one stamp: the first, the last, their mean.")
]
FillOption = Annotated[
    Fill | None,
    typer.Option(help="Fill missing cells and rows: a line, the previous value, the value a season before."),
]
MissingOption = Annotated[
    Missing | None, typer.Option(help="Leave missing cells and rows missing: they count in no loss and in no error.")
]
Frequency = Annotated[str | None, typer.Option(help="The step from row to row: h, 15min, D, B, 7D, MS.")]
Season = Annotated[int | None, typer.Option(min=1, help="Steps of a season; a day in hourly data.")]
Shares = Annotated[str, typer.Option("--split", help="Shares of training, validation and test rows.")]
AcceptQuirks = Annotated[
    bool, typer.Option("--accept-quirks", help="Declare repeated stamps, gaps and -9999 as meant.")
]
SPLIT = "0.7/0.1/0.2"  # Autoformer's, as the paper has it for its data sets that have no months


def shares_of(text: str) -> tuple[float, float, float]:
    """The three shares of `--split`. Raises InputError for anything else."""
    try:
        shares = tuple(float(part) for part in text.split("/"))
    except ValueError:
        shares = ()
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise InputError(f"--split is {text!r}; it must be three shares above 0 that add up to 1, such as 0.7/0.1/0.2")
    return shares
