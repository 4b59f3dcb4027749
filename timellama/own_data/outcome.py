"""The outcome of a bench: the leaderboard, the forecast of the next H steps, and a page with both."""

import base64
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd

from timellama.core import layout
from timellama.core.errors import InputError
from timellama.core.files import atomic
from timellama.own_data.bench import CONFIGURATION, Bench
from timellama.own_data.frames import context_rows_of, forecast_frame
from timellama.own_data.leaderboard import LEADERBOARD, as_rows, worth
from timellama.own_data.series_rows import last_rows
from timellama.own_data.workflow import run_workflow
from timellama.reports.figures.forecasts import draw_forecast
from timellama.reports.render.web_table import STYLE
from timellama.results.forecasts.forecasting import Forecast, Forecaster, load_forecaster
from timellama.results.forecasts.forecasting import forecast as apply
from timellama.results.forecasts.intervals import Intervals, read_intervals, without_intervals
from timellama.results.leaderboard import Leaderboard
from timellama.results.read.runs import Finished
from timellama.results.statistics.conformal import REPORTED

FORECAST, PICTURE, PAGE = "forecast.csv", "forecast.png", "report.html"
SHOWN = (5, 10, 25, 75, 90, 95)  # quantiles in per cent: the ends of the intervals of 50, 80 and 90 %
DIGITS = "%.9g"  # enough digits to read a float32 back unchanged


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A trained run, ready to use: `forecast(data)` returns the rows after the last one of a DataFrame."""

    finished: Finished
    label: str
    forecaster: Forecaster
    intervals: Intervals | None

    def forecast(self, data: pd.DataFrame) -> pd.DataFrame:
        """The H rows after `data`, wide or long (`unique_id`, `ds`, `y`), in long format.

        Columns: `unique_id`, `ds`, `method` and `forecast`, in the units of the data, and the quantiles of the run's
        prediction intervals, `q5` to `q95`, if it has any.
        Raises InputError for data that the run cannot read: see `context_rows_of`.
        """
        run, columns = self.forecaster.run, self.forecaster.columns
        rows = context_rows_of(data, columns=columns, context=run.context, masked=run.grid is not None)
        return self.framed(apply(self.forecaster, rows))

    def framed(self, forecast: Forecast) -> pd.DataFrame:
        """A forecast of this run in long format."""
        made = self.intervals.quantiles(self.forecaster, forecast, SHOWN) if self.intervals else {}
        return forecast_frame(
            forecast, method=self.label, quantiles={f"q{level}": ends for level, ends in made.items()}
        )


def load(finished: Finished, *, label: str, device: str = "auto") -> TrainedRun:
    """A finished run with its model. Raises InputError if a needed file is absent, damaged or a different one."""
    forecaster = load_forecaster(finished, device=device)
    return TrainedRun(finished=finished, label=label, forecaster=forecaster, intervals=read_intervals(finished))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A bench that has run. `labels` are the methods' names in tables, by variant."""

    bench: Bench
    board: Leaderboard
    labels: Mapping[str, str]

    @property
    def method(self) -> str:
        """The name of the method that the validation part chooses."""
        return self.labels.get(self.board.chosen.variant, self.board.chosen.variant)

    def leaderboard(self) -> pd.DataFrame:
        """One row per method, in order of test MSE, as in `leaderboard.as_rows`."""
        return pd.DataFrame(as_rows(self.board, self.labels)).set_index("method")

    @functools.cached_property
    def best(self) -> TrainedRun:
        """The chosen method's run with the lowest validation loss, with its model."""
        return load(self.board.chosen.best_run, label=self.method)

    def next_steps(self) -> Forecast:
        """The H steps after the last row of the data, by the chosen method."""
        rows = last_rows(
            self.bench.results, self.board.dataset, context=self.board.context, time_column=self.bench.time_column
        )
        return apply(self.best.forecaster, rows)

    def held(self) -> str | None:
        """How much of the test part the intervals of the chosen run covered; None if it has none."""
        if self.best.intervals is None:
            return None
        shares = [f"{100 * self.best.intervals.coverage[str(level)]:.0f} % at {level} %" for level in REPORTED]
        return f"On the test part, its prediction intervals covered {', '.join(shares)}."


def outcome_of(bench: Bench) -> Outcome:
    """The outcome of a bench's finished runs. Raises InputError if there are none."""
    labels = {variant: entry.label for variant, entry in bench.matrix().methods.items()}
    return Outcome(bench=bench, board=bench.leaderboard(), labels=labels)


def carried_out(bench: Bench, *, output: Path | None = None) -> tuple[Outcome, int]:
    """Run the workflow, then the intervals of the chosen run, and write the outcome; return it and the exit code.

    `output` is a file that gets what Snakemake prints.

    Raises InputError if no run ended, and KeyboardInterrupt if the user stopped it.
    """
    settings = {"configfile": bench.configfile, "folder": bench.folder, "quiet": True, "output": output}
    table = bench.folder / f"reports/{LEADERBOARD.name}.html"
    table.unlink(missing_ok=True)  # so that an older one cannot pass for runs that did not end
    code = run_workflow(bench.targets, **settings)
    if not table.is_file():
        raise InputError(
            f"the workflow made no leaderboard in {bench.folder} (exit code {code}); its output says why, and the "
            f"logs are in {bench.folder / layout.LOGS}"
        )
    outcome = outcome_of(bench)
    chosen = outcome.board.chosen.best_run
    if without_intervals(chosen):  # None if none can be made
        code = run_workflow([layout.intervals_of(chosen.run.folder)], **settings) or code
    write_outcome(outcome)
    return outcome, code


def write_outcome(outcome: Outcome) -> None:
    """Write the forecast as CSV and picture, and the page, to the bench's folder."""
    folder, run, made = outcome.bench.folder, outcome.best, outcome.next_steps()
    frame = run.framed(made)
    frame["ds"] = [*made.context_rows.written(made.time)] * len(made.context_rows.columns)
    text = io.StringIO(newline="")
    frame.to_csv(text, index=False, float_format=DIGITS, lineterminator="\n")
    with atomic(folder / FORECAST) as file:
        file.write(text.getvalue().encode())
    levels = REPORTED if run.intervals else ()
    bounds = {level: run.intervals.bounds(run.forecaster, made, level) for level in levels}
    draw_forecast(made, label=outcome.method, path=folder / PICTURE, bounds=bounds)
    with atomic(folder / PAGE) as file:
        file.write(_page(outcome).encode())


def _page(outcome: Outcome) -> str:
    """One page that links to no files except those of the workflow: table, pictures, and where they come from."""
    folder, board = outcome.bench.folder, outcome.board
    table = (folder / f"reports/{LEADERBOARD.name}.html").read_text(encoding="utf-8")
    body = table[table.index("<body>") + len("<body>") : table.index("</body>")]
    windows = folder / f"reports/figures/forecasts_{board.dataset}.png"
    run = board.chosen.best_run
    origin = run.metrics["provenance"]
    facts = [
        *outcome.bench.told,
        f"The forecast is by {outcome.method}, which has the lowest validation error: {run.run.folder}.",
        outcome.held() or "",
        f"timellama {origin['versions']['timellama']}, commit {origin['git_commit']}, data {origin['data_sha256']}.",
        f"The settings are in {CONFIGURATION}; `timellama run --configfile {CONFIGURATION}` makes every other report.",
    ]
    title = f"{board.dataset}: the next {board.horizon} steps"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(worth(board.worth))}</p>" if board.worth else "",
        f"<h2>The forecast</h2>{_image(folder / PICTURE, f'Forecast of {board.dataset}')}",
        f"<h2>Leaderboard</h2>{body}",
        f"<h2>Test windows</h2>{_image(windows, 'Forecasts of three test windows')}" if windows.is_file() else "",
        "<h2>Where this comes from</h2><ul>",
        *(f"<li>{escape(fact)}</li>" for fact in facts if fact),
        "</ul>",
    ]
    style = f"{STYLE}\n  img {{ max-width: 100%; height: auto; }}\n"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{style}</style></head>\n<body>\n'
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _image(path: Path, about: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<p><img alt="{escape(about)}" src="data:image/png;base64,{data}"></p>'
