"""What a report says about where its numbers come from: configuration, language models, seeds, precision and code."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

from timellama.methods.registry import trains
from timellama.reports.render.markup import listed
from timellama.results.aggregate import RANDOM


def first_seen(items: Iterable[Any]) -> list[Any]:
    """The distinct items in the order of their first appearance."""
    return list(dict.fromkeys(items))


def with_backbone(label: str, backbone: str) -> str:
    """`GPT4TS (GPT-2 x6)`, with `, random weights` after the blocks where they are; just the label without one."""
    model = backbone.removesuffix(RANDOM)
    return f"{label} ({model}{', random weights' if model != backbone else ''})" if backbone else label


def name_columns(summary: pd.DataFrame) -> pd.Series:
    """The name of each row's column: its label, with the backbone where a reader could mistake it for another.

    That is where a variant was run with several, and wherever methods with different ones are side by side. A control
    with random weights says so in its label.
    """
    several = summary.groupby("variant")["backbone"].transform("nunique") > 1
    models = summary["backbone"].str.removesuffix(RANDOM)
    several |= (models != "") & (models[models != ""].nunique() > 1)
    pairs = zip(summary["label"], summary["backbone"], strict=True)
    named = pd.Series([with_backbone(*pair) for pair in pairs], index=summary.index, dtype=object)
    alone = summary["label"].where(~several, named)
    # Two variants may share a label; their columns must not be mistaken for one.
    variants = summary.groupby(alone)["variant"].transform("nunique")
    return alone.where(variants == 1, alone + " (" + summary["variant"] + ")")


def describe_backbones(summary: pd.DataFrame) -> str:
    """A sentence about the backbones, which says where their weights are random."""
    used = first_seen(text for text in summary["backbone"] if text)
    if not used:
        return ""
    one = len(used) == 1
    sentence = f"{'Backbone' if one else 'Backbones'} (name x blocks): {listed(used)}."
    if all(text.endswith(RANDOM) for text in used):
        sentence += " A backbone with random weights has learned no language: its numbers test the code, not the paper."
    return sentence


def describe_seeds(summary: pd.DataFrame) -> str:
    """A sentence about the seeds: one list, or which data set or column has which.

    A method that trains nothing has no randomness, so its seed is not shown where anything else is trained.
    """
    trained = summary[summary["method"].map(trains)]
    summary = summary if trained.empty else trained
    if summary["seeds"].nunique() == 1:
        seeds = summary["seeds"].iloc[0]
        return f"{'Seed' if len(seeds) == 1 else 'Seeds'}: {listed(seeds)}."
    by_column = trained.groupby(name_columns(summary))["seeds"].nunique()
    by_dataset = trained.groupby("dataset")["seeds"].nunique()
    if by_column.max() > 1 and by_dataset.max() == 1:
        rows, names = trained, trained["dataset"]
    else:
        rows, names = summary, name_columns(summary)
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for seeds, name in zip(rows["seeds"], names, strict=True):
        by_seeds.setdefault(seeds, []).append(name)
    lists = Counter(name for names in by_seeds.values() for name in set(names))
    parts = [
        f"{listed(seeds)} ({listed(f'{name} in some rows' if lists[name] > 1 else name for name in first_seen(names))})"
        for seeds, names in sorted(by_seeds.items(), key=lambda item: (-len(item[0]), item[0]))
    ]
    return f"Seeds: {'; '.join(parts)}."


def describe_commits(commits: Collection[str]) -> str:
    """A sentence about the code that ran; a reader must see if it is not one committed version."""
    names = sorted(commits)
    if len(names) == 1:
        return f"Code: commit {names[0]}."
    return f"Code: these runs come from {len(names)} different versions: commits {listed(names)}."


def describe_compiled(summary: pd.DataFrame) -> str:
    """Which methods were trained with compiled steps; empty where none was."""
    used = summary[summary["compiled"] != "off"]
    how = {"graph": "as CUDA graphs", "inductor": "by torch.compile"}
    sentences = [
        f"Trained with steps compiled {how[kind]}: {listed(first_seen(rows['label']))}."
        for kind, rows in used.groupby("compiled")
    ]
    return " ".join(sentences)


def provenance(summary: pd.DataFrame, *, configuration: str, generated: Collection[str]) -> str:
    """The note on where numbers come from."""
    made_up = [name for name in first_seen(summary["dataset"]) if name in generated]
    contexts = sorted(set(summary["context"]) - {0})  # 0 is a row over several data sets
    shares = sorted(set(summary["train_percent"]))
    devices = sorted({device for devices in summary["devices"] for device in devices})
    sentences = [
        f"Generated data, not measurements: {listed(made_up)}." if made_up else "",
        f"Configuration: {configuration}.",
        describe_backbones(summary),
        f"Look-back T: {listed(contexts)} steps.",
        f"Trained on {listed(shares)} % of the training rows." if shares != [100] else "",
        describe_seeds(summary),
        f"Precision: {listed(sorted(set(summary['precision'])))}, on {listed(devices)}.",
        describe_compiled(summary),
        describe_commits({commit for commits in summary["commits"] for commit in commits}),
    ]
    return " ".join(sentence for sentence in sentences if sentence)
