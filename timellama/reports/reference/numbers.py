"""The numbers of a configuration as they are kept in the repository: every result in a CSV file, and what was planned.

A folder `docs/reference/<configuration>/` holds, beside tables and figures (`folder.py`):

- `metrics.csv`: one line per run, with all of its `metrics.json` (`core/flat_rows.py`);
- `efficiency.csv`: one line per measured cell, which together are the sweeps' files;
- `absent.csv`: the planned results that are absent, each with its reason;
- `plan.json`: which results each report is made from, and what else it needs.

So tables can be rebuilt without `results/`, and results of later sessions, on other machines, can be added.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from timellama.core import layout
from timellama.core.errors import InputError
from timellama.core.flat_rows import flatten, from_csv, nested, to_csv
from timellama.experiments.matrix import EFFICIENCY, Matrix
from timellama.experiments.run import DIGEST_LENGTH
from timellama.reports import report_facts
from timellama.reports.failures import UNFINISHED, lacking, reason_of
from timellama.results.aggregate import read_metrics
from timellama.training.scores.metric_objects import BUILT_IN

FORMAT = 1  # raised when a reader of the old layout would misread the new one
METRICS_CSV, EFFICIENCY_CSV, ABSENT_CSV, PLAN_JSON = "metrics.csv", "efficiency.csv", "absent.csv", "plan.json"
RESULT = "result"  # the column that names a line's result by its path
FIRST = (  # the columns that a reader looks for, before all others
    RESULT,
    *(f"run/{key}" for key in ("task", "dataset", "variant", "context", "horizon", "seed", "train_percent")),
    *("run/backbone/name", "run/backbone/blocks", *BUILT_IN, "n_windows"),
    *("steps", "best_step", "validation_loss", "parameters/total", "parameters/trainable"),
    *(f"seconds/{key}" for key in ("train", "evaluate", "total")),
    *(f"provenance/{key}" for key in ("git_commit", "git_dirty", "source_digest", "run_digest", "data_sha256")),
    *(f"provenance/{key}" for key in ("threads", "hardware/host_class", "started", "ended")),
    *("sweep/run/variant", "row/variates", "row/batch_size"),
)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The numbers of a configuration: what was planned, each result by its path, and why the others are absent."""

    matrix: Mapping[str, Any]
    results: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str]


def planned(matrix: Matrix, *, configfile: str) -> dict[str, Any]:
    """The content of `plan.json`, without what follows from the results, such as the remark on absent ones."""
    experiments = {}
    for name in matrix.config["experiments"]:
        facts = report_facts.report_facts(matrix, name, absent=())
        experiments[name] = {"results": report_facts.planned_files(matrix, name), "facts": facts}
    if EFFICIENCY in experiments:
        experiments[EFFICIENCY]["results"] = [layout.sweep_of(sweep.folder) for sweep in matrix.efficiency()]
    return _plain(
        {
            "format": FORMAT,
            "configuration": matrix.config["name"],
            "configfile": configfile,
            "command": f"make all CONFIG={configfile}",
            "datasets": report_facts.dataset_rows(matrix),
            "experiments": experiments,
        }
    )


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value))


def planned_results(matrix: Mapping[str, Any], *, without: Collection[str] = ()) -> list[str]:
    """Every result of the experiments of a `plan.json`, once; without those that only experiments in `without` have."""
    entries = [entry for name, entry in matrix["experiments"].items() if name not in without]
    return list(dict.fromkeys(path for entry in entries for path in entry["results"]))


def find(paths: Iterable[str], *, results: Path) -> dict[str, dict[str, Any]]:
    """Those of the results `results/...` that exist below the folder `results`.

    Raises InputError where a file cannot be read, or is not of the settings that its path names.
    """
    found = {}
    for path in paths:
        file = layout.within(results, path)
        if file.is_file():
            found[path] = read_metrics(file)
            if path != path_of(found[path]):
                raise InputError(f"{file} has settings other than its path says: delete it and run again")
    return found


def path_of(document: Mapping[str, Any]) -> str:
    """Where a result is, by the digest of the settings that it holds. Raises InputError for one that holds none."""
    try:
        if "sweep" in document:
            sweep = document["sweep"]
            run, digest = sweep["run"], _digest(canonical(sweep | {"run": canonical(sweep["run"])}))
            folder, name = f"{EFFICIENCY}/{run['variant']}", f"H{run['horizon']}-T{run['context']}"
        else:
            run, digest = document["run"], _digest(canonical(document["run"]))
            folder = f"{run['task']}/{run['dataset']}/{run['variant']}"
            name = f"H{run['horizon']}-T{run['context']}-s{run['seed']}"
        backbone = run["backbone"]
        name += f"-{backbone['name']}-x{backbone['blocks']}" if backbone else ""
    except (KeyError, TypeError) as error:
        raise InputError(f"a result does not hold its settings ({error!r}): make it again") from error
    place = f"{folder}/{name}-{digest}"
    return layout.sweep_of(place) if "sweep" in document else layout.metrics_of(place)


def canonical(value: Mapping[str, Any]) -> str:
    """Like `Run.to_json` and `Sweep.to_json`, of the settings as they were, whatever settings exist now."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def merged(kept: Kept | None, found: Mapping[str, Mapping], *, matrix: Mapping[str, Any], logs: Path) -> Kept:
    """What was kept, merged with what was found: of two results with the same settings, the one that ended later.

    An absent result gets its reason from its error file in the folder `logs`, or keeps the one that it had. A kept
    result that `matrix` no longer has is left out.
    """
    old = kept.results if kept else {}
    results = {}
    for path in planned_results(matrix):
        candidates = [document[path] for document in (old, found) if path in document]
        if candidates:
            results[path] = max(candidates, key=_ended)
    reasons = {}
    for path in planned_results(matrix):
        if path not in results:
            reason = reason_of(logs / Path(layout.log_of(path)).relative_to(layout.LOGS))
            reasons[path] = reason or (kept.reasons.get(path) if kept else None) or UNFINISHED
    return Kept(matrix=matrix, results=results, reasons=reasons)


def _ended(document: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(document["provenance"]["ended"])


def to_files(kept: Kept) -> dict[str, str]:
    """The texts of `plan.json` and the CSV files by name; the same numbers give the same bytes."""
    runs, cells = [], []
    for path, document in sorted(kept.results.items()):
        if "sweep" in document:
            common = {key: value for key, value in document.items() if key != "rows"}
            cells += [{RESULT: path} | flatten(common | {"row": row}) for row in document["rows"]]
        else:
            runs.append({RESULT: path} | flatten(document))
    absent = [{RESULT: path, "reason": reason} for path, reason in sorted(kept.reasons.items())]
    tables = {METRICS_CSV: runs, EFFICIENCY_CSV: cells, ABSENT_CSV: absent}
    texts = {name: to_csv(rows, first=FIRST) for name, rows in tables.items() if rows}
    return {PLAN_JSON: json.dumps(kept.matrix, indent=1, sort_keys=True, ensure_ascii=False) + "\n", **texts}


def read(folder: Path) -> Kept:
    """The inverse of `to_files`.

    Raises InputError where a file is absent or damaged, or a line does not have the settings that its path names.
    """
    try:
        matrix = json.loads((folder / PLAN_JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / PLAN_JSON} cannot be read ({error}): restore it from the repository") from error
    if not isinstance(matrix, dict) or matrix.get("format") != FORMAT:
        raise InputError(f"{folder / PLAN_JSON} is not of format {FORMAT}: restore it, or export again")
    results: dict[str, dict[str, Any]] = {}
    for path, document in _documents(folder / METRICS_CSV):
        if path in results:
            raise InputError(f"{folder / METRICS_CSV} has two lines for {path}: restore it from the repository")
        results[path] = document
    for path, document in _documents(folder / EFFICIENCY_CSV):
        row = document.pop("row", None)
        sweep = results.setdefault(path, document | {"rows": []})
        if row is None or {**sweep, "rows": None} != {**document, "rows": None}:
            raise InputError(f"{folder / EFFICIENCY_CSV}: the lines of {path} are not of one sweep: restore it")
        sweep["rows"].append(row)
    for path, document in results.items():
        if path != path_of(document):
            raise InputError(f"{folder}: the settings in the line of {path} are not those of that run: restore it")
    reasons = {row[RESULT]: row["reason"] for row in _lines(folder / ABSENT_CSV, needed=(RESULT, "reason"))}
    return Kept(matrix=matrix, results=results, reasons=reasons)


def _documents(path: Path) -> list[tuple[str, dict[str, Any]]]:
    return [(row.pop(RESULT), nested(row)) for row in _lines(path, needed=(RESULT,))]


def _lines(path: Path, *, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """The lines of a CSV file; none where it is absent, as it is without runs or sweeps."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        try:
            rows = from_csv(file.read())
        except (InputError, ValueError) as error:
            raise InputError(f"{path} is damaged: {error}. Restore it from the repository") from error
    if any(key not in row for row in rows for key in needed):
        raise InputError(f"{path} has a line without {' or '.join(needed)}: restore it from the repository")
    return rows


def facts_of(kept: Kept, experiment: str) -> dict[str, Any]:
    """What the report of an experiment needs, as `report_facts.report_facts` gives it for these results."""
    entry = kept.matrix["experiments"][experiment]
    planned_cells = [tuple(cell) for cell in entry["facts"]["planned"]]
    remark = report_facts.remark_on(entry["results"], kept.reasons)
    without = lacking({path: kept.reasons[path] for path in entry["results"] if path in kept.reasons})
    return {**entry["facts"], "planned": planned_cells, "remark": remark, **({"lacking": without} if without else {})}


def facts_of_several(
    kept: Kept, experiments: Iterable[str], *, files: Mapping[str, Path]
) -> tuple[dict[str, Any], dict[str, list[Path]]]:
    """As `report_facts.report_facts`, except the results: these come second, those of `files` by experiment."""
    planned = {
        name: kept.matrix["experiments"][name]["results"] for name in experiments if name in kept.matrix["experiments"]
    }
    remark = report_facts.remark_on(dict.fromkeys(path for of in planned.values() for path in of), kept.reasons)
    facts = facts_of(kept, next(iter(kept.matrix["experiments"])))
    found = {name: [files[path] for path in of if path in files] for name, of in planned.items()}
    return facts | {"planned": [], "not_run": [], "remark": remark}, found


def unpacked(kept: Kept, folder: Path) -> dict[str, Path]:
    """Writes each result below `folder` as a file, as report code reads it; the files by the results' paths."""
    files = {}
    for path, document in kept.results.items():
        files[path] = folder / path
        files[path].parent.mkdir(parents=True, exist_ok=True)
        files[path].write_text(json.dumps(document), encoding="utf-8")
    return files


def without(kept: Kept, matrix: Mapping[str, Any]) -> list[str]:
    """The kept results that `matrix` does not have."""
    return sorted(set(kept.results) - set(planned_results(matrix)))
