"""Published settings beside searched ones: what the search chose for each method, and the test errors of both."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from timellama.experiments.search import space_of
from timellama.reports import failures
from timellama.reports.render import table_model as tables
from timellama.reports.render.cells import Block, Cell, Entry, Table
from timellama.reports.render.markup import MISSING, fixed, listed, spread
from timellama.reports.render.origin import describe_commits, first_seen
from timellama.reports.report import ReportContext
from timellama.results import aggregate, search
from timellama.results.numbers import numbers_of
from timellama.results.search import Found
from timellama.training.scores.metric_objects import FORECAST

RECORDED = ("validation_loss", "best_step", "steps")  # what the flat rows have besides the errors
SHORT = {  # what the table calls the parameters of a search
    "learning_rate": "rate",
    "batch_size": "batch",
    "weight_decay": "decay",
    "schedule": "",
    "token_scale": "scale",
    "token_embedding": "",
    "dropout": "dropout",
}


def table(given: ReportContext) -> Table:
    """One group per data set and horizon, one line per method.

    Raises InputError as `results.search.found`, `aggregate.collect` and `aggregate.summarise` do.
    """
    facts = given.facts
    if not given.paths and facts["remark"]:
        return failures.without_results("search", text=facts["remark"])
    cells = search.found(given.paths, trials=facts.get("trials", ()))
    order = first_seen((dataset, horizon, variant) for dataset, _, horizon, variant in facts["planned"])
    places = first_seen(key[:2] for key in order)
    # Floors come last in their group, as in the other tables.
    cells.sort(
        key=lambda cell: (
            places.index((cell.dataset, cell.horizon)),
            facts["methods"][cell.variant]["floor"],
            order.index((cell.dataset, cell.horizon, cell.variant)),
        )
    )
    counts = _counts(max((len(cell.trials) for cell in cells), default=0))
    groups = []
    for key in first_seen((cell.dataset, cell.horizon) for cell in cells):
        of_key = [cell for cell in cells if (cell.dataset, cell.horizon) == key]
        groups.append(tuple(_entries(of_key, counts=counts, methods=facts["methods"])))
    head = ("Data set", "H", "Method", "Chosen", *(f"best of {k}" for k in counts))
    above = [Cell()] * 4 + ([Cell(text="Validation loss", span=len(counts))] if counts else [])
    above += [Cell(text=metric.label, span=2) for metric in FORECAST] + [Cell()]
    below = [*(Cell(text=text) for text in head), *[Cell(text="published"), Cell(text="searched")] * len(FORECAST)]
    made = Table(
        columns="lrll" + "r" * (len(counts) + 2 * len(FORECAST)) + "l",
        blocks=(Block(header=(tuple(above), (*below, Cell(text="Flags"))), groups=tuple(groups)),),
        caption="Published settings beside searched ones: errors on standardised values, mean and standard deviation "
        "(n \N{MINUS SIGN} 1) over seeds. Bold is the best searched error of a group, underlined the next.",
        label="tab:search",
        notes=(_protocol(cells, facts), _reading(counts), _origin(cells, facts)),
        landscape=True,
        numbers=tuple(_numbers(cells, aggregate.collect(given.paths, methods=facts["methods"]))),
    )
    return failures.with_remarks(failures.with_impossible(made, facts), facts)


def _counts(trials: int) -> list[int]:
    """The numbers of trials whose expected best is in the table: doublings, and all."""
    doubled = [2**power for power in range(trials.bit_length()) if 2**power < trials]
    return [*doubled, trials] if trials else []


def _entries(cells: Sequence[Found], *, counts: Sequence[int], methods: Mapping[str, Any]) -> Iterator[Entry]:
    marked = {}
    for metric in FORECAST:
        errors = [_mean(_searched(cell), metric.name) for cell in cells]
        texts = [fixed(error, metric.decimals) for error in errors]
        # The best of those that have been searched so far is not the best of all.
        complete = MISSING not in texts
        marked[metric.name] = tables.marks(texts, direction=metric.direction) if complete else [""] * len(texts)
    for number, cell in enumerate(cells):
        first = number == 0
        row = [Cell(text=cell.dataset if first else "")]
        row.append(tables.whole(cell.horizon, absent=MISSING) if first else Cell())
        row += [Cell(text=methods[cell.variant]["label"]), Cell(text=_chosen(cell))]
        losses = [trial["validation_loss"] for trial in cell.trials]
        for k in counts:
            value = search.expected_best(losses, k) if len(losses) >= k else float("nan")
            row.append(Cell(text=fixed(value, 3), value=value))
        for metric in FORECAST:
            mark = marked[metric.name][number]
            row.append(_error(cell.published, metric.name, metric.decimals))
            row.append(_error(_searched(cell), metric.name, metric.decimals, mark=mark))
        yield ((*row, Cell(text=_flags(cell))),)


def _searched(cell: Found) -> tuple[Mapping[str, Any], ...]:
    """The searched runs; for a method that trains nothing, and so has nothing to search for, its one run."""
    trains = any(document["run"]["training"] for document in cell.published)
    return cell.searched if cell.trials or cell.searched or trains else cell.published


def _mean(documents: Sequence[Mapping[str, Any]], metric: str) -> float:
    return fmean(document[metric] for document in documents) if documents else float("nan")


def _error(documents: Sequence[Mapping[str, Any]], metric: str, decimals: int, *, mark: str = "") -> Cell:
    if not documents:
        return Cell(text=MISSING)
    mean, several = _mean(documents, metric), len(documents) > 1
    deviation = spread(stdev(document[metric] for document in documents), decimals) if several else ""
    best, second = mark == "best", mark == "second"
    return Cell(text=fixed(mean, decimals), value=mean, spread=deviation, bold=best, underline=second)


def _chosen(cell: Found) -> str:
    """The settings of the best trial, in the order of the space."""
    if cell.best is None:
        return MISSING
    values = {name: search.setting(cell.best, name) for name in space_of(cell.best["run"]["method"])}
    said = [f"{SHORT.get(name, name)} {value}".strip() for name, value in values.items() if value is not None]
    return ", ".join(said)


def _flags(cell: Found) -> str:
    edges = search.at_the_edge(cell, space_of(cell.best["run"]["method"])) if cell.best else []
    said = [f"edge: {SHORT.get(name, name)}" for name in edges]
    end = search.at_an_end(cell)
    return "; ".join([*said, *([f"{end} validation"] if end else [])])


def _protocol(cells: Sequence[Found], facts: Mapping[str, Any]) -> str:
    tried = [cell for cell in cells if cell.trials]
    counts = first_seen(len(cell.trials) for cell in tried)
    windows = first_seen(
        trial["run"]["training"]["max_steps"] * trial["run"]["training"]["batch_size"]
        for cell in tried
        for trial in cell.trials
    )
    return (
        f"Each trained method has {listed(sorted(counts)) or 'no'} trials, at the points of one scrambled Sobol "
        f"sequence, with one seed. Each trial sees {listed(sorted(windows)) or 'no'} training windows and is chosen by "
        "validation loss; the chosen settings are then trained with every seed. Published: the settings of "
        f"config/methods.yaml{_changed(facts)}. Budgets differ between methods."
    )


def _changed(facts: Mapping[str, Any]) -> str:
    """Which published settings the configuration replaces, and for which methods."""
    alike: dict[str, list[str]] = {}
    changed = facts.get("changed", {})
    for variant in first_seen(variant for *_, variant in facts["planned"] if variant in changed):
        alike.setdefault(listed(changed[variant]), []).append(facts["methods"][variant]["label"])
    said = "; ".join(f"{names} ({'; '.join(labels)})" for names, labels in alike.items())
    return f", except those that this configuration sets: {said}" if said else ""


def _reading(counts: Sequence[int]) -> str:
    return (
        "Best of k: the expected validation loss of the best of k trials (Dodge et al. 2019); where it still "
        "falls at the last k, more trials would help. Flags. Edge: the chosen number is the lowest or highest tried. "
        "First validation: no step improved on the untrained model. Last validation: longer training may be better."
        if counts
        else "No search is complete yet."
    )


def _origin(cells: Sequence[Found], facts: Mapping[str, Any]) -> str:
    documents = [document for cell in cells for document in (*cell.published, *cell.trials, *cell.searched)]
    made_up = [name for name in first_seen(cell.dataset for cell in cells) if name in facts["generated"]]
    commits = {aggregate.describe_commit(document["provenance"]) for document in documents}
    generated = f"Generated data, not measurements: {listed(made_up)}. " if made_up else ""
    return f"{generated}Configuration: {facts['configuration']}. {describe_commits(commits)}"


def _numbers(cells: Sequence[Found], frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The flat rows of every cell: with the published settings, of each trial, and with the searched settings."""
    for cell in cells:
        tried = [("trial", number, (trial,)) for number, trial in enumerate(cell.trials, start=1)]
        for settings, trial, documents in (
            ("published", None, cell.published),
            *tried,
            ("searched", None, cell.searched),
        ):
            if documents:
                yield from _flat({"settings": settings, "trial": trial}, documents, frame)


def _flat(
    which: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], frame: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """One row per metric over the seeds of `documents`, which share their settings; no row for what was not measured.

    Besides the columns of `numbers_of` a row says `which` settings they are, and has the value of each searched one.
    """
    mine = frame[frame["identity"].isin([document["identity"] for document in documents])]
    name = " ".join(str(part) for part in which.values() if part)
    summary = aggregate.summarise(mine, extra=RECORDED)
    for row in numbers_of(summary, [*(metric.name for metric in FORECAST), *RECORDED]):
        if not math.isnan(row["mean"]):
            yield row | {"model_name": f"{row['model_name']} {name}"} | which | _values(documents[0])


def _values(document: Mapping[str, Any]) -> dict[str, Any]:
    """The searched parameters that a run was trained with; none for a method that trains nothing."""
    run = document["run"] | document.get("chosen", {})
    names = space_of(run["method"]) if run["training"] else ()
    return {name: search.setting({"run": run}, name) for name in names}
