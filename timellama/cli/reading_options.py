"""The options that say how a user's file is read, shared by `data add` and `bench`."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from timellama.core.errors import InputError
from timellama.data.catalogue.reading_choices import Align, Decimal, Duplicates, Fill, Missing, Separator

READING = {  # the fields of `Asked`, as options
    "time_column": Annotated[str | None, typer.Option(help="The time column, if it is not clear.")],
    "day_first": Annotated[
        bool | None, typer.Option("--day-first/--month-first", help="The order of dates such as 02/03/2024.")
    ],
    "zone": Annotated[
        str | None, typer.Option(help="The zone of timestamps that name none: Europe/Berlin. They are kept in UTC.")
    ],
    "separator": Annotated[
        Separator | None, typer.Option(help="What separates the cells of a text file, if it is not clear.")
    ],
    "decimal": Annotated[Decimal | None, typer.Option(help="The decimal mark, if it is not clear.")],
    "sheet": Annotated[str | None, typer.Option(help="The sheet of an Excel file that has several.")],
    "id_column": Annotated[str | None, typer.Option(help="In a long file, the column that names the series.")],
    "value_column": Annotated[str | None, typer.Option(help="In a long file, the column of the values.")],
    "align": Annotated[
        Align | None,
        typer.Option(help="For series that differ in length, keep the time that all cover, or that any covers."),
    ],
    "columns": Annotated[list[str] | None, typer.Option(help="Read only this column of values; may be repeated.")],
    "drop": Annotated[list[str] | None, typer.Option(help="Leave this column out; may be repeated.")],
    "sort": Annotated[bool, typer.Option("--sort", help="Put the rows in order of time.")],
    "duplicates": Annotated[
        Duplicates | None, typer.Option(help="How to merge rows with the same timestamp: first, last or their mean.")
    ],
    "fill": Annotated[
        Fill | None,
        typer.Option(help="Fill missing cells and rows: a line, the previous value, the value one season before."),
    ],
    "missing": Annotated[
        Missing | None,
        typer.Option(help="Leave missing cells and rows missing: no loss and no error counts them."),
    ],
}
Frequency = Annotated[str | None, typer.Option(help="The time step between rows: h, 15min, D, B, 7D, MS.")]
Season = Annotated[int | None, typer.Option(min=1, help="Number of steps in a season; a day in hourly data.")]
Shares = Annotated[str, typer.Option("--split", help="Shares of training, validation and test rows.")]
AcceptQuirks = Annotated[
    bool, typer.Option("--accept-quirks", help="Declare duplicate timestamps, gaps and -9999 as intended.")
]
SPLIT = "0.7/0.1/0.2"  # Autoformer's, as in the paper for its data sets that are not split by months


def shares_of(text: str) -> tuple[float, float, float]:
    """The three shares of `--split`. Raises InputError for anything else."""
    try:
        shares = tuple(float(part) for part in text.split("/"))
    except ValueError:
        shares = ()
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise InputError(f"--split is {text!r}; it must be three shares above 0 that add up to 1, such as 0.7/0.1/0.2")
    return shares


def reads_a_file(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `READING` instead of its parameter `asked`, which receives them as an `Asked`."""
    own = inspect.signature(command)
    parameters = []
    for parameter in own.parameters.values():
        if parameter.name == "asked":
            parameters += [  # None: not given, so that the default of `Asked` applies
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
                for name, kind in READING.items()
            ]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        from timellama.data.files.detect import Asked

        named = {name: value for name in READING if (value := given.pop(name)) is not None}
        fields = {name: tuple(value) if isinstance(value, list) else value for name, value in named.items()}
        command(**given, asked=Asked(**fields))

    with_options.__signature__ = own.replace(parameters=parameters)
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
