"""`timellama croissant`: data sets of the catalogue described in Croissant."""

from pathlib import Path
from typing import Annotated

import typer

from timellama.cli.commands.data import Names, chosen
from timellama.cli.console import console

FOLDER = Path("build/croissant")


def croissant(
    names: Names = None,
    folder: Annotated[Path, typer.Option(help="Where the descriptions are written, one file per data set.")] = FOLDER,
) -> None:
    """Describe data sets of the catalogue in Croissant 1.0, one file each.

    It needs neither the data nor a network. `make croissant` describes all and validates each with mlcroissant.

    Examples:
      timellama croissant
      timellama croissant ETTh1 Weather --folder descriptions
    """
    from timellama.data.croissant import write_descriptions

    for path in write_descriptions(chosen(names, None), folder=folder):
        console().print(str(path), soft_wrap=True)
