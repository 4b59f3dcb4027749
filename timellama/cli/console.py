"""What all commands share: where they print, how they fail, and the folder that they work in.

Results go to standard output, everything else to standard error, so that a pipe gets only results.
"""

import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from timellama.core.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from timellama.experiments.matrix import Matrix

OK, CHECK_FAILED, WRONG_INPUT = 0, 1, 2
CODES = "Exit code: 0 done; 1 a check failed; 2 wrong usage or input."
PIPED_WIDTH = 120  # our choice: width in columns of a table that goes to a file or a pipe
RESULTS = Path("results")
EXAMPLES = "Examples:"  # starts the paragraph of a docstring whose line breaks are kept

Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")]
ConfigFile = Annotated[Path, typer.Option("--configfile", help="The configuration, as for snakemake.")]
DEFAULT_CONFIG = Path("config/config.yaml")


class Commands(TyperGroup):
    """The commands; an error that the user can correct ends with one clear line and code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            fail(str(error))
        except BrokenPipeError:
            raise
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            fail(f"{place}{error.strerror or error}")
        raise typer.Exit(WRONG_INPUT)


def add(app: typer.Typer, name: str, function: Callable[..., None]) -> None:
    """Add the command `name` to `app`; its help is the function's docstring, with paragraphs that fill the terminal."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    flowing = [text if text.startswith(EXAMPLES) else text.replace("\n", " ") for text in paragraphs]
    app.command(name, help="\n\n".join(flowing), epilog=CODES)(function)


def fail(message: str) -> None:
    """Print what is wrong to standard error."""
    typer.echo(f"error: {message}", err=True)


def warn(message: str) -> None:
    """Print what the user should know to standard error."""
    typer.echo(f"warning: {message}", err=True)


def console() -> "Console":
    """The console for human-readable output: a terminal at its width, anything else at `PIPED_WIDTH`."""
    from rich.console import Console

    found = Console(highlight=False, emoji=False, markup=False)
    return found if found.is_terminal else Console(width=PIPED_WIDTH, highlight=False, emoji=False, markup=False)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = (), title: str | None = None
) -> None:
    """Print a table. Cells are shown as they are, columns named in `right` are right-aligned; None is an empty cell."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title and Text(title), title_justify="left", pad_edge=False)
    for name in columns:
        table.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console().print(table)


def progress_line() -> Callable[[str], None]:
    """A line that overwrites itself, shown only on a terminal; an empty text ends it."""
    from tqdm import tqdm

    bar = tqdm(bar_format="{desc}", disable=None, leave=False)

    def on_progress(text: str) -> None:
        bar.set_description_str(text)
        if not text:
            bar.close()

    return on_progress


def print_json(value: Any) -> None:
    """Print indented JSON; a number that is not finite becomes null, a path becomes text."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def load_matrix(configfile: Path) -> "Matrix":
    """The plan of a configuration from this folder, or else from the package."""
    from timellama.core.schema import read_yaml
    from timellama.experiments.matrix import make_matrix

    found = configuration(configfile)
    return make_matrix(read_yaml(found), root=Path(), origin=str(found))


def configuration(given: Path) -> Path:
    """The file that `--configfile` names: from this folder, or else the one of that name from the package."""
    from timellama.core.shipped import shipped

    found = shipped(str(given))
    return found if found.is_file() else given


def project() -> Path:
    """The checkout that a command works on: the folder that it runs in. Raises InputError if it is not a checkout."""
    if not Path("Snakefile").is_file() or not Path("config/datasets.yaml").is_file():
        raise InputError(
            f"{Path.cwd()} is not a checkout of the project, which has Snakefile and config/: change into one"
        )
    return Path()


def spell_bytes(count: float | None) -> str:
    """`1.2 GB`; a question mark if the count is not known."""
    if count is None:
        return "?"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"
