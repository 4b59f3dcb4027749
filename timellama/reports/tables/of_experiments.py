"""What the tables of experiments share: methods side by side, or variants of Time-LlaMA against the full model.

Tables 1 to 4 of the paper compare methods side by side; the others compare variants of Time-LlaMA with the full model,
seed by seed, with table 5's numbers where the paper has the variant.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from timellama.core.errors import InputError
from timellama.data.m4.frequencies import FREQUENCIES
from timellama.methods.registry import method_of
from timellama.methods.series_method import reads_whole_series
from timellama.reports import failures
from timellama.reports.efficiency_rows import read_sweeps
from timellama.reports.render import table_model as tables
from timellama.reports.render.cells import Table
from timellama.reports.render.dashes import Reasons
from timellama.reports.render.markup import listed
from timellama.reports.render.origin import first_seen
from timellama.reports.tables import ablation
from timellama.reports.tables.efficiency import efficiency
from timellama.results import aggregate
from timellama.results.read.documents import M4_ERRORS
from timellama.training.scores.m4_scores import combine
from timellama.training.scores.metric_objects import EXTRA, Metric, described

REFERENCE = "time-llama"
NAIVE2 = "naive2"
POOLED, SPEED = "All cells, % (pairs)", "Windows a second"
EXPLAINED = {  # heading of a column: the note on it
    POOLED: "All cells: (ours \N{MINUS SIGN} reference) / reference in per cent, the mean over seeds, then over these "
    "cells, with its 95 % t interval over the seeds of each data set; none where one has a single seed. Stars are "
    "Holm-corrected over the column.",
    SPEED: "Windows a second: forecasts of the test part in the fastest run of a row. Other work on the machine slows "
    "them, and rows may be of different processors.",
}


def errors(
    metrics: Sequence[Path],
    *,
    experiment: str,
    heading: tables.Heading,
    facts: Mapping[str, Any],
    published: Path | None = None,
    of_absent: bool = False,
) -> Table:
    """Errors of the methods of an experiment side by side, from its runs' `metrics.json`.

    `facts` holds `configuration`, `planned` cells, `not_run` (labels of methods that are too heavy), `methods` (label
    and floor by variant), `generated` data sets, `impossible` cells and planned ones that are `lacking` where there are
    some, and in `remark` what the caption ends with, empty where all runs have a result. `published` is the file of the
    paper's numbers: with `of_absent` cells without a result show them too. Raises InputError as `aggregate` does.
    """
    if not metrics and facts["remark"]:
        return failures.without_results(experiment, text=facts["remark"])
    frame = aggregate.collect(metrics, methods=facts["methods"])
    common = _common(frame, facts)
    summary, extra = summarised(frame, facts)
    if published is not None:
        summary = aggregate.with_published(summary, published)
        if of_absent:
            common["published"] = aggregate.published_numbers(published)
    made = tables.errors_table(summary, heading=heading, extra=extra, **common)
    return failures.with_remarks(explained(made, summary, extra), facts)


def short_term(
    metrics: Sequence[Path], *, experiment: str, facts: Mapping[str, Any], published: Path | None = None
) -> Table:
    """Scores of methods on M4 side by side; the arguments are those of `errors`, and so is what it raises."""
    if not metrics and facts["remark"]:
        return failures.without_results(experiment, text=facts["remark"])
    frame = aggregate.collect(metrics, methods=facts["methods"])
    common = _common(frame, facts)
    frame, overall = with_overall(frame, [aggregate.read_metrics(path) for path in metrics])
    common["planned"] = [*common["planned"], *overall]
    summary = aggregate.summarise(frame, M4_ERRORS)
    if published is not None:
        summary = aggregate.with_published(summary, published)
    made = of_whole_series(tables.short_term(summary, **common), frame)
    return failures.with_remarks(made, facts)


def variants(
    metrics: Sequence[Path],
    *,
    experiment: str,
    title: str,
    facts: Mapping[str, Any],
    published: Path | None = None,
    of_depth: bool = False,
) -> Table:
    """Variants of Time-LlaMA against the full model, seed by seed; `title` is the caption's first sentence.

    With `of_depth` the full model is that on the configuration's own language model, and a column has the speed. The
    other arguments are those of `errors`. Raises InputError as `aggregate` does, and with `of_depth` where no run is on
    the configuration's own language model.
    """
    if not metrics and facts["remark"]:
        return failures.without_results(experiment, text=facts["remark"])
    frame = aggregate.collect(metrics, methods=facts["methods"])
    backbone = _own_backbone(frame, experiment=experiment, facts=facts) if of_depth else None
    # How a floor that trains nothing differs, and how much it trains, says nothing about a part of the model.
    extras = _extras(frame[~frame["floor"].astype(bool)], backbone, with_speed=of_depth)
    made = ablation.ablation_table(
        frame,
        title=title,
        label=f"tab:{experiment.replace('_', '-')}",
        reference=REFERENCE,
        published=published,
        source="table 5",
        backbone=backbone,
        extras=extras,
        reasons=Reasons.of(facts),
        explained=[EXPLAINED[heading] for heading in extras if heading in EXPLAINED],
        labels={variant: entry["label"] for variant, entry in facts["methods"].items()},
        floors=[variant for variant, entry in facts["methods"].items() if entry["floor"]],
        configuration=facts["configuration"],
        planned=facts["planned"],
        generated=facts["generated"],
    )
    return failures.with_remarks(made, facts)


def efficiency_table(sweeps: Sequence[Path], *, published: Path, facts: Mapping[str, Any]) -> Table:
    """The table of time, memory and operations from sweeps' files; `facts` as in `errors`.

    Raises InputError as `read_sweeps` and `efficiency` do.
    """
    if not sweeps and facts["remark"]:
        return failures.without_results("efficiency", text=facts["remark"])
    rows = read_sweeps(sweeps, methods=facts["methods"])
    made = efficiency(rows, configuration=facts["configuration"], published=published)
    return failures.with_remarks(failures.with_impossible(made, facts), facts)


def _common(frame: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What every table of methods side by side takes from the facts."""
    return {
        "configuration": facts["configuration"],
        "planned": named(facts["planned"], frame, facts["methods"]),
        "generated": facts["generated"],
        "not_run": facts["not_run"],
        "reasons": Reasons.of(facts),
    }


def summarised(frame: pd.DataFrame, facts: Mapping[str, Any]) -> tuple[pd.DataFrame, list[Metric]]:
    """The summary of an experiment's runs with the configuration's own metrics, and those metrics.

    Raises InputError as `aggregate.summarise` does.
    """
    records = facts.get(EXTRA, [])
    for record in records:
        frame = aggregate.of_definition(frame, record["name"], record["definition"])
    return aggregate.summarise(frame, extra=[record["name"] for record in records]), [*map(described, records)]


def explained(table: Table, summary: pd.DataFrame, extra: Sequence[Metric]) -> Table:
    """With a note for each user-supplied metric: its unit, and why cells of finished runs have a dash."""
    notes = []
    for metric in extra:
        lacking = int(summary[f"{metric.name}_mean"].isna().sum())
        note = f"{metric.label} is a metric of the configuration, not of the paper; unit: {metric.unit}."
        if lacking:
            note += (
                f" {lacking} of {len(summary)} cells have none: one of their runs was not measured by its current "
                "definition, or its value is not finite."
            )
        notes.append(note)
    return dataclasses.replace(table, notes=(*table.notes, *notes))


def of_whole_series(table: Table, frame: pd.DataFrame) -> Table:
    """With a note that names the methods which were given whole series, whatever look-back their row has."""
    runs = frame[frame["settings"] != ""]  # constructed rows have none
    names = first_seen(runs.loc[[_is_whole(name) for name in runs["method"]], "label"])
    note = f"{listed(names)} {'sees' if len(names) == 1 else 'see'} each whole training series, not the look-back T."
    return dataclasses.replace(table, notes=(*table.notes, note)) if names else table


def _is_whole(name: str) -> bool:
    try:
        return reads_whole_series(method_of(name))
    except InputError:  # a method of another machine, which is not available here
        return False


def named(planned: Sequence[tuple], frame: pd.DataFrame, methods: Mapping[str, Mapping[str, Any]]) -> list[tuple]:
    """The planned cells; a variant that has no row in `frame`, of runs or of cells, goes by its label."""
    known = set(frame["variant"])
    labels = {variant: entry["label"] for variant, entry in methods.items() if variant not in known}
    return [(*cell, labels.get(variant, variant)) for *cell, variant in planned]


def with_overall(frame: pd.DataFrame, documents: Sequence[Mapping]) -> tuple[pd.DataFrame, list[tuple]]:
    """Add Naive2, where it has no run, and each method's scores over all frequencies, if it was run on all; return
    the cells of these scores too.

    The overall row is called M4 where all six frequencies are in it and by its frequencies otherwise, so that only the
    former is beside the paper's numbers. Horizon and context 0 mean: over several.
    """
    naive2 = {document["run"]["dataset"]: document["naive2"] for document in documents}
    run = frame.loc[frame["variant"] == NAIVE2, "dataset"]
    frame = pd.concat([frame, _naive2(frame[~frame["dataset"].isin(run)], naive2)], ignore_index=True)
    datasets = list(dict.fromkeys(document["run"]["dataset"] for document in documents))
    name = "M4" if len(datasets) == len(FREQUENCIES) else f"Overall: {', '.join(datasets)}"
    rows, keys = [], ["variant", "backbone", "seed"]
    by_run = {document["identity"]: document for document in documents}
    for _, runs in frame[frame["identity"].isin(by_run)].groupby(keys):
        if len(runs) == len(datasets):
            scores = combine([by_run[identity] for identity in runs["identity"]])
            naive2[name] = scores["naive2"]
            changed = {key: scores[key] for key in (*M4_ERRORS, "n_windows")}
            rows.append({**runs.iloc[0], **changed, "dataset": name, "horizon": 0, "context": 0, "settings": ""})
    overall = pd.concat([frame, pd.DataFrame(rows)], ignore_index=True)
    if rows and NAIVE2 not in {row["variant"] for row in rows}:
        overall = pd.concat([overall, _naive2(pd.DataFrame(rows), naive2)], ignore_index=True)
    return overall, [(name, 0, 0, row["variant"]) for row in rows]


def _naive2(frame: pd.DataFrame, scores: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Naive2's row of each data set in `frame`: it is scored on the same series as every run, and its OWA is 1."""
    rows = []
    for dataset, runs in frame.groupby("dataset", sort=False):
        same = {"variant": NAIVE2, "label": "Naive2", "floor": True, "backbone": "", "seed": 0, "settings": ""}
        rows.append({**runs.iloc[0], **same, **scores[dataset], "owa": 1.0, "identity": f"{NAIVE2}-{dataset}"})
    return pd.DataFrame(rows)


def _extras(frame: pd.DataFrame, backbone: str | None, *, with_speed: bool) -> dict[str, ablation.Column]:
    """More columns: the difference over all cells, trained parameters, collapsed routers, and speed."""
    columns = {POOLED: ablation.pooled(frame, reference=REFERENCE, backbone=backbone)}
    columns["Trained, thousands"] = ablation.trainable(frame)
    columns["Collapsed blocks"] = ablation.collapsed(frame)
    if with_speed:
        columns[SPEED] = ablation.speed(frame)
    return {heading: column for heading, column in columns.items() if column}


def _own_backbone(frame: pd.DataFrame, *, experiment: str, facts: Mapping[str, Any]) -> str:
    """The configuration's own backbone, as the frame calls it. Raises InputError where the experiment leaves it out."""
    main = facts["backbone"]
    if not main:
        raise InputError(
            f"the experiment `{experiment}` compares with the configuration's own backbone, but it names none: add "
            "`backbones` to the configuration"
        )
    for name in frame["backbone"]:
        if name == main or name.startswith(f"{main} ("):
            return name
    if facts["remark"]:
        return main  # planned, but its runs have no result
    raise InputError(f"the experiment `{experiment}` has no run on {main}, the configuration's own backbone: add it")
