"""From results to a verdict on each statement of `rules.py`: the effect, its bootstrap interval, what was run of it.

Effects are means over the seeds of a cell, then over cells. The interval resamples both: cells with replacement, and
within each drawn cell its seeds, the same for all methods, so what is paired stays paired. `docs/claims.md` has the
rules in words.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from timellama.cost.efficiency_sweep import MEASURED
from timellama.data.m4.frequencies import FREQUENCIES
from timellama.reports.claims import rules as claims
from timellama.reports.claims.rules import OURS, PARTS, Statement
from timellama.reports.render.markup import listed
from timellama.reports.tables.efficiency_rows import read_sweeps
from timellama.results.aggregate import OTHER_NAMES, RANDOM, collect, published_cells, read_metrics, relative_changes

RESAMPLES = 10_000  # our choice: the ends of an interval then move by less than is printed
SEED = 0
ENDS = (2.5, 97.5)  # percentiles: 95 % lie between
EFFICIENCY = "efficiency"
CELL = ["backbone", "paired"]  # with `seed`, a pair of runs
Statistic = Callable[[np.ndarray], np.ndarray]  # means over seeds [B, C, M] of M methods -> effect [B]


@dataclass(frozen=True, kw_only=True)
class Router:
    """Selection rates [L, E] of a run's E modules in its L routed blocks, `active` of which are on at a time."""

    active: int
    rates: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Results:
    """What verdicts are reached from.

    `frames` holds the rows of `aggregate.collect` by experiment, `routers` those of Time-LlaMA's runs by identity, and
    `sweeps` the rows of `efficiency_rows.read_sweeps`. What is absent was not run.
    """

    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    routers: Mapping[str, Router] = field(default_factory=dict)
    sweeps: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect with its interval, from `pairs` pairs of runs (speeds: batch sizes).

    `run` says which of the paper's cells it covers, `missing` the methods that it lacks, and `possible` the values that
    it could have had, whatever the runs were.
    """

    value: float
    low: float
    high: float
    pairs: int
    run: str
    missing: tuple[str, ...] = ()
    possible: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A statement with its verdict; `why` says more of one that concludes nothing."""

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
    """The (data set, horizon) that the paper has numbers for; `published` is the folder of its tables."""
    if experiment == "short_term":
        return [("M4", frequency.horizon) for frequency in FREQUENCIES.values()]
    return published_cells(published / PARTS[experiment].published)


def papers_part(frame: pd.DataFrame, experiment: str, *, published: Path) -> pd.DataFrame:
    """The rows that bear on the paper: its cells, look-back and share of training rows, and learned language models."""
    cells = set(papers_cells(experiment, published=published))
    names = [_papers_name(name) for name in frame["dataset"]]
    found = [
        (name, horizon) in cells or (OTHER_NAMES.get(name), horizon) in cells
        for name, horizon in zip(names, frame["horizon"], strict=True)
    ]
    kept = pd.Series(found, index=frame.index, dtype=bool) & (frame["train_percent"] == PARTS[experiment].train_percent)
    if experiment != "short_term":  # whose look-back depends on the horizon
        kept &= frame["context"] == claims.PAPER_CONTEXT
    return frame[kept & ~frame["backbone"].map(_unlearned)]


def _papers_name(dataset: str) -> str:
    """The catalogue has each of M4's frequencies as a data set."""
    return "M4" if dataset.startswith("M4-") else dataset


def _of_papers_size(backbone: str) -> bool:
    """No language model, or one of the paper's size: what a smaller one costs says nothing of the paper's."""
    return backbone.removesuffix(RANDOM) in ("", claims.PAPER_SIZE)


def _other_sizes(sweeps: Sequence[Mapping[str, Any]]) -> str:
    """Which measurements of Time-LlaMA there are, where none is of the paper's size."""
    models = sorted({row["backbone"].removesuffix(RANDOM) for row in sweeps if row["variant"] == OURS})
    return f"measured with {listed(models)} only; the paper's is {claims.PAPER_BACKBONE}" if models else ""


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
    """The verdict that the rules give an effect."""

    def finding(verdict: str, why: str = "") -> Finding:
        return Finding(statement=statement, verdict=verdict, effect=effect, why=why)

    if effect is None:
        return finding(claims.NOT_RUN)
    least, most = effect.possible
    if statement.low <= least and most <= statement.high:
        return finding(claims.CANNOT_FAIL)
    if effect.pairs < statement.least:
        return finding(claims.INCONCLUSIVE, f"{effect.pairs} of the {statement.least} pairs that are needed")
    if effect.high <= statement.low or effect.low >= statement.high:
        return finding(claims.CONTRADICTED)
    if not (statement.low < effect.low and effect.high < statement.high):
        return finding(claims.INCONCLUSIVE)
    if statement.all_of_them and effect.missing:
        return finding(claims.INCONCLUSIVE, f"{listed(effect.missing)} could still overturn it")
    return finding(claims.SUPPORTED)


def bootstrap(cells: Sequence[np.ndarray], statistic: Statistic) -> tuple[float, float, float]:
    """The statistic and the ends of its interval. A cell is [S, M]: a row a seed, a column a method."""
    seeds = np.array([len(cell) for cell in cells])
    values = np.zeros((len(cells), seeds.max(), cells[0].shape[1]))
    for place, cell in enumerate(cells):
        values[place, : len(cell)] = cell
    rng = np.random.default_rng(SEED)
    chosen = rng.integers(len(cells), size=(RESAMPLES, len(cells)))
    drawn = (rng.random((RESAMPLES, len(cells), seeds.max())) * seeds[chosen][..., None]).astype(int)
    # A cell of S seeds is drawn S times from; what lies beyond has no weight.
    weight = np.arange(seeds.max()) < seeds[chosen][..., None]
    taken = values[chosen[..., None], drawn] * weight[..., None]
    low, high = np.percentile(statistic(taken.sum(axis=2) / seeds[chosen][..., None]), ENDS)
    whole = np.stack([cell.mean(axis=0) for cell in cells])[None]
    return float(statistic(whole)[0]), float(low), float(high)


STATISTICS: dict[str, Statistic] = {
    claims.DIFFERENCE: lambda means: means.mean(axis=1)[:, 0],
    claims.MARGIN: lambda means: means.mean(axis=1).max(axis=1),
    claims.SHARE: lambda means: (means < 0).all(axis=2).mean(axis=1) * 100,
    claims.HIGHEST: lambda means: means.max(axis=(1, 2)),
    claims.BLOCKS: lambda means: means.mean(axis=1)[:, 0],
    claims.DATASETS: lambda means: means.mean(axis=1)[:, 0],
}


def changes(frame: pd.DataFrame, others: Sequence[str], metric: str) -> pd.DataFrame:
    """Relative changes from each of `others` that has runs, a column each; a row a pair that all of these have.

    A language model is compared with the same where the other method has one.
    """
    columns = {}
    for other in others:
        theirs, found = frame[frame["variant"] == other], {}
        for backbone, ours in frame[frame["variant"] == OURS].groupby("backbone"):
            same = theirs[theirs["backbone"] == backbone]
            found[backbone] = relative_changes(ours, same if len(same) else theirs[theirs["backbone"] == ""], metric)
        if any(len(series) for series in found.values()):
            columns[other] = pd.concat(found, names=["backbone"])
    return pd.DataFrame(columns).dropna()


def _errors(statement: Statement, frame: pd.DataFrame | None, *, of: int, labels: Mapping[str, str]) -> Effect | None:
    """The effect of a statement on errors; None without a pair. `of` is how many cells the paper has."""
    if frame is None or frame.empty or not len(table := changes(frame, statement.others, statement.metric)):
        return None
    pairs = table.reset_index()
    cells = [cell[list(table)].to_numpy() for _, cell in pairs.groupby(CELL)]
    value, low, high = bootstrap(cells, STATISTICS[statement.measure])
    run = _coverage(pairs, of=of, models=statement.claim == "4")
    names = [labels.get(other, other).removeprefix(f"{labels.get(OURS)}, ") for other in statement.others]
    missing = tuple(name for name, other in zip(names, statement.others, strict=True) if other not in table)
    return Effect(value=value, low=low, high=high, pairs=len(pairs), run=run, missing=missing)


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
    # Experiments share runs; what is drawn must not depend on which of them brought a run.
    runs = pd.concat(frames).drop_duplicates("identity").sort_values([*CELL, "seed"])
    runs = runs[(runs["variant"] == OURS) & runs["identity"].isin(list(routers))]
    cells, used = ROUTING[statement.measure](runs, routers)
    if not cells:
        return None
    value, low, high = bootstrap([np.array(cell)[:, None] for cell in cells], STATISTICS[statement.measure])
    seen = runs[runs["identity"].isin(used)]
    possible = (-math.inf, math.inf)
    if statement.measure == claims.HIGHEST:
        possible = (0.0, max(100 / routers[identity].active for identity in used))
    pairs = sum(map(len, cells))
    return Effect(value=value, low=low, high=high, pairs=pairs, run=_coverage(seen, of=None), possible=possible)


Cells = tuple[list[list[float]], set[str]]  # a number a run or pair of runs, by cell, and the runs that these are of


def _highest(runs: pd.DataFrame, routers: Mapping[str, Router]) -> Cells:
    """The largest share of a module in all selections of each run."""
    cells = [
        [_shares(routers[identity].rates).max() for identity in cell["identity"]] for _, cell in runs.groupby(CELL)
    ]
    return cells, set(runs["identity"])


def _between_blocks(runs: pd.DataFrame, routers: Mapping[str, Router]) -> Cells:
    """How much farther blocks are from each other than from themselves, for each two seeds of a cell."""
    cells, used = [], set()
    for _, cell in runs.groupby(CELL):
        found = []
        for pair in itertools.combinations(cell.sort_values("seed")["identity"], 2):
            first, second = ([_shares(block[None]) for block in routers[identity].rates] for identity in pair)
            distance = np.array([[_variation(one, other) for other in second] for one in first])
            alike = np.eye(len(distance), dtype=bool)
            if len(distance) > 1:
                found.append(distance[~alike].mean() - distance[alike].mean())
                used |= set(pair)
        cells += [found] if found else []
    return cells, used


def _between_datasets(runs: pd.DataFrame, routers: Mapping[str, Router]) -> Cells:
    """How much farther two data sets are from each other than from themselves, for each two seeds."""
    cells, used = [], set()
    for _, group in runs.groupby(["train_percent", "backbone", "horizon", "context"]):
        by_dataset = {name: rows.set_index("seed")["identity"] for name, rows in group.groupby("dataset")}
        for first, second in itertools.combinations(by_dataset.values(), 2):
            found = []
            for a, b in itertools.product(first.index, second.index):
                own = [
                    pair for of in (first, second) if a != b and {a, b} <= set(of.index) for pair in [(of[a], of[b])]
                ]
                if own:
                    within = np.mean([_apart(*pair, routers) for pair in own])
                    found.append(_apart(first[a], second[b], routers) - within)
                    used |= {first[a], second[b], *itertools.chain(*own)}
            cells += [found] if found else []
    return cells, used


ROUTING = {claims.HIGHEST: _highest, claims.BLOCKS: _between_blocks, claims.DATASETS: _between_datasets}


def _shares(rates: np.ndarray) -> np.ndarray:
    """Each module's part of all selections in these blocks, in per cent."""
    return rates.sum(axis=0) / rates.sum() * 100


def _variation(one: np.ndarray, other: np.ndarray) -> float:
    """Total variation between two distributions, in the points that they are given in."""
    return float(np.abs(one - other).sum() / 2)


def _apart(one: str, other: str, routers: Mapping[str, Router]) -> float:
    return _variation(_shares(routers[one].rates), _shares(routers[other].rates))


def speed_pairs(statement: Statement, sweeps: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping, Mapping]]:
    """The measured rows that a statement on speed compares: Time-LlaMA's and the other method's of the same batch."""
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
    """Samples a second as a multiple of the other method's; None where the two were not measured alike."""
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
