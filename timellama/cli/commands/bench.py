"""`timellama bench`: which method forecasts a file best, by how much, and the forecast."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timellama.cli.console import CHECK_FAILED, Json, console, print_json, print_table, progress_line, warn
from timellama.cli.reading_options import SPLIT, AcceptQuirks, Frequency, Season, Shares, reads_a_file, shares_of
from timellama.core.errors import InputError

if TYPE_CHECKING:
    from timellama.data.files.detect import Asked
    from timellama.own_data.outcome import Outcome

INTERRUPTED = 130  # a shell's exit code for Ctrl-C
UNITS = {"s": 1, "min": 60, "h": 3600}
PREFIX = "bench-"  # of the folder for a file


@reads_a_file
def bench(
    *,
    file: Annotated[Path, typer.Argument(help="A CSV, Parquet or Excel file; a CSV may be compressed with gzip.")],
    horizon: Annotated[int, typer.Option(min=1, help="H: how many rows to forecast.")],
    context: Annotated[str, typer.Option(help="T: how many rows a forecast looks back at; auto chooses.")] = "auto",
    methods: Annotated[
        str | None, typer.Option(help="Methods of the catalogue, separated by commas; else a choice of six.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Time for all trainings together: 90s, 10min, 2h.")] = "3min",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each method, starting at seed 0.")] = 1,
    folder: Annotated[Path | None, typer.Option(help="Folder for all output; else bench-<file>.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the configuration and train nothing.")] = False,
    asked: "Asked",
    frequency: Frequency = None,
    season: Season = None,
    split: Shares = SPLIT,
    accept_quirks: AcceptQuirks = False,
    as_json: Json = False,
) -> None:
    """Say which method forecasts a file best and by how much, and forecast its next rows.

    The file is read and checked; nothing in it is repaired unless you say how. Its rows are split in order of time:
    most train, some choose between methods, and the last ones test. The configuration stays in the folder as
    bench.yaml and can be edited. Ctrl-C loses nothing, and the same command resumes. The method that the middle part
    chooses forecasts the rows after the last one: forecast.csv, forecast.png, and everything in report.html.

    Examples:
      timellama bench sales.csv --horizon 28
      timellama bench load.csv.gz --horizon 96 --zone Europe/Berlin --fill seasonal --budget 1h --seeds 3
      timellama bench meters.parquet --horizon 24 --methods patchtst,dlinear,seasonal-naive --folder meters
    """
    from timellama.data.splits import Split
    from timellama.own_data.bench import Wish, name_of, prepare
    from timellama.own_data.plan import METHODS

    wish = Wish(
        horizon=horizon,
        context=_context(context),
        methods=tuple(name.strip() for name in methods.split(",")) if methods else METHODS,
        seeds=tuple(range(seeds)),
        seconds=_seconds(budget),
        split=Split(rule="ratio", **dict(zip(("train", "validation", "test"), shares_of(split), strict=True))),
        frequency=frequency,
        season=season,
        accept_quirks=accept_quirks,
    )
    folder = folder or Path(f"{PREFIX}{name_of(file)}")
    on_progress = progress_line()
    made = prepare(file, wish, asked=asked, folder=folder, name=name_of(file), on_progress=on_progress)
    on_progress("")
    if not as_json:
        _say(made, wish.seconds)
    if dry_run:
        return

    from timellama.own_data.outcome import carried_out

    try:
        outcome, code = carried_out(made)
    except KeyboardInterrupt:
        warn("stopped; the same command resumes")
        raise typer.Exit(INTERRUPTED) from None
    if code:
        warn(f"not all runs ended: see {folder}/reports/table_failures.md and {folder}/results/logs; run the same "
             "command again to resume")  # fmt: skip
    _show(outcome, as_json=as_json)
    raise typer.Exit(CHECK_FAILED if code else 0)


def _context(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdigit() or not int(text):
        raise InputError(f"--context is {text!r}; it must be auto or a number of rows above 0")
    return int(text)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", text.strip())
    if not found or not float(found[1]):
        raise InputError(f"--budget is {text!r}; it must be a time above 0 such as 90s, 10min or 2h")
    return float(found[1]) * UNITS[found[2]]


def _say(made, seconds: float) -> None:
    """What was read, and what will be run."""
    from timellama.experiments.impossible_cells import grouped
    from timellama.reports.render.markup import spell_time

    out = console()
    matrix = made.matrix()
    runs = list(matrix.every_run().values())
    dataset = matrix.datasets[made.dataset]
    context, horizon = runs[0].context, runs[0].horizon
    out.print(
        f"{made.dataset}: {dataset.rows} rows of {dataset.variates} variate(s), every {dataset.frequency}, season "
        f"{dataset.season}",
        soft_wrap=True,
    )
    for line in made.told:
        out.print(line, soft_wrap=True)
    if made.edited:
        out.print(f"{made.configfile} was edited, and is run as it is", soft_wrap=True)
    trained = [run for run in runs if run.training]
    out.print(
        f"{len(runs)} runs, {len(trained)} of them trainings: the next {horizon} rows from {context}; "
        f"{made.configfile}",
        soft_wrap=True,
    )
    for group in grouped(matrix.impossible):
        out.print(f"not possible: {group.sentence}; {group.remedy}", soft_wrap=True)
    if made.budget:
        series = f"{made.budget.series:,} series each"
        taken = spell_time(made.budget.seconds)
        out.print(f"about {taken} of training and testing, {made.budget.at_once} at once; {series}", soft_wrap=True)
        if made.budget.seconds > seconds:
            warn(f"the smallest budget takes longer than the {spell_time(seconds)} that --budget leaves")


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    from timellama.own_data.leaderboard import CHOSEN, HEADINGS, row_texts, worth
    from timellama.own_data.outcome import FORECAST, PAGE, PICTURE

    board, folder = outcome.board, outcome.bench.folder
    frame = outcome.leaderboard()
    if as_json:
        print_json(
            {
                "folder": folder,
                "dataset": board.dataset,
                "context": board.context,
                "horizon": board.horizon,
                "leaderboard": frame.reset_index().to_dict("records"),
                "chosen": outcome.method,
                "run": board.chosen.best_run.run.folder,
                "forecast": folder / FORECAST,
            }
        )
        return
    rows = [row_texts(standing, board, outcome.labels) for standing in board.standings]
    print_table(HEADINGS, rows, right=list(HEADINGS[1:]))
    out = console()
    if board.worth:
        out.print(worth(board.worth), soft_wrap=True)
    out.print(f"{CHOSEN}chosen on the validation part: {outcome.method}, which made the forecast", soft_wrap=True)
    if said := outcome.held():
        out.print(said, soft_wrap=True)
    out.print(f"forecast: {folder / FORECAST}, {folder / PICTURE}; everything: {folder / PAGE}", soft_wrap=True)
