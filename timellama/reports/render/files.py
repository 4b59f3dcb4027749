"""The text of a table's file, by its ending."""

from collections.abc import Mapping
from pathlib import Path

from timellama.core.errors import InputError
from timellama.reports.render.cells import Table
from timellama.reports.render.markup import to_latex, to_markdown, write_files
from timellama.reports.render.table_csv import to_csv
from timellama.reports.render.web_table import to_html

RENDERINGS = {".tex": to_latex, ".md": to_markdown, ".html": to_html, ".csv": to_csv}


def write(table: Table | Mapping[str, str], *paths: Path) -> None:
    """Writes the table to each path, rendered as its ending says; from texts by ending, the one for the path's ending.

    Raises:
        InputError: an ending is none of those.
    """
    known = table if isinstance(table, Mapping) else RENDERINGS
    unknown = [path for path in paths if path.suffix not in known]
    if unknown:
        raise InputError(f"{unknown[0]} has an ending that no table has: give {', '.join(known)}.")
    write_files({path: rendered(table, path.suffix) for path in paths})


def rendered(table: Table | Mapping[str, str], ending: str) -> str:
    """A table as the text of a file with that ending."""
    return table[ending] if isinstance(table, Mapping) else RENDERINGS[ending](table)
