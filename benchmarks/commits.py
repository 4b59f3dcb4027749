"""Checks bit for bit whether the commits behind the kept results train as the present code does.

`python -m benchmarks.commits --folder build/commits` takes each commit of `metrics.csv` and trains a short run of every
variant that is kept of it, with that commit's code and with the present code. It writes `docs/reference/commits.json`.
A short run is `STEPS` steps on ILI or M4 Weekly, the smallest real data of the reference (TimesNet: ETTh1), and the
error over all test windows. The digest of the code differs between all these commits, since it covers everything that a
number could depend on. This checks whether the numbers differ too.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from safetensors import safe_open

from timellama.core.provenance import processor

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs/reference/cpu/metrics.csv"
OUTPUT = ROOT / "docs/reference/commits.json"
# Our choice: enough for Adam's moments, the routers and the dropout of every method to have left their start.
STEPS = 6
VALIDATION_WINDOWS = 32  # our choice: one batch is enough to exercise a validation
PERCENT = 50  # our choice: 5 % of ILI's rows are too few for a window
LONG = {"ILI": {"context": 96, "horizons": [24]}}
# At its published width, a step on ILI takes minutes (config/methods.yaml).
HEAVY = {"timesnet": {"dataset": "ETTh1", "method": "timesnet", "context": 512, "horizons": [96]}}
SHORT = {"M4-Weekly": {"context": 26, "horizons": [13]}}
CONFIG = yaml.safe_load((ROOT / "config/cpu.yaml").read_text(encoding="utf-8"))
BACKBONE = CONFIG["backbones"][0]
BLOCKS = BACKBONE["blocks"]
ERRORS = ("mse", "mae", "smape", "mase", "owa", "validation_loss", "n_windows", "steps", "best_step")


def variants_of(kept: pd.DataFrame) -> dict[str, list[Any]]:
    """The variants of the kept runs by experiment, and their numbers of blocks other than `BLOCKS`."""
    short, few = kept["run/task"] == "short-term", kept["run/train_percent"] < 100
    two_layers = kept["run/options/token_embedding"] == "mlp"
    parts = {
        "long_term": ~short & ~few & ~two_layers,
        "few_shot": few & ~two_layers,
        "short_term": short,
        "router": ~short & two_layers,
    }
    blocks = kept["run/backbone/blocks"].dropna().astype(int)
    # A published schedule cannot be cut short; its code is that of the variant without the suffix.
    variants = kept["run/variant"].str.removesuffix("-published")
    found: dict[str, list[Any]] = {name: sorted(set(variants[rows])) for name, rows in parts.items()}
    return found | {"depth": sorted({*blocks} - {BLOCKS})}


def configuration(wanted: Mapping[str, list[Any]], *, trained: set[str], linear: bool) -> dict[str, Any]:
    """A configuration of `wanted` (as returned by `variants_of`), with only keys that the oldest kept commit knows.

    `trained` are the methods with a budget. `linear` sets the token embedding of most kept results, which was the
    default before a configuration could name it. Other settings are those of `config/cpu.yaml`.
    """
    short = {"max_steps": STEPS, "validation_windows": VALIDATION_WINDOWS}
    own = {method: of.get("training", {}) for method, of in CONFIG["overrides"].items()}
    budget: dict[str, dict[str, Any]] = {each: {"training": own.get(each, {}) | short} for each in sorted(trained)}
    if linear and "time-llama" in budget:
        budget["time-llama"]["options"] = {"token_embedding": "linear"}
    two_layers = {"time-llama": {"options": {"token_embedding": "mlp"}, "training": short}}
    experiments: dict[str, dict[str, Any]] = {
        "long_term": {"datasets": LONG},
        "few_shot": {"datasets": LONG, "train_percent": PERCENT},
        "short_term": {"datasets": SHORT},
        # Commits before the experiment `tokens` have runs with its settings, so it is planned under another name.
        "router": {"datasets": LONG, "overrides": two_layers},
    }
    experiments = {name: entry | {"methods": wanted[name]} for name, entry in experiments.items() if wanted[name]}
    heavy = [name for name in wanted["long_term"] if name in HEAVY]
    if heavy:
        others = [name for name in wanted["long_term"] if name not in HEAVY]
        methods = others or ["seasonal-naive"]  # an empty list is refused
        experiments["long_term"] |= {"methods": methods, "also": [HEAVY[name] for name in heavy]}
    if wanted["depth"]:
        backbones = [BACKBONE | {"blocks": blocks} for blocks in wanted["depth"]]
        experiments["depth"] = {"datasets": LONG, "backbones": backbones, "methods": ["time-llama"]}
    return {
        "name": "commits",
        "mirrors": [],
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "seeds": [0],
        "backbones": [BACKBONE],
        "overrides": budget,
        "experiments": experiments,
    }


def trained_of(wanted: Mapping[str, list[Any]], *, catalogue: Mapping[str, Any]) -> set[str]:
    """The methods of `wanted` that are trained according to `catalogue`, the content of a `config/methods.yaml`."""
    named = {variant for name, variants in wanted.items() if name != "depth" for variant in variants}
    named |= {"time-llama"} if wanted["depth"] else set()
    return {catalogue[name]["method"] for name in named if name in catalogue and catalogue[name].get("training")}


def git(*order: str, folder: Path) -> str:
    """What git prints."""
    return subprocess.run(["git", *order], cwd=folder, check=True, text=True, capture_output=True).stdout


def trained_by(commit: str, settings: Mapping[str, Any], folder: Path) -> Path:
    """The results of `settings` by the code of `commit`, in a separate clone at `folder`.

    Existing files are kept, but for the runs of other settings.
    """
    if not (folder / ".git").is_dir():
        git("clone", "--quiet", str(ROOT), str(folder), folder=ROOT)
        git("checkout", "--quiet", "--detach", commit, folder=folder)
    begin(settings, folder)
    order = [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going", "--rerun-incomplete"]
    order += ["--configfile", "commits.yaml", "--until", "train"]
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "commits.log").open("w", encoding="utf-8") as log:
        subprocess.run(order, cwd=folder, check=True, stdout=log, stderr=log, env=environment)
    return folder / "results"


def begin(settings: Mapping[str, Any], folder: Path) -> None:
    """Write the configuration into the clone, and delete the runs of another one: they would be counted too."""
    file, text = folder / "commits.yaml", yaml.safe_dump(dict(settings), sort_keys=False)
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        for path in sorted((folder / "results").rglob("metrics.json")):
            shutil.rmtree(path.parent)
    file.write_text(text, encoding="utf-8")


def runs_in(results: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each run's path in `results` and its outcome: errors, losses, and digests of its weights."""
    for path in sorted(results.rglob("metrics.json")):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        ended = {name: metrics[name] for name in ERRORS if name in metrics}
        yield str(path.parent.relative_to(results)), ended | {"weights": weights_in(path.parent)}


def weights_in(run: Path) -> list[str]:
    """The digests of a run's trained tensors, sorted: a tensor may have had another name."""
    path = run / "weights.safetensors"
    if not path.is_file() or not path.stat().st_size:
        return []
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
        return sorted(hashlib.sha256(file.get_tensor(name).tobytes()).hexdigest() for name in names)


def compared(commit: str, rows: int, there: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """How many of the runs `there` ended like the present ones, and which did not."""
    both = sorted(there.keys() & present.keys())
    apart = [path for path in both if not same(there[path], present[path])]
    shown = [
        {
            "run": path,
            # The untrained model is validated too, so a training that only makes it worse ends where it began.
            "began": present[path]["best_step"] == 0 < there[path]["best_step"],
            "then": _errors(there[path]),
            "now": _errors(present[path]),
        }
        for path in apart
    ]
    without = sorted(there.keys() - present.keys())
    found = {"commit": commit, "rows": rows, "runs": len(both), "same": len(both) - len(apart)}
    return found | {"apart": shown, "not_planned_now": without}


def same(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether all that both runs recorded is equal: untrained forecasts once had no validation loss."""
    recorded = [name for name in then.keys() & now.keys() if then[name] is not None and now[name] is not None]
    return bool({"mse", "smape"} & set(recorded)) and all(then[name] == now[name] for name in recorded)


def _errors(ended: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in ended.items() if name != "weights"}


def package(commit: str) -> str:
    """Git's identifier of the package's content at a commit, independent of the commit's other files."""
    return git("rev-parse", f"{commit}:timellama", folder=ROOT).strip()


def recounted(document: Mapping[str, Any], kept: pd.DataFrame, *, package: Callable[[str], str]) -> dict[str, Any]:
    """The earlier `document` with each commit's current number of rows, and those of the present code's package.

    Raises ValueError for a commit with another package for which the document has no short runs.
    """
    rows = kept["provenance/git_commit"].value_counts().to_dict()
    found = {each["commit"]: each for each in document["commits"]}
    present = package(document["present"])
    alike = {commit: count for commit, count in rows.items() if commit not in found and package(commit) == present}
    unknown = rows.keys() - found.keys() - alike.keys()
    if unknown:
        raise ValueError(f"no short runs of {', '.join(sorted(unknown))}: run this without --count")
    each = [of | {"rows": rows[commit]} for commit, of in found.items() if commit in rows]
    return {**document, "alike": alike, "commits": each}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commits", description=__doc__)
    parser.add_argument("--folder", type=Path, help="folder for the clones and their results")
    parser.add_argument("--side-by-side", type=int, default=2, help="commits to run at once, each on one thread")
    parser.add_argument("--present", default="HEAD", metavar="COMMIT", help="the commit to compare the others with")
    parser.add_argument(
        "--only",
        nargs="*",
        help="the first digits of commits, instead of all; what the output has of other commits stays if it is of the "
        "same comparison",
    )
    parser.add_argument("--count", action="store_true", help="recount the kept results and train nothing")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help="the file to write")
    given = parser.parse_args()
    kept = pd.read_csv(KEPT, low_memory=False)
    if given.count:
        written(recounted(json.loads(given.output.read_text(encoding="utf-8")), kept, package=package), given.output)
        return
    if given.folder is None:
        parser.error("--folder is required unless --count is given")
    commits = dict(list(kept.groupby("provenance/git_commit", sort=False)))
    if given.only:
        commits = {commit: rows for commit, rows in commits.items() if commit.startswith(tuple(given.only))}
    present = git("rev-parse", given.present, folder=ROOT).strip()
    # The present code is first because it takes longest.
    asked = {present: variants_of(pd.concat(list(commits.values())))}
    alike = {commit: len(rows) for commit, rows in commits.items() if package(commit) == package(present)}
    commits = {commit: rows for commit, rows in commits.items() if commit not in alike}
    asked |= {commit: variants_of(rows) for commit, rows in commits.items()}

    def results(commit: str) -> dict[str, Any]:
        methods, file = (git("show", f"{commit}:config/{name}", folder=ROOT) for name in ("methods.yaml", "cpu.yaml"))
        trained = trained_of(asked[commit], catalogue=yaml.safe_load(methods))
        settings = configuration(asked[commit], trained=trained, linear="token_embedding" in file)
        return dict(runs_in(trained_by(commit, settings, given.folder.resolve() / commit[:7])))

    with ThreadPoolExecutor(given.side_by_side) as pool:
        ended = dict(zip(asked, pool.map(results, asked), strict=True))
    each = [compared(commit, len(rows), ended[commit], ended[present]) for commit, rows in commits.items()]
    document = {"present": present, "processor": processor(), "steps": STEPS, "alike": alike, "commits": each}
    earlier = json.loads(given.output.read_text(encoding="utf-8")) if given.only and given.output.is_file() else {}
    written(joined(earlier, document), given.output)


def joined(earlier: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The `document` with those commits of the `earlier` one that it lacks, if both are of the same comparison."""
    if any(earlier.get(name) != document[name] for name in ("present", "processor", "steps")):
        return dict(document)
    now = {each["commit"] for each in document["commits"]} | document["alike"].keys()
    stay = [each for each in earlier["commits"] if each["commit"] not in now]
    return {**document, "alike": earlier["alike"] | document["alike"], "commits": [*stay, *document["commits"]]}


def written(document: Mapping[str, Any], path: Path) -> None:
    """Write the document to `path`."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
