"""`reports/provenance.json`: where every number in the reports came from, with a digest of each file along the way.

A report lists the results that it was made from, a result the code, data, language model and machine that made it, and
every file its SHA-256, so that `timellama verify` (`verify.py`) can report what no longer matches. `docs/provenance.md`
describes the layout. No time of writing is kept, so the same files give the same index.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from timellama.core import layout
from timellama.core.code_digest import code_digest
from timellama.core.errors import InputError
from timellama.core.files import sha256_of
from timellama.core.provenance import commit
from timellama.core.schema import check_json, read_json
from timellama.reports.catalogue import OWN
from timellama.reports.render.markup import write_files
from timellama.results.aggregate import describe_commit
from timellama.results.read.documents import FORMAT, Found, Index, read_metrics

NAME = "reports/provenance.json"
# The code between results and reports; the code that a result depends on has its own digest in the result.
REPORTING = (*(report.build for report in OWN), "timellama.reports.registry", "timellama.reports.run_page")
ENVIRONMENT = ("versions", "hardware")
ENVIRONMENT_DIGITS = 12  # our choice: enough to distinguish the environments of one index


def make(reports: Mapping[str, Iterable[str]], *, configuration: str, root: Path = Path()) -> dict[str, Any]:
    """The index of `reports`, each with the results that it was made from; paths are relative to `root`.

    Raises InputError where a file is absent or a result is not one of this version.
    """
    made_from = {report: sorted(results) for report, results in sorted(reports.items())}
    results, environments = {}, {}
    for path in sorted({path for paths in made_from.values() for path in paths}):
        results[path] = _result(path, root=root, environments=environments)
    datasets = sorted({entry["dataset"] for entry in results.values() if entry["data_sha256"]})
    folders = sorted({entry["backbone_folder"] for entry in results.values() if entry["backbone_folder"]})
    return {
        "format": FORMAT,
        "configuration": configuration,
        "checkout": commit(),
        "reporting_code": reporting_code(),
        "reports": {path: _report(path, sources, results, root=root) for path, sources in made_from.items()},
        "results": results,
        "data": {name: _files(data_files(name, root=root), root=root) for name in datasets},
        "backbones": {folder: _files(_below(root / folder), root=root) for folder in folders},
        "environments": environments,
    }


def write(index: Mapping[str, Any], path: Path) -> None:
    """Writes the index whole or not at all."""
    write_files({path: json.dumps(index, indent=1, sort_keys=True, ensure_ascii=False) + "\n"})


def read(path: Path) -> dict[str, Any]:
    """An index. Raises InputError where there is none, or none of this layout."""
    build = f"build it with `snakemake -j1 {NAME}`."
    index = read_json(path, absent=f"Now {build}", damaged=f"Delete it and {build}")
    check_json(index, Index, path=path, remedy=f"Delete it and {build}")
    return index


def reporting_code() -> str:
    """The digest of the code that makes reports from results."""
    return code_digest(*REPORTING)


def data_files(dataset: str, *, root: Path) -> list[Path]:
    """The files of a prepared data set, and the published files that it was made from."""
    quirks = root / layout.QUIRKS.format(dataset=dataset)
    remedy = "Delete it and let snakemake prepare the data again."
    found = check_json(read_json(quirks, absent=remedy, damaged=remedy), Found, path=quirks, remedy=remedy)
    return [*_below(quirks.parent), *(root / layout.RAW.format(path=file.path) for file in found.raw)]


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _files(paths: Iterable[Path], *, root: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path. Raises InputError where one is absent."""
    found = {}
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} is absent, but results depend on it: let snakemake make it again")
        found[path.relative_to(root).as_posix()] = sha256_of(path)
    return found


def _report(path: str, sources: list[str], results: Mapping[str, Mapping], *, root: Path) -> dict[str, Any]:
    """A report: its digest, and what its numbers have in common."""
    used = [results[source] for source in sources]
    return {
        **_single(path, root=root),
        "results": sources,
        "commits": sorted({describe_commit(entry) for entry in used}),
        "seeds": sorted({entry["seed"] for entry in used if entry["seed"] is not None}),
        "data_sha256": dict(sorted((entry["dataset"], entry["data_sha256"]) for entry in used if entry["data_sha256"])),
    }


def _single(path: str, *, root: Path) -> dict[str, str]:
    (digest,) = _files([root / path], root=root).values()
    return {"sha256": digest}


def _result(path: str, *, root: Path, environments: dict[str, Any]) -> dict[str, Any]:
    """A run's or a sweep's result: its digest, those of the files beside it, and where the number came from."""
    document = read_metrics(root / path)
    try:
        origin = document["provenance"]
        run = document["run"] if "run" in document else document["sweep"]["run"]
        environment = {key: origin[key] for key in ENVIRONMENT}
        text = json.dumps(environment, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:ENVIRONMENT_DIGITS]
        environments[name] = environment
        backbone = run["backbone"]
        place = (root / path).parent
        beside = [file for file in _below(place) if file.name != layout.METRICS] if "run" in document else []
        return {
            **_single(path, root=root),
            "files": _files(beside, root=root),
            "dataset": run["dataset"],
            "data_sha256": origin.get("data_sha256"),
            "seed": run["seed"] if "run" in document else None,
            "run_digest": origin.get("run_digest") or Path(path).stem.rsplit("-", 1)[-1],
            "source_digest": origin["source_digest"],
            "git_commit": origin["git_commit"],
            "git_dirty": origin["git_dirty"],
            "backbone": backbone,
            "backbone_digest": origin.get("backbone_digest"),
            "backbone_folder": backbone and _folder(backbone),
            "environment": name,
            "threads": origin["threads"] if "run" in document else document["sweep"]["threads"],
            "started": origin["started"],
            "ended": origin["ended"],
        }
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{root / path} does not say where it came from ({error!r}): delete it and run again"
        ) from error


def _folder(backbone: Mapping[str, Any]) -> str:
    fields = {"blocks": backbone["blocks"], "weights": backbone["weights"]}
    return layout.BACKBONE.format(backbone=backbone["name"], **fields)
