"""The folder `docs/reference/<configuration>/`: made from results, added to, and checked without them.

`check` rebuilds every table from the numbers that the folder keeps, with the current code, and compares it byte for
byte. Figures are not redrawn, since their bytes depend on the machine's libraries: they are compared with their
digests.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError
from timellama.core.files import atomic
from timellama.core.provenance import commit
from timellama.experiments.matrix import Matrix
from timellama.reports import registry
from timellama.reports.reference import numbers as reference
from timellama.reports.reference import reports as reference_reports
from timellama.reports.reference.numbers import Kept
from timellama.reports.render.markup import markdown_paragraph
from timellama.reports.verify import Mismatch
from timellama.results.aggregate import describe_commit

INDEX = "provenance.json"
README = "README.md"
FIGURES = "figures"
PNG = b"\x89PNG\r\n\x1a\n"  # how every PNG file begins
LARGEST = 10_000_000  # our choice, bytes: a repository that is cloned for its code should stay small
SHOWN = 160  # our choice: characters shown of a line that differs
EXPORT = "if the results are right, `timellama reference export` rebuilds the folder; if not, restore it"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export did: results in all, planned, new and replaced; figures drawn, and figures that stayed."""

    results: int
    planned: int
    added: int
    replaced: int
    drawn: tuple[str, ...]
    stayed: tuple[str, ...]
    size: int


def export(
    folder: Path, *, matrix: Matrix, configfile: str, results: Path, root: Path = Path(), drop: bool = False
) -> Exported:
    """Make the folder, or add the results below `results` to it. Nothing is written if anything fails.

    With `drop`, kept results that the configuration no longer plans are left out; without it, they are an error.
    Raises InputError where a result cannot be read, and as tables and figures do.
    """
    made_by = commit()  # before anything is written
    facts = reference.planned(matrix, configfile=configfile)
    kept = reference.read(folder) if folder.exists() else None
    gone = reference.without(kept, facts) if kept else []
    if gone and not drop:
        raise InputError(
            f"{len(gone)} results that {folder} keeps are no longer planned by {configfile}, the first is "
            f"{gone[0]}. Their settings changed: restore the configuration, or leave them out with --drop"
        )
    found = reference.find(reference.planned_results(facts), results=results)
    new = reference.merged(kept, found, matrix=facts, logs=results / "logs")
    if not new.results:
        raise InputError(f"no result of {configfile} is in {results}: run some first ({facts['command']})")
    names = [name for name, report in registry.reports(matrix.config["experiments"]).items() if not report.is_table]
    old = {name: entry for name, entry in _read_index(folder)["figures"].items() if name in names} if kept else {}
    drawn = reference_reports.figures(
        new, matrix=matrix, results=results, old={name: entry["results"] for name, entry in old.items()}, root=root
    )
    pictures = {name: (folder / FIGURES / f"{name}.png").read_bytes() for name in old}
    pictures |= {name: png for name, (png, *_) in drawn.items()}
    figures = old | {
        name: {"sha256": _sha256(png), "remark": remark, "results": of} for name, (png, remark, of) in drawn.items()
    }
    contents = _texts(new, figures=figures, made_by=made_by, root=root)
    contents |= {f"{FIGURES}/{name}.png": png for name, png in pictures.items()}
    size = sum(map(len, contents.values()))
    if size > LARGEST:
        raise InputError(f"{folder} would take {size} bytes, more than {LARGEST}: keep fewer runs or figures")
    stale = set(_files(folder)) - set(contents) if kept else set()
    for name, content in contents.items():
        with atomic(folder / name) as file:
            file.write(content)
    for name in stale:
        (folder / name).unlink()
    before = kept.results if kept else {}
    return Exported(
        results=len(new.results),
        planned=len(new.results) + len(new.reasons),
        added=len(set(new.results) - set(before)),
        replaced=sum(before[path] != document for path, document in new.results.items() if path in before),
        drawn=tuple(sorted(drawn)),
        stayed=tuple(sorted(set(figures) - set(drawn))),
        size=size,
    )


def check(folder: Path, *, root: Path = Path()) -> list[Mismatch]:
    """What in the folder differs from what its numbers give. Nothing is changed.

    Raises InputError where the folder or its index is absent, or its numbers cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: make it with `timellama reference export`")
    kept, index = reference.read(folder), _read_index(folder)
    planned = reference.planned_results(kept.matrix)
    if odd := [path for path in planned if (path in kept.results) == (path in kept.reasons)]:
        problem = f"and the files of numbers do not hold each planned result exactly once, for example {odd[0]}"
        return [Mismatch(path=str(folder / reference.ABSENT_CSV), problem=problem, remedy=EXPORT)]
    problems = []
    there = _files(folder)
    contents = _texts(kept, figures=index["figures"], made_by=index["made_by"], root=root)
    wanted = {name: _sha256(content) for name, content in contents.items()}
    wanted |= {f"{FIGURES}/{name}.png": entry["sha256"] for name, entry in index["figures"].items()}
    for name in sorted(set(there) | set(wanted)):
        if name not in wanted:
            problem = "is not part of the reference"
        elif name not in there:
            problem = "is absent"
        elif _sha256(there[name]) == wanted[name]:
            continue
        else:
            problem = _difference(there[name], contents[name]) if name in contents else "was changed after it was made"
        problems.append(Mismatch(path=str(folder / name), problem=problem, remedy=EXPORT))
    for name, entry in index["figures"].items():
        path = f"{FIGURES}/{name}.png"
        if path in there and not there[path].startswith(PNG):
            problems.append(Mismatch(path=str(folder / path), problem="is no PNG picture", remedy=EXPORT))
        if odd := sorted(set(entry["results"]) - set(kept.results)):
            problem = f"is said to show {odd[0]}, which is not kept"
            problems.append(Mismatch(path=str(folder / path), problem=problem, remedy=EXPORT))
    size = sum(map(len, there.values()))
    if size > LARGEST:
        problems.append(Mismatch(path=str(folder), problem=f"takes {size} bytes of {LARGEST}", remedy=EXPORT))
    return problems


def _texts(
    kept: Kept, *, figures: Mapping[str, Mapping[str, Any]], made_by: Mapping[str, Any], root: Path
) -> dict[str, bytes]:
    """Every file of the folder except the figures, by name; `figures` has the digests and results of those."""
    numbers, tables = reference.to_files(kept), reference_reports.tables(kept, root=root)
    index = {
        "format": reference.FORMAT,
        "made_by": made_by,
        "numbers": {name: _sha256(text.encode()) for name, text in numbers.items()},
        "tables": {name: _origin(kept, tables, name) for name in sorted({Path(file).stem for file in tables})},
        "figures": figures,
    }
    texts = {**numbers, **tables, README: _readme(kept, tables, figures)}
    texts[INDEX] = json.dumps(index, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return {name: text.encode() for name, text in texts.items()}


def _origin(kept: Kept, tables: Mapping[str, str], name: str) -> dict[str, Any]:
    """A table's digests, the results that it was made from, and what these have in common."""
    experiments = kept.matrix["experiments"]
    needed = registry.experiments_of(registry.reports(experiments)[name], experiments)
    planned = reference.planned_results({"experiments": {each: experiments[each] for each in needed}})
    used = {path: kept.results[path] for path in planned if path in kept.results}
    runs = [document for document in used.values() if "run" in document]
    return {
        "sha256": {file: _sha256(tables[file].encode()) for file in (f"{name}.md", f"{name}.tex")},
        "results": sorted(used),
        "absent": sum(path in kept.reasons for path in planned),
        "commits": sorted({describe_commit(document["provenance"]) for document in used.values()}),
        "seeds": sorted({document["run"]["seed"] for document in runs}),
        "data_sha256": {run["run"]["dataset"]: run["provenance"]["data_sha256"] for run in runs},
    }


def _readme(kept: Kept, tables: Mapping[str, str], figures: Mapping[str, Any]) -> str:
    """What somebody who opens the folder reads first."""
    matrix, origins = kept.matrix, [document["provenance"] for document in kept.results.values()]
    planned = len(kept.results) + len(kept.reasons)
    seconds = sum(document["seconds"]["total"] for document in kept.results.values() if "seconds" in document)
    days = sorted(origin["ended"][:10] for origin in origins)
    lines = [
        f"# Reference: `{matrix['configfile']}`",
        f"What `{matrix['command']}` gave: {len(kept.results)} of {planned} results"
        + ("; [why the others are absent](table_failures.md). They are shown as dashes." if kept.reasons else ".")
        + " Made by `timellama reference export`; nothing here is written by hand. [How to read, check and extend"
        " it](../README.md).",
        "\n".join(
            [
                f"- Commits: {', '.join(sorted({describe_commit(origin) for origin in origins}))}",
                f"- Ended: {days[0]} to {days[-1]}" if days[0] != days[-1] else f"- Ended: {days[0]}",
                f"- Machines: {'; '.join(sorted({_machine(origin) for origin in origins}))}",
                f"- Trainings and tests together: {seconds / 3600:.1f} h of wall time",
            ]
        ),
        "\n".join(f"- [{name}]({name})" for name in sorted(tables) if name.endswith(".md")),
        *(part for name in sorted(figures) for part in _shown(name, figures[name])),
    ]
    return "\n\n".join(lines) + "\n"


def _shown(name: str, figure: Mapping[str, Any]) -> list[str]:
    """A figure and the remark on it; one that was drawn before remarks were kept has it in its picture."""
    remark = figure.get("remark")
    return [f"![{name}]({FIGURES}/{name}.png)", *([markdown_paragraph(remark)] if remark else [])]


def _machine(origin: Mapping[str, Any]) -> str:
    hardware = origin["hardware"]
    return hardware.get("host_class") or f"{hardware['processor']}, {hardware['cores']} cores"


def _difference(kept: bytes, made: bytes) -> str:
    """The first line in which two texts differ."""
    pairs = zip_longest(kept.decode(errors="replace").splitlines(), made.decode(errors="replace").splitlines())
    for number, (theirs, ours) in enumerate(pairs, start=1):
        if theirs != ours:
            start = next((i for i, (a, b) in enumerate(zip(theirs or "", ours or "", strict=False)) if a != b), 0)
            place = slice(max(start - SHOWN // 2, 0), start + SHOWN // 2)
            return f"is not what the numbers give. Line {number}: {(theirs or '')[place]!r}, from the numbers: " + repr(
                (ours or "")[place]
            )
    return "is not what the numbers give: its line endings differ"


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["format"] == reference.FORMAT and {"figures", "made_by"} <= set(index):
            return index
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}): restore it from the repository") from error
    raise InputError(f"{path} is not of format {reference.FORMAT}: restore it, or export again")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
