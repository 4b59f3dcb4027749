"""`timellama forecast`: a trained run applied to user-supplied files."""

from pathlib import Path
from typing import Annotated

import typer

from timellama.cli.console import RESULTS, WRONG_INPUT, Json, fail, print_json, print_table, warn
from timellama.core.errors import InputError

PLOT = ".png"  # the suffix of plots if a folder is given


def forecast(
    run: Annotated[str, typer.Option(help="The run's folder, or a unique part of its path.")],
    csv: Annotated[list[Path], typer.Option(help="A file, or a folder with CSV files; may be given several times.")],
    out: Annotated[Path, typer.Option(help="The CSV to write; for several files a folder.")],
    plot: Annotated[Path | None, typer.Option(help="A .png or .pdf to draw; for several files a folder.")] = None,
    time_column: Annotated[str | None, typer.Option(help="The column of timestamps, if it is not clear.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    intervals: Annotated[bool, typer.Option(help="Write prediction intervals too, if the run has them.")] = True,
    as_json: Json = False,
) -> None:
    """Apply a trained run to the last look-back of your own CSV files.

    A file has the run's columns under their names, in any order, and one column of timestamps; the last rows must be
    evenly spaced. The forecast has the file's units, and its timestamps continue at the file's step. If some of several
    files cannot be read, the others are forecast; each one that cannot is named, and the exit code is 2. A file with
    missing cells or rows is refused, unless the run's data set was added with --missing mask: then each is filled with
    the last value before it.

    Examples:
      timellama forecast --run 1f2e3d4c5b --csv my.csv --out forecast.csv
      timellama forecast --run 1f2e3d4c5b --csv my.csv --out f.csv --plot f.png
      timellama forecast --run ETTh1/dlinear/H96-T512-s0 --csv stations/ --out made/
    """
    from timellama.results.read.runs import find_run

    files, many = _files(csv)
    jobs = [(file, *_targets(file, out, plot, many)) for file in files]
    _check_targets(jobs, files)
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device is {device!r}; it must be auto, cpu or cuda")
    finished = find_run(run, results=RESULTS)

    from timellama.results.forecasts.context_rows import read_context_rows
    from timellama.results.forecasts.forecasting import forecast as apply
    from timellama.results.forecasts.forecasting import gap_warning, load_forecaster, step_warning, write_forecast
    from timellama.results.forecasts.intervals import columns_of, read_intervals, without_intervals
    from timellama.results.statistics.conformal import REPORTED

    forecaster = load_forecaster(finished, device=device)
    around = read_intervals(finished) if intervals else None
    said = without_intervals(finished) if intervals and around is None else None
    for message in [*forecaster.warnings, *([said] if said else [])]:
        warn(message)
    done, failures = [], []
    for file, target, picture in jobs:
        try:
            context_rows = read_context_rows(
                file,
                columns=forecaster.columns,
                context=forecaster.run.context,
                time_column=time_column,
                grid=forecaster.run.grid,
            )
            made = apply(forecaster, context_rows)
            bounds = {percent: around.bounds(forecaster, made, percent) for percent in REPORTED} if around else {}
            ends = columns_of(bounds, made)
        except InputError as error:
            failures.append({"csv": str(file), "error": str(error)})
            continue
        warnings = [each for each in (step_warning(forecaster, context_rows), gap_warning(context_rows)) if each]
        for message in warnings:
            warn(message)
        write_forecast(target, made, more=ends)
        if picture:
            from timellama.reports.figures.forecasts import draw_forecast

            draw_forecast(made, label=forecaster.run.variant, path=picture, bounds=bounds)
        first, last = context_rows.written(made.time[[0, -1]])
        about = {"first": first, "last": last, "intervals": list(bounds), "warning": " ".join(warnings) or None}
        done.append({"csv": file, "out": target, "plot": picture, **about})
    if as_json:
        print_json({"run": forecaster.run.folder, "forecasts": done, "failures": failures})
    elif done:
        rows = [[item["csv"], item["first"], item["last"], item["out"], item["plot"]] for item in done]
        print_table(["file", "from", "to", "forecast", "plot"], rows, title=forecaster.run.folder)
    for failure in failures:
        fail(failure["error"])
    if failures:
        raise typer.Exit(WRONG_INPUT)


def _files(given: list[Path]) -> tuple[list[Path], bool]:
    """Every file to forecast, and whether the outputs are folders."""
    files = []
    for path in given:
        inside = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: the folder has no file that ends in .csv")
        files += inside
    return files, len(given) > 1 or given[0].is_dir()


def _targets(file: Path, out: Path, plot: Path | None, many: bool) -> tuple[Path, Path | None]:
    """Where a file's forecast and picture go."""
    if not many:
        return out, plot
    return out / file.name, plot and plot / f"{file.stem}{PLOT}"


def _check_targets(jobs: list[tuple[Path, Path, Path | None]], files: list[Path]) -> None:
    """Refuse to overwrite a file that is read or another forecast, and to write to an impossible path."""
    read, written = {file.resolve() for file in files}, set()
    for file, target, picture in jobs:
        for option, path in (("--out", target), ("--plot", picture)):
            if not path:
                continue
            if path.resolve() in read:
                raise InputError(f"{option} is {path}, one of the files to forecast; write to another path")
            if path.resolve() in written:
                raise InputError(
                    f"{option} is {path}, which is used for another file already: give {file} or the other a new name"
                )
            if path.is_dir() or any(parent.is_file() for parent in path.parents):
                raise InputError(f"{path}: for one file --out and --plot are files, for several they are folders")
            written.add(path.resolve())
        if picture:
            from timellama.reports.figures.forecasts import require_format

            require_format(picture)
