"""`timellama run`: the workflow in any folder, with the rules and catalogues that came with the package."""

from typing import Annotated

import typer

from timellama.cli.console import DEFAULT_CONFIG, ConfigFile, configuration


def run(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Files to make; none means all.", show_default=False)
    ] = None,
    configfile: ConfigFile = DEFAULT_CONFIG,
    jobs: Annotated[int | None, typer.Option(min=1, help="Jobs side by side; by default one per core.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be run, and run nothing.")] = False,
) -> None:
    """Make files of the workflow in this folder, as snakemake does in a checkout.

    Results, logs and reports are written to this folder. Finished work is not repeated; after Ctrl-C the same command
    resumes. A file in this folder, such as config/methods.yaml, takes precedence over the one that came with the
    package. For other options of snakemake, run `snakemake -s` with the rules that the first line of the output names.

    Examples:
      timellama run reports/table_long_term.tex
      timellama run --configfile config/cpu.yaml --jobs 2
    """
    from timellama.own_data.workflow import run_workflow

    raise typer.Exit(run_workflow(targets or ["all"], configfile=configuration(configfile), jobs=jobs, dry_run=dry_run))
