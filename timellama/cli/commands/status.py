"""`timellama status`: what is done, running, failed and left."""

from typing import TYPE_CHECKING, Annotated

import typer

from timellama.cli.console import (
    CHECK_FAILED,
    DEFAULT_CONFIG,
    RESULTS,
    ConfigFile,
    Json,
    console,
    load_matrix,
    print_json,
    print_table,
)
from timellama.reports.render.markup import spell_time

if TYPE_CHECKING:
    from timellama.results.status import Status


def status(
    configfile: ConfigFile = DEFAULT_CONFIG,
    everything: Annotated[bool, typer.Option("--all", help="List the done and the left runs too.")] = False,
    as_json: Json = False,
) -> None:
    """Say which runs of a configuration are done, running, failed and left.

    A running run shows its losses at the last validation and how long its training takes at most. A failed run shows
    its error, or how far it came before it was killed, and the exit code is 1. Runs on other machines of a cluster
    appear as left.

    Examples:
      timellama status
      timellama status --configfile config/cpu.yaml --all
      watch -n 10 timellama status
    """
    import dataclasses
    from datetime import UTC, datetime

    from timellama.results.status import FAILED, RUNNING, STATES, count, run_status, sweep_status

    matrix, now = load_matrix(configfile), datetime.now(UTC)
    found = {folder: run_status(run, results=RESULTS, now=now) for folder, run in matrix.every_run().items()}
    sweeps = [sweep_status(sweep, results=RESULTS) for sweep in matrix.sweeps.values()]
    by_experiment = {name: count(found[run.folder] for run in runs) for name, runs in matrix.runs.items()}
    by_experiment |= {"efficiency": count(sweeps)} if sweeps else {}
    total, listed = count(found.values()), [*found.values(), *sweeps]
    outdated = sum(each.outdated for each in listed)
    failed = any(each.state == FAILED for each in listed)
    if as_json:
        runs = [dataclasses.asdict(each) for each in listed]
        print_json({"configuration": matrix.config["name"], "total": total, "experiments": by_experiment, "runs": runs})
        raise typer.Exit(CHECK_FAILED if failed else 0)
    rows = [[name, *counts.values()] for name, counts in by_experiment.items()]
    rows.append([f"all {len(found)} runs, each once", *total.values()])
    print_table(["experiment", *STATES], rows, right=STATES, title=f"configuration {matrix.config['name']}")
    shown = [each for each in listed if everything or each.state in (RUNNING, FAILED)]
    for each in shown:
        console().print(f"{each.state:8}{each.folder}", soft_wrap=True)
        details = _details(each)
        if details:
            console().print(f"{'':8}{details}", soft_wrap=True)
    if outdated:
        console().print(
            f"{outdated} done run(s) were made by other code than the present code: the workflow repeats them"
        )
    raise typer.Exit(CHECK_FAILED if failed else 0)


def _details(each: "Status") -> str:
    """All that is known of a run, in one line; empty if nothing is."""
    parts = []
    if each.total is not None:
        parts.append(f"step {each.step} of {each.total}")
    if each.train_loss is not None:
        parts.append(f"train loss {each.train_loss:.4f}")
    if each.validation_loss is not None:
        parts.append(f"validation loss {each.validation_loss:.4f}")
    if each.steps_per_second is not None:
        parts.append(f"{each.steps_per_second:.1f} steps/s")
    if each.seconds_left is not None:
        parts.append(f"at most {spell_time(each.seconds_left)} left")
    if each.note:
        parts.append(each.note)
    return ", ".join(parts)
