"""Prediction intervals of the long-term runs: how often they cover the truth, how wide they are, and their losses."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from timellama.core.layout import METRICS
from timellama.reports import failures
from timellama.reports.render import table_model as tables
from timellama.reports.render.cells import Block, Cell, Entry, Row, Table
from timellama.reports.render.markup import MISSING, fixed, listed, spread
from timellama.reports.render.origin import first_seen, name_columns, provenance
from timellama.reports.report import ReportContext
from timellama.results.aggregate import collect, summarise
from timellama.results.numbers import numbers_of
from timellama.results.read.documents import IntervalScores, read_scores
from timellama.results.statistics.conformal import QUANTILES, REPORTED

WIDTH = 80  # per cent: the interval whose width has a column; the .csv has the others
OFF = "*"  # after a coverage that is off by more than its sampling error
LOSSES = ("pinball", "crps")
PLACE = ["dataset", "context", "horizon"]
HEADINGS = ("Data set", "H", "T", "Calibr.", "Test", "Method")


def table(given: ReportContext) -> Table:
    """One line per data set, horizon, look-back and method; means over seeds. Raises InputError as `collect` does."""
    facts = given.facts
    if not given.paths and facts["remark"]:
        return failures.without_results("intervals", text=facts["remark"])
    frame = collect([path.with_name(METRICS) for path in given.paths], methods=facts["methods"])
    frame = _with_scores(frame, {str(path.with_name(METRICS)): read_scores(path) for path in given.paths})
    numbers = [column for column in frame if column.startswith(("coverage_", "width_", "third_", "end_"))]
    summary = summarise(frame, extra=[*LOSSES, *numbers])
    summary["column"] = name_columns(summary)
    counts = frame.groupby(["settings", *PLACE])[["calibrated", "validation"]].first().groupby(PLACE).first()
    summary = summary.join(counts, on=PLACE)
    summary = _in_planned_order(summary, facts["planned"])
    names = [*(f"Covered, {percent} %" for percent in REPORTED), f"Width, {WIDTH} %", "Pinball", "CRPS", "MSE", "MAE"]
    block = Block(
        header=(tuple(Cell(text=name) for name in (*HEADINGS, *names)),),
        groups=tuple(_group(rows) for _, rows in summary.groupby(PLACE, sort=False)),
    )
    made = Table(
        columns="lrrrrl" + "r" * len(names),
        blocks=(block,),
        caption=f"Prediction intervals of {listed(REPORTED)} % around each forecast, calibrated on validation windows "
        "and checked on every test window. Widths and losses are of standardised values.",
        label="tab:intervals",
        notes=(
            *_absences(summary, facts["planned"], facts["methods"]),
            "Means over seeds. Covered: the share of all values of the test part, in per cent, that lie within the "
            "interval; the closer to its level, the better. "
            f"Pinball: the mean loss of the {2 * len(REPORTED)} ends of these intervals. CRPS: twice the mean pinball "
            f"loss of {QUANTILES} quantiles, 5 % apart; for a forecast without intervals it would be the MAE. Bold: "
            "the lowest CRPS (not tested).",
            "Split-conformal per step and variate, on absolute errors divided by the spread of the look-back. Calibr., "
            "Test: numbers of windows. Overlapping windows are "
            "not exchangeable, so the coverage is measured here and not guaranteed.",
            *_judged(summary),
            provenance(summary, configuration=facts["configuration"], generated=facts["generated"]),
        ),
        landscape=True,
        numbers=numbers_of(
            summary,
            [*LOSSES, *(f"{kind}_{percent}" for kind in ("coverage", "width") for percent in REPORTED)],
        ),
    )
    return failures.with_remarks(made, facts)


def _with_scores(frame: pd.DataFrame, scores: Mapping[str, IntervalScores]) -> pd.DataFrame:
    """The runs with what `intervals.json` has of each; NaN where a number is infinite or unknown."""
    rows = []
    for path in frame["path"]:
        of = scores[path]
        row: dict[str, Any] = {name: _number(getattr(of, name)) for name in LOSSES}
        for percent in map(str, REPORTED):
            row[f"coverage_{percent}"] = 100 * of.coverage[percent]
            row[f"width_{percent}"] = _number(of.width[percent])
            ends = of.coverage_interval[percent] or (math.nan, math.nan)
            row |= {f"end_{side}_{percent}": 100 * end for side, end in zip(("low", "high"), ends, strict=True)}
            for number, share in enumerate(of.coverage_of_thirds[percent]):
                row[f"third_{number}_{percent}"] = 100 * share
        rows.append(row | {"calibrated": of.calibration.windows, "validation": of.calibration.of})
    return pd.concat([frame, pd.DataFrame(rows, index=frame.index)], axis=1)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _in_planned_order(summary: pd.DataFrame, planned: Sequence[tuple]) -> pd.DataFrame:
    """Data sets and methods in the order of the plan, those that train next to nothing last."""
    order = {cell: number for number, cell in enumerate(dict.fromkeys(map(tuple, planned)))}
    places = {place: number for number, place in enumerate(dict.fromkeys(cell[:3] for cell in order))}
    last = len(order)
    keys = [
        (places.get(tuple(row[key] for key in PLACE), last), row["floor"], order.get(_cell(row), last))
        for row in summary.to_dict("records")
    ]
    return summary.iloc[sorted(range(len(keys)), key=keys.__getitem__)].reset_index(drop=True)


def _cell(row: Mapping[str, Any]) -> tuple:
    return tuple(row[key] for key in (*PLACE, "variant"))


def _group(rows: pd.DataFrame) -> tuple[Entry, ...]:
    best = tables.marks([fixed(value, 3) for value in rows["crps_mean"]])
    return tuple(
        (_line(row, first=number == 0, best=best[number] == "best"),)
        for number, row in enumerate(rows.to_dict("records"))
    )


def _line(row: Mapping[str, Any], *, first: bool, best: bool) -> Row:
    head = [Cell()] * (len(HEADINGS) - 1)
    if first:
        counts = (row["horizon"], row["context"], row["calibrated"], row["n_windows"])
        head = [Cell(text=row["dataset"]), *(tables.whole(int(count), absent=MISSING) for count in counts)]
    covered = [
        Cell(
            text=fixed(row[f"coverage_{percent}_mean"], 1) + (OFF if is_off(row, percent) else ""),
            value=row[f"coverage_{percent}_mean"],
            spread=spread(row[f"coverage_{percent}_std"], 1),
        )
        for percent in REPORTED
    ]
    losses = [
        Cell(text=fixed(row[f"{name}_mean"], 3), value=row[f"{name}_mean"], bold=best and name == "crps")
        for name in (f"width_{WIDTH}", *LOSSES, "mse", "mae")
    ]
    return (*head, Cell(text=row["column"]), *covered, *losses)


def is_off(row: Mapping[str, Any], percent: int) -> bool:
    """Whether a mean coverage is off by more than its sampling error; False where that is unknown."""
    low, high = row[f"end_low_{percent}_mean"], row[f"end_high_{percent}_mean"]
    return bool(percent < low or percent > high)


def _judged(summary: pd.DataFrame) -> list[str]:
    """Which coverages are off by more than chance, and how that changes within the test part."""
    notes, cells = [], [(row, percent) for row in summary.to_dict("records") for percent in REPORTED]
    told = [(row, percent) for row, percent in cells if not math.isnan(row[f"end_low_{percent}_mean"])]
    off = [(row, percent) for row, percent in told if is_off(row, percent)]
    if told:
        notes.append(
            f"{OFF}: off by more than its sampling error, {len(off)} of {len(told)} coverages. This uses the 95 % "
            "interval from the spread of blocks of windows within the calibration and the test part, which does not "
            "cover a change from one to the other."
        )
    for dataset in first_seen(row["dataset"] for row, _ in off):
        highest = max(percent for row, percent in off if row["dataset"] == dataset)
        rows = [row for row, percent in off if row["dataset"] == dataset and percent == highest]
        thirds = [sum(row[f"third_{n}_{highest}_mean"] for row in rows) / len(rows) for n in range(3)]
        notes.append(
            f"{dataset}: in the first, second and last third of the test part these intervals of {highest} % covered "
            f"{listed(fixed(share, 1) for share in thirds)} % (mean over the starred lines)."
        )
    if len(told) < len(cells):
        short = first_seen(
            f"{row['dataset']} at H {row['horizon']}" for row, p in cells if math.isnan(row[f"end_low_{p}_mean"])
        )
        notes.append(
            f"No sampling error for {listed(short)}: the calibration or the test part has less than two horizons of "
            "windows."
        )
    if summary["crps_mean"].isna().any():
        notes.append("A dash: too few validation windows for a finite interval at some level.")
    return notes


def _absences(summary: pd.DataFrame, planned: Sequence[tuple], methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which planned methods have no intervals anywhere; a run on M4 gets none."""
    there = {_cell(row) for row in summary.to_dict("records")}
    lacking = [cell for cell in dict.fromkeys(map(tuple, planned)) if cell not in there]
    names = first_seen(
        f"{methods.get(variant, {}).get('label', variant)} on {dataset} at H {horizon}"
        for dataset, _, horizon, variant in lacking
    )
    return [f"Without intervals: {listed(names)}; runs on M4 get none."] if names else []
