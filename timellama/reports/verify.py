"""Recompute every digest that `reports/provenance.json` holds, and report what no longer matches.

Three chains are followed: a report to the results that it was made from; a result to the files beside it, the
current code and its own description of the run; and a result to its data and language model. A changed file is reported
once, not again with everything that depends on it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellama.core import layout
from timellama.core.errors import InputError
from timellama.core.files import sha256_of
from timellama.experiments.run import Run
from timellama.reports.provenance_index import reporting_code
from timellama.results.aggregate import read_metrics
from timellama.results.digests import code_of_intervals, code_of_run, code_of_sweep
from timellama.results.read.documents import read_scores
from timellama.results.read.runs import METRICS, read_run


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A file that is not what the index or another file says about it; `remedy` is what to do."""

    path: str
    problem: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was checked, and what did not match."""

    reports: int
    results: int
    files: int
    mismatches: tuple[Mismatch, ...]


RESULT_AGAIN = "delete it, then let snakemake make it again"
REPORT_AGAIN = "delete it and build the reports again (snakemake with this configuration)"


def verify(index: Mapping[str, Any], *, root: Path = Path()) -> Verdict:
    """Compare the files below `root` with an index (`provenance_index.read`). Nothing is changed."""
    checked = _Checked(root)
    found = [
        *_reports(index, checked),
        *_results(index, checked),
        *_parts(index["data"], "the prepared data", checked),
        *_parts(index["backbones"], "the language model", checked),
        *_data(index),
        *_backbones(index),
    ]
    return Verdict(
        reports=len(index["reports"]),
        results=len(index["results"]),
        files=len(checked.digests),
        mismatches=tuple(found),
    )


class _Checked:
    """Digests of files, each computed once."""

    def __init__(self, root: Path):
        self.root = root
        self.digests: dict[str, str | None] = {}

    def digest(self, path: str) -> str | None:
        """The file's SHA-256; None where there is no such file."""
        if path not in self.digests:
            file = self.root / path
            self.digests[path] = sha256_of(file) if file.is_file() else None
        return self.digests[path]

    def compare(self, path: str, expected: str, *, changed: str, remedy: str) -> Iterator[Mismatch]:
        digest = self.digest(path)
        if digest is None:
            yield Mismatch(path=path, problem="is absent", remedy=remedy)
        elif digest != expected:
            yield Mismatch(path=path, problem=changed, remedy=remedy)


def _reports(index: Mapping[str, Any], checked: _Checked) -> Iterator[Mismatch]:
    for path, entry in index["reports"].items():
        yield from checked.compare(path, entry["sha256"], changed="was changed after it was made", remedy=REPORT_AGAIN)
    if index["reporting_code"] != reporting_code():
        yield Mismatch(
            path="reports/",
            problem="were made by other reporting code than the current",
            remedy="build the reports again (snakemake with this configuration)",
        )


def _results(index: Mapping[str, Any], checked: _Checked) -> Iterator[Mismatch]:
    for path, entry in index["results"].items():
        users = sum(path in report["results"] for report in index["reports"].values())
        changed = f"is not the result that {users} report(s) were made from"
        remedy = f"if it was run again, build the reports again; if not, {RESULT_AGAIN}"
        differing = list(checked.compare(path, entry["sha256"], changed=changed, remedy=remedy))
        yield from differing
        for file, digest in entry["files"].items():
            yield from checked.compare(file, digest, changed="was changed after its run ended", remedy=remedy)
        if not differing:
            yield from _run(path, checked.root)


def _run(path: str, root: Path) -> Iterator[Mismatch]:
    """Whether an unchanged result describes itself, and depends on the current code."""
    try:
        if Path(path).name == METRICS:
            finished = read_run((root / path).parent)
            digest, origin = code_of_run(finished.run), finished.metrics["provenance"]
            yield from _intervals(Path(path).with_name(layout.INTERVALS), finished.run, root)
        else:
            document = read_metrics(root / path)
            digest, origin = code_of_sweep(document["sweep"]["run"]["method"]), document["provenance"]
    except (InputError, KeyError, TypeError) as error:
        yield Mismatch(path=path, problem=f"cannot be read by this version ({error})", remedy=RESULT_AGAIN)
        return
    if origin["source_digest"] != digest:
        yield Mismatch(
            path=path,
            problem=f"is of other code ({origin['source_digest'][:8]}) than the current ({digest[:8]})",
            remedy=f"snakemake makes it again; or go back to commit {origin['git_commit'][:7]}",
        )


def _intervals(path: Path, run: Run, root: Path) -> Iterator[Mismatch]:
    """Whether a run's intervals, where it has some, depend on the current code."""
    if (root / path).is_file() and read_scores(root / path).provenance.source_digest != code_of_intervals(run):
        yield Mismatch(
            path=path.as_posix(),
            problem="has intervals of other code than the current",
            remedy="snakemake makes it again",
        )


def _parts(groups: Mapping[str, Mapping[str, str]], what: str, checked: _Checked) -> Iterator[Mismatch]:
    for files in groups.values():
        for path, digest in files.items():
            yield from checked.compare(path, digest, changed=f"of {what} was changed", remedy=RESULT_AGAIN)


def _data(index: Mapping[str, Any]) -> Iterator[Mismatch]:
    """Whether each result was computed from the published files that existed when the index was made."""
    for path, entry in index["results"].items():
        if entry["data_sha256"]:
            files = index["data"][entry["dataset"]]
            there = {digest for file, digest in files.items() if Path(file).is_relative_to(layout.RAW_FOLDER)}
            if there != set(entry["data_sha256"].split("+")):
                yield Mismatch(
                    path=path,
                    problem=f"was computed from other files of {entry['dataset']} than those in {layout.RAW_FOLDER}",
                    remedy="let snakemake fetch and prepare the data again, then run it again",
                )


def _backbones(index: Mapping[str, Any]) -> Iterator[Mismatch]:
    """Whether each result was computed with the language model that existed when the index was made."""
    for path, entry in index["results"].items():
        for name, digest in (entry["backbone_digest"] or {}).items():
            folder = entry["backbone_folder"]
            if index["backbones"][folder].get(f"{folder}/{name}") != digest:
                yield Mismatch(
                    path=path,
                    problem=f"was computed with another {name} than the one in {folder}",
                    remedy="let snakemake prepare the language model again, then run it again",
                )
