"""`timellama crate`: a finished run as a Workflow Run RO-Crate."""

from pathlib import Path
from typing import Annotated

import typer

from timellama.cli.console import CHECK_FAILED, ConfigFile, console, load_matrix, project

FOLDER = Path("build/crate")


def crate(
    configfile: ConfigFile,
    folder: Annotated[Path, typer.Option(help="The crate's folder, to write or to check.")] = FOLDER,
    check: Annotated[bool, typer.Option("--check", help="Compare a crate's files with their digests instead.")] = False,
) -> None:
    """Write the run behind reports/provenance.json as an RO-Crate, or check one.

    Examples:
      timellama crate --configfile config/cpu.yaml
      timellama crate --configfile config/cpu.yaml --check
    """
    from timellama.reports import provenance_index
    from timellama.reports.crate import check_crate, write_crate

    if check:
        changed = check_crate(folder)
        for name in changed:
            console().print(f"{folder / name} is absent or not what the crate describes", soft_wrap=True)
        raise typer.Exit(CHECK_FAILED if changed else 0)
    root = project()
    matrix = load_matrix(configfile)
    index = provenance_index.read(root / provenance_index.NAME)
    count = write_crate(index, configfile=configfile, datasets=matrix.datasets, root=root, folder=folder)
    console().print(f"{folder}: {count} files", soft_wrap=True)
