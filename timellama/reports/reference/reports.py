"""Tables and figures from kept numbers (`numbers.py`), by the functions that the workflow makes them with."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from timellama.experiments.matrix import EFFICIENCY, Plan
from timellama.reports import failures, report_figures, report_tables
from timellama.reports import report_facts as report_plan
from timellama.reports.claims import table as claims_table
from timellama.reports.dataset_table import dataset_table
from timellama.reports.figures import paper_vs_ours as paper_figure
from timellama.reports.reference.numbers import Kept, facts_of, facts_of_several, unpacked
from timellama.reports.render import style
from timellama.reports.render.markup import to_latex, to_markdown
from timellama.results.aggregate import read_metrics


def tables(kept: Kept, *, root: Path) -> dict[str, str]:
    """The text of each table by its file's name. The paper's numbers are read below `root`, the project's folder.

    Raises InputError as the tables do.
    """
    texts = {}
    with tempfile.TemporaryDirectory() as folder:
        files = unpacked(kept, Path(folder))
        for name, entry in kept.plan["experiments"].items():
            paths = [files[path] for path in entry["results"] if path in files]
            facts = facts_of(kept, name)
            if name == EFFICIENCY:
                published = root / report_plan.PUBLISHED_EFFICIENCY
                made = report_tables.efficiency_table(paths, published=published, facts=facts)
            else:
                published = report_plan.PUBLISHED_TABLES.get(name)
                published = root / published if published else None
                made = report_tables.table(name, metrics=paths, published=published, facts=facts)
            texts |= {f"table_{name}.tex": to_latex(made), f"table_{name}.md": to_markdown(made)}
        facts, paths = facts_of_several(kept, report_plan.CLAIMED, files=files)
        made = claims_table.of_files(paths, published=_published(root), facts=facts)
        texts |= {"table_claims.tex": to_latex(made), "table_claims.md": to_markdown(made)}
        made = dataset_table(kept.plan["datasets"], published=root / report_plan.PUBLISHED_DATASETS)
        texts |= {"table_datasets.tex": to_latex(made), "table_datasets.md": to_markdown(made)}
    return texts | _failures(kept)


def _published(root: Path) -> Path:
    """The folder of the paper's tables."""
    return (root / report_plan.PUBLISHED_CLAIMS[0]).parent


def _failures(kept: Kept) -> dict[str, str]:
    """The absent results, each with its reason and the command that makes it."""
    configfile = kept.plan["configfile"]
    absent = [
        failures.Failure(
            result=path, reason=reason, command=failures.command(path, configfiles=[configfile], settings=[])
        )
        for path, reason in sorted(kept.reasons.items())
    ]
    planned = len(kept.reasons) + len(kept.results)
    text = failures.summary(absent, configuration=kept.plan["configuration"], planned=planned)
    name = failures.REPORT
    return {
        f"{name}.tex": to_latex(failures.to_table(absent, text=text)),
        f"{name}.md": failures.to_markdown(absent, text=text),
    }


def figures(
    kept: Kept, *, plan: Plan, results: Path, old: Mapping[str, Sequence[str]], root: Path
) -> dict[str, tuple[bytes, list[str]]]:
    """The PNG of each figure that can be drawn, and the results that it was drawn from.

    Curves and forecasts are not kept as numbers, so a figure of them is drawn from the runs whose folders lie below
    `results`. `old` names the results that each figure at hand was drawn from: where one of them has no folder any
    more, the old figure says more and stays, and is left out here. Raises InputError as the figures do.
    """
    drawn = {}
    with tempfile.TemporaryDirectory() as folder:
        files = unpacked(kept, Path(folder))
        for name in report_plan.figure_names(plan):
            sources = _sources(name, kept, plan=plan, files=files, results=results)
            if sources and not set(old.get(name, ())) & set(kept.results) - set(sources):
                drawn[name] = (
                    _draw(name, kept, plan=plan, sources=sources, folder=Path(folder), root=root),
                    [*sources],
                )
    return drawn


def _sources(name: str, kept: Kept, *, plan: Plan, files: Mapping[str, Path], results: Path) -> dict[str, Path]:
    """By result, the files at hand that a figure is drawn from."""
    if name in report_plan.EFFICIENCY_FIGURES:
        return {path: files[path] for path in kept.plan["experiments"][EFFICIENCY]["results"] if path in files}
    if name == report_plan.VS_PAPER:
        _, paths = facts_of_several(kept, report_plan.BESIDE_PAPER, files=files)
        shown = {path for of in paths.values() for path in of}
        return {path: file for path, file in files.items() if file in shown}
    found = {}
    for path in report_plan.files_of_figure(plan, name, absent=kept.reasons):
        result = str(Path(path).with_name("metrics.json"))
        if path == result:
            found[result] = files[result]
            continue
        file = results / Path(path).relative_to("results")
        beside = file.with_name("metrics.json")
        # A folder whose numbers are not the kept ones has another run's curves.
        if file.is_file() and beside.is_file() and read_metrics(beside) == kept.results[result]:
            found[result] = file
    return found


def _draw(name: str, kept: Kept, *, plan: Plan, sources: Mapping[str, Path], folder: Path, root: Path) -> bytes:
    """A figure as PNG."""
    paths = list(sources.values())
    if name in report_plan.EFFICIENCY_FIGURES:
        figure, remark = report_figures.efficiency_figure(name, sweeps=paths, facts=facts_of(kept, EFFICIENCY))
    elif name == report_plan.VS_PAPER:
        facts, of = facts_of_several(kept, report_plan.BESIDE_PAPER, files=sources)
        parts = paper_figure.read_parts(of, published=_published(root), methods=facts["methods"])
        figure = paper_figure.paper_vs_ours(parts)
        remark = paper_figure.remark(parts, facts=facts)
    else:
        facts: dict[str, Any] = report_plan.figure_facts(plan, name, absent=kept.reasons)
        published = report_plan.PUBLISHED_FIGURES.get(name)
        figure = report_figures.figure(
            facts["figure"],
            files=paths,
            published=root / published if published else None,
            methods=facts["methods"],
            dataset=facts["dataset"],
        )
        there = len(report_plan.files_of_figure(plan, name, absent=kept.reasons))
        others = f"Drawn from {len(paths)} of {there} runs; of the others numbers are kept, but no curves."
        parts = [facts["remark"], others if len(paths) < there else "", report_figures.origin(name, paths)]
        remark = " ".join(part for part in parts if part)
    png = folder / f"{name}.png"
    style.save(figure, png.with_suffix(".pdf"), png, remark=remark)
    return png.read_bytes()
