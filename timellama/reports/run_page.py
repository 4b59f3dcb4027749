"""`reports/README.md`, the abstract of a run: what was run, on what, how long, the results, and where everything is.

The page of the reports, `reports/report.html`, takes its first text from it (`workflow/report/workflow.rst`): the text
between `BEGIN` and `END` is both Markdown and reStructuredText.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from timellama.reports.claims import table as claims_table
from timellama.reports.claims import verdicts
from timellama.reports.registry import notes_on
from timellama.reports.render.markup import MISSING, escape_markdown, listed, spell_time, to_markdown
from timellama.reports.report import MAIN
from timellama.reports.tables import of_experiments
from timellama.reports.tables.experiment import FEW_SHOT, LONG_TERM
from timellama.results.aggregate import describe_commit
from timellama.results.read.documents import Computed, as_result, read_metrics

BEGIN, END = "<!-- abstract: begin -->", "<!-- abstract: end -->"
PAPER = (
    "The paper Time-LlaMA (https://arxiv.org/abs/2502.13725; ACL 2025 SRW) says: take the first blocks of a large "
    "language model, leave them as they are, add a few small trainable parts that a router switches on and off, and "
    "you have a forecaster that is more accurate than models made for the purpose. This is what came out when "
    "timellama tried it."
)
READING = (
    "**How to read a number.** An error is a mean over seeds, measured on every window of the test part, which no "
    "choice has used. Smaller is better. *ours* is what this run measured, *paper* what the paper prints, *gap* how "
    "far ours is above it in per cent. A dash means that there is no such number. Methods called *floor* train nothing "
    "or nearly nothing: a method that does not beat them has learned little."
)
FIELDS = {"Hardware": "hardware", "Device": "device", "Versions": "versions", "Commit": "commit"}  # of `Origin`
CLAIMS = "table_claims"
FIGURE = "figures/paper_vs_ours.png"
HEADINGS = dict(zip(MAIN, (LONG_TERM, FEW_SHOT), strict=True))  # of the main table, by experiment


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a result comes from; `started` and `ended` are ISO 8601."""

    dataset: str | None  # a sweep reads none
    seconds: float | None  # of computing; None for a sweep
    started: str
    ended: str
    commit: str
    hardware: str
    device: str  # empty where it is not recorded
    versions: str


def read_origin(path: Path) -> Origin:
    """The origin of one result. Raises InputError where it cannot be read."""
    document = read_metrics(path)
    result = as_result(document, Computed, path)
    origin, machine = result.provenance, result.provenance.hardware
    hardware = [machine.processor, f"{machine.cores} cores", f"{machine.memory_gib} GiB", machine.system]
    return Origin(
        dataset=result.run and result.run.dataset,
        seconds=result.seconds and result.seconds.total,
        started=origin.started,
        ended=origin.ended,
        commit=describe_commit(document["provenance"]),
        hardware=", ".join(hardware),
        device=machine.device,
        versions=", ".join(f"{name} {version}" for name, version in sorted(origin.versions.items())),
    )


def page(
    files: Mapping[str, Sequence[Path]],
    *,
    planned: Mapping[str, int],
    settings: Mapping[str, Any],
    reports: Sequence[Path],
    place: Path,
    published: Path,
    facts: Mapping[str, Any],
) -> str:
    """The page at `place`, in Markdown.

    `files` are the existing results by experiment, `planned` how many each has when it is complete, `settings`
    the configuration's `device`, `precision`, `backbones` and `seeds`, `reports` the files that the page links to,
    `published` the folder of the paper's tables; `facts` as for `of_experiments.errors`, and under `main` by experiment
    those of the experiments that the main table may show.
    """
    origins = {path: read_origin(path) for path in dict.fromkeys(path for paths in files.values() for path in paths)}
    experiments = {name: [origins[path] for path in paths] for name, paths in files.items()}
    results = verdicts.read_results(files, methods=facts["methods"])
    labels = {name: entry["label"] for name, entry in facts["methods"].items()}
    found = verdicts.findings(results, published=published, labels=labels)
    used = {origin.dataset for origin in origins.values()} - {None}
    parts = [
        f"# Run of configuration {escape_markdown(facts['configuration'])}",
        BEGIN,
        PAPER,
        f"**What was run.** {_settings(facts, settings)} {_amount(origins)}",
        _warning(used, facts["generated"]),
        f"**{_plain(facts['remark'])}**" if facts["remark"] else "",
        READING,
        END,
        "## What was run, and how long",
        _experiments(experiments, planned),
        "## On what",
        _where(list(origins.values())),
        "## Errors",
        _main(files, facts=facts),
        _figure(reports),
        *(_verdicts(found) if any(path.stem == CLAIMS for path in reports) else ()),
        "## Every report",
        links(reports, place=place),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(text: str) -> str:
    """`text` escaped so that it prints as it is, both as Markdown and as reStructuredText."""
    return re.sub(r"([\\|*_`\[\]~$#<>&])", r"\\\1", re.sub(r"\s+", " ", text))


def _settings(facts: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """What the configuration requests, with the note on its language model."""
    backbones = settings["backbones"] or ()
    model = f", with the first {backbones[0]['blocks']} blocks of {backbones[0]['name']}" if backbones else ""
    seeds = settings["seeds"]
    text = (
        f"The configuration {facts['configuration']}, on {settings['device']} in {settings['precision']}{model}. Each "
        f"training was done with the seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}, unless a table says "
        "otherwise."
    )
    return _plain(" ".join([text, *notes_on(text, facts.get("models", {}))]))


def _figure(reports: Sequence[Path]) -> str:
    """Ours against the paper's, where the run has that figure, and where the remark on it is."""
    if not any(path.match(f"*/{FIGURE}") for path in reports):
        return ""
    remark = Path(FIGURE).with_suffix(".txt").as_posix()
    return f"![Ours against the paper's]({FIGURE})\n\nWhat the figure shows: [{Path(remark).name}]({remark})."


def _amount(origins: Mapping[Path, Origin]) -> str:
    """How many results there are, and how long they took."""
    if not origins:
        return "No run has a result."
    spent = sum(origin.seconds or 0 for origin in origins.values())
    first = datetime.fromisoformat(min(origin.started for origin in origins.values()))
    last = datetime.fromisoformat(max(origin.ended for origin in origins.values()))
    return (
        f"{len(origins)} results, some shared by several experiments; {spell_time(spent)} of training and testing, "
        f"between {first:%Y-%m-%d %H:%M} and {last:%Y-%m-%d %H:%M} UTC."
    )


def _warning(used: Collection[str], generated: Collection[str]) -> str:
    made_up = sorted(set(used) & set(generated))
    if not made_up:
        return ""
    kind = "All data are generated" if set(used) == set(made_up) else f"The data of {listed(made_up)} are generated"
    return f"**{_plain(kind)}, by a formula: their numbers test the code and mean nothing beyond it.**"


def _experiments(experiments: Mapping[str, Sequence[Origin]], planned: Mapping[str, int]) -> str:
    lines = ["| experiment | results | of | computing |", "|---|---:|---:|---:|"]
    for name, count in planned.items():
        here = experiments.get(name, [])
        told = [origin.seconds for origin in here if origin.seconds is not None]
        lines.append(f"| {name} | {len(here)} | {count} | {spell_time(sum(told)) if told else MISSING} |")
    return "\n".join(lines)


def _where(origins: Sequence[Origin]) -> str:
    """Machines, versions and commits, each with the number of its results where there are several."""
    lines = []
    for heading, field in FIELDS.items():
        counts = Counter(text for origin in origins if (text := getattr(origin, field)))
        for value, count in sorted(counts.items()):
            several = f" ({count} results)" if len(counts) > 1 else ""
            lines.append(f"- {heading}: {escape_markdown(value)}{several}")
    return "\n".join(lines) or "Nothing was run."


def _main(files: Mapping[str, Sequence[Path]], *, facts: Mapping[str, Any]) -> str:
    """The errors of every method in each cell; the table of the report has the paper's numbers beside them."""
    name = next((name for name in MAIN if files.get(name)), None)
    if name is None:
        return "No run of long-term or few-shot forecasting has a result."
    made = of_experiments.errors(files[name], experiment=name, heading=HEADINGS[name], facts=facts["main"][name])
    return to_markdown(made).strip()


def _verdicts(found: Sequence[verdicts.Finding]) -> Iterator[str]:
    """The paper's claims, for a run that has a table of them."""
    yield "## Verdicts on the paper's claims"
    yield f"{escape_markdown(claims_table.count(found))}; the table of claims has the rules."
    lines = ["| | statement | effect | verdict | of |", "|---|---|---|---|---|"]
    for finding in found:
        effect, more = claims_table.effect_and_interval(finding), claims_table.what_was_run(finding)
        texts = (finding.statement.number, finding.statement.text, effect, finding.verdict, more)
        lines.append(f"| {' | '.join(map(escape_markdown, texts))} |")
    yield "\n".join(lines)


def links(reports: Sequence[Path], *, place: Path) -> str:
    """One line per report, with a link to each of its files from the page at `place`."""
    stems: dict[Path, list[Path]] = {}
    for path in reports:
        stems.setdefault(path.with_suffix(""), []).append(path)
    lines = []
    for stem, paths in stems.items():
        here = [
            f"[{path.suffix.lstrip('.')}]({Path(os.path.relpath(path, place.parent)).as_posix()})" for path in paths
        ]
        lines.append(f"- {escape_markdown(stem.name)}: {', '.join(here)}")
    return "\n".join(lines)
