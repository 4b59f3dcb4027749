"""From results to a verdict on each statement of `rules.py`: the effect, its interval and which part was run.

`errors.py` has the effects on errors and `routing.py` those on the router; `docs/claims.md` states the rules in prose.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from timellama.cost.efficiency_sweep import MEASURED
from timellama.data.m4.frequencies import FREQUENCIES
from timellama.reports.claims import errors, routing
from timellama.reports.claims import rules as claims
from timellama.reports.claims.routing import Router
from timellama.reports.claims.rules import OURS, PARTS, Statement
from timellama.reports.efficiency_rows import read_sweeps
from timellama.reports.render.markup import listed
from timellama.results.aggregate import OTHER_NAMES, RANDOM, collect, published_cells, read_metrics

EFFICIENCY = "efficiency"
ONE_SEED = "no interval, as a data set has only one seed"


@dataclass(frozen=True, kw_only=True)
class Results:
    """What verdicts are based on.

    `frames` holds the rows of `aggregate.collect` by experiment, `routers` those of Time-LlaMA's runs by identity, and
    `sweeps` the rows of `efficiency_rows.read_sweeps`. What is absent was not run.
    """

    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    routers: Mapping[str, Router] = field(default_factory=dict)
    sweeps: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect with its interval, from `pairs` pairs of runs (speeds: batch sizes) on `datasets` data sets.

    The ends are NaN where its uncertainty is unknown. `run` says which of the paper's cells it covers, `missing` the
    methods that it lacks, and `possible` the range of values that it could have had with any runs.
    """

    value: float
    low: float
    high: float
    pairs: int
    run: str
    datasets: int = 0
    missing: tuple[str, ...] = ()
    possible: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A statement with its verdict; `why` explains a verdict that concludes nothing."""

    statement: Statement
    verdict: str
    effect: Effect | None
    why: str = ""


def read_results(files: Mapping[str, Sequence[Path]], *, methods: Mapping[str, Mapping[str, Any]]) -> Results:
    """The results of each experiment, from their `metrics.json` and, for `efficiency`, their sweeps.

    Raises InputError as `aggregate.collect` and `efficiency_rows.read_sweeps`.
    """
    wanted = {name: paths for name, paths in files.items() if paths and name in PARTS}
    frames = {name: collect(paths, methods=methods) for name, paths in wanted.items()}
    routed = [frames[name] for name in claims.ROUTED if name in frames]
    routers = {}
    for row in (row for frame in routed for row in frame[frame["variant"] == OURS].to_dict("records")):
        document = read_metrics(Path(row["path"]))
        rates = np.array(document["router"]["selection_rate"])
        routers[row["identity"]] = Router(active=document["run"]["options"]["active"], rates=rates)
    sweeps = read_sweeps(files[EFFICIENCY], methods=methods) if files.get(EFFICIENCY) else ()
    return Results(frames=frames, routers=routers, sweeps=sweeps)


def papers_cells(experiment: str, *, published: Path) -> list[tuple[str, int]]:
    """The (data set, horizon) pairs that the paper has numbers for; `published` is the folder of its tables."""
    if experiment == "short_term":
        return [("M4", frequency.horizon) for frequency in FREQUENCIES.values()]
    return published_cells(published / PARTS[experiment].published)


def papers_part(frame: pd.DataFrame, experiment: str, *, published: Path) -> pd.DataFrame:
    """The rows that bear on the paper: its cells, look-back and share of training rows, no random language models."""
    cells = set(papers_cells(experiment, published=published))
    names = [_papers_name(name) for name in frame["dataset"]]
    found = [
        (name, horizon) in cells or (OTHER_NAMES.get(name), horizon) in cells
        for name, horizon in zip(names, frame["horizon"], strict=True)
    ]
    kept = pd.Series(found, index=frame.index, dtype=bool) & (frame["train_percent"] == PARTS[experiment].train_percent)
    if experiment != "short_term":  # its look-back depends on the horizon
        kept &= frame["context"] == claims.PAPER_CONTEXT
    return frame[kept & ~frame["backbone"].map(_unlearned)]


def _papers_name(dataset: str) -> str:
    """The catalogue has each of M4's frequencies as a data set."""
    return "M4" if dataset.startswith("M4-") else dataset


def _of_papers_size(backbone: str) -> bool:
    """No language model, or one of the paper's size: the cost of a smaller one says nothing about the paper's."""
    return backbone.removesuffix(RANDOM) in ("", claims.PAPER_SIZE)


def _other_sizes(sweeps: Sequence[Mapping[str, Any]]) -> str:
    """The sizes that Time-LlaMA was measured at, where none is the paper's."""
    models = sorted({row["backbone"].removesuffix(RANDOM) for row in sweeps if row["variant"] == OURS})
    return (
        f"this configuration measured only {listed(models)}; the paper's is {claims.PAPER_BACKBONE}" if models else ""
    )


def _unlearned(backbone: str) -> bool:
    return backbone.endswith(RANDOM)


def findings(
    results: Results,
    *,
    published: Path,
    labels: Mapping[str, str],
    statements: Sequence[Statement] = claims.STATEMENTS,
) -> list[Finding]:
    """The verdict on each statement. `published` is the folder of the paper's tables, `labels` names variants."""
    parts = {
        name: papers_part(frame, name, published=published) for name, frame in results.frames.items() if name in PARTS
    }
    found = []
    for statement in statements:
        if statement.measure == claims.SPEED:
            effect = _speed(statement, results.sweeps)
        elif statement.measure in (claims.DIFFERENCE, claims.MARGIN, claims.SHARE):
            (experiment,) = statement.experiments
            of = len(papers_cells(experiment, published=published))
            effect = _errors(statement, parts.get(experiment), of=of, labels=labels)
        else:
            effect = _routing(statement, parts, results.routers)
        finding = decide(statement, effect)
        if effect is None and statement.measure == claims.SPEED:
            finding = dataclasses.replace(finding, why=_other_sizes(results.sweeps))
        found.append(finding)
    return found


def decide(statement: Statement, effect: Effect | None) -> Finding:
    """The verdict of the rules on an effect."""

    def finding(verdict: str, why: str = "") -> Finding:
        return Finding(statement=statement, verdict=verdict, effect=effect, why=why)

    if effect is None:
        return finding(claims.NOT_RUN)
    least, most = effect.possible
    if statement.low <= least and most <= statement.high:
        return finding(claims.CANNOT_FAIL)
    beyond = statement.about == claims.BEYOND
    count, units = (effect.datasets, "data sets") if beyond else (effect.pairs, "pairs")
    if count < statement.least:
        found = "; the effect shown is about these data sets only" if beyond else ""
        found += f"; {ONE_SEED}" if beyond and math.isnan(effect.low) else ""
        return finding(claims.INCONCLUSIVE, f"{count} of the {statement.least} {units} that are needed{found}")
    if math.isnan(effect.low):
        return finding(claims.INCONCLUSIVE, ONE_SEED)
    if effect.high <= statement.low or effect.low >= statement.high:
        return finding(claims.DOES_NOT_HOLD)
    if not (statement.low < effect.low and effect.high < statement.high):
        return finding(claims.INCONCLUSIVE)
    if statement.all_of_them and effect.missing:
        return finding(claims.INCONCLUSIVE, f"{listed(effect.missing)} could still overturn it")
    return finding(claims.HOLDS)


def _errors(statement: Statement, frame: pd.DataFrame | None, *, of: int, labels: Mapping[str, str]) -> Effect | None:
    """The effect of a statement on errors; None without a pair. `of` is how many cells the paper has."""
    if frame is None or frame.empty:
        return None
    tables = errors.log_ratios(frame, statement.others, statement.metric)
    if not tables or not len(pairs := next(iter(tables.values())).reset_index()):
        return None
    methods = {other: errors.cells_of(table, statement.metric) for other, table in tables.items()}
    value, low, high = errors.effect_of(statement, methods)
    run = _coverage(pairs, of=of, models=statement.claim == "4")
    datasets = pairs["dataset"].nunique()
    if not math.isnan(low) and not (statement.about == claims.BEYOND and datasets >= statement.least):
        run += f"; {errors.chance_of(methods)}"
    names = [labels.get(other, other).removeprefix(f"{labels.get(OURS)}, ") for other in statement.others]
    missing = tuple(name for name, other in zip(names, statement.others, strict=True) if other not in tables)
    return Effect(value=value, low=low, high=high, pairs=len(pairs), datasets=datasets, run=run, missing=missing)


def _coverage(pairs: pd.DataFrame, *, of: int | None, models: bool = False) -> str:
    """`4 of 20 cells (ETTh1 96, 192; Weather 96, 192), seeds 0 and 1`."""
    cells = pairs[["dataset", "horizon"]].drop_duplicates().sort_values(["dataset", "horizon"])
    places = [
        f"{dataset} {', '.join(map(str, rows['horizon']))}" for dataset, rows in cells.groupby("dataset", sort=False)
    ]
    count = f"{len(cells)} of {of} cells" if of else f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
    seeds = sorted({int(seed) for seed in pairs["seed"]})
    used = sorted({name for name in pairs["backbone"] if name})
    model = f", {listed(used)}" if models or len(used) > 1 else ""
    return f"{count} ({'; '.join(places)}), {'seeds' if len(seeds) > 1 else 'seed'} {listed(seeds)}{model}"


def _routing(statement: Statement, parts: Mapping[str, pd.DataFrame], routers: Mapping[str, Router]) -> Effect | None:
    """The effect of a statement on the router's selections; None without one."""
    frames = [parts[name] for name in statement.experiments if name in parts]
    if not frames:
        return None
    # Experiments share runs; the effect must not depend on which of them a run came from.
    runs = pd.concat(frames).drop_duplicates("identity").sort_values([*errors.CELL, "seed"])
    found = routing.effect_of(statement.measure, runs[runs["variant"] == OURS], routers)
    if found is None:
        return None
    seen = runs[runs["identity"].isin(found.used)]
    possible = (-math.inf, math.inf)
    if statement.measure == claims.HIGHEST:
        possible = (0.0, max(100 / routers[identity].active for identity in found.used))
    return Effect(
        value=found.value,
        low=found.low,
        high=found.high,
        pairs=found.pairs,
        datasets=seen["dataset"].nunique(),
        run=_coverage(seen, of=None),
        possible=possible,
    )


def speed_pairs(statement: Statement, sweeps: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping, Mapping]]:
    """The measured rows that a statement on speed compares: Time-LlaMA's and the other method's at the same batch."""
    (other,) = statement.others
    rows = [
        row
        for row in sweeps
        if (row["variates"], row["context"]) == (claims.PAPER_VARIATES, claims.PAPER_CONTEXT)
        and row["forward_status"] == MEASURED
        and _of_papers_size(row["backbone"])
    ]
    return [
        (ours, theirs)
        for ours, theirs in itertools.product(rows, rows)
        if (ours["variant"], theirs["variant"]) == (OURS, other)
        and ours["batch_size"] == theirs["batch_size"]
        and theirs["backbone"] in ("", ours["backbone"])
    ]


def _speed(statement: Statement, sweeps: Sequence[Mapping[str, Any]]) -> Effect | None:
    """Samples per second as a multiple of the other method's; None where the two were not measured alike."""
    found = speed_pairs(statement, sweeps)
    if not found:
        return None
    ratios, ends = [], []
    for ours, theirs in found:
        (middle, slow), (their_middle, their_slow) = (
            (row["forward"]["seconds"], row["forward"]["p95"]) for row in (ours, theirs)
        )
        ratios.append(their_middle / middle)
        ends += [their_middle / slow, their_slow / middle]
    batches = sorted({ours["batch_size"] for ours, _ in found})
    first = found[0][0]
    run = (
        f"N {claims.PAPER_VARIATES}, {'batch' if len(batches) == 1 else 'batches'} {listed(batches)}, "
        f"{first['processor']}, {first['threads']} threads, device {first['device']}"
    )
    value = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return Effect(value=value, low=min(ends), high=max(ends), pairs=len(found), run=run)
