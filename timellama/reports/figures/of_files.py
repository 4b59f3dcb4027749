"""Which figure is drawn from which files of the runs."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from timellama.core import layout
from timellama.core.errors import InputError
from timellama.reports.efficiency_rows import read_sweeps
from timellama.reports.figures import curves as figures
from timellama.reports.figures import efficiency as efficiency_figures
from timellama.reports.render import style
from timellama.reports.render.markup import listed
from timellama.reports.render.origin import describe_commits, first_seen
from timellama.results import aggregate
from timellama.results.read import run_files

WITH_STEPS = ("learning_curves", "router_training")  # figures of a CSV file with one or more lines per validation

WHISKERS = "Whiskers: standard deviation over seeds (n \N{MINUS SIGN} 1); none with one seed."
DRAWN = {  # figure: what its axes and its legend do not say
    "active_loras": WHISKERS,
    "depth": WHISKERS,
    "prompts": "A dot is a seed; the bar is their mean.",
    "learning_curves": "One line per seed; the marker is at the weights that are tested.",
}


def figure(
    name: str, *, files: Sequence[Path], published: Path | None, methods: Mapping[str, Mapping], dataset: str | None
) -> Figure:
    """A figure from runs' files: `metrics.json`, or the CSV or NPZ file that it draws.

    Without files it says that it has nothing to show. Raises InputError for an unknown figure, and as `figures` does.
    """
    if not files:
        return style.blank(f"{name}: no run has a result")
    labelled = [(methods[path.parts[-3]]["label"], path) for path in files]
    if name == "forecasts":
        return figures.forecasts(labelled, dataset=dataset)
    for path in files if name in WITH_STEPS else ():
        document = aggregate.read_metrics(path.with_name(layout.METRICS))
        if name == "learning_curves" or document.get("router"):
            _require_every_step(path, document.get("steps"))
    if name == "learning_curves":
        return figures.learning_curves(labelled, title=dataset)
    if name == "router_training":
        return figures.router_training(files[0], title=dataset)
    if name == "router_heatmap":
        return figures.router_heatmap(files)
    if name == "lora_distribution":
        return figures.lora_distribution(files, published=published)
    frame = aggregate.collect(files, methods=methods)
    if name == "active_loras":
        return figures.active_loras(frame, published=published)
    if name == "depth":
        return figures.depth(frame)
    if name == "prompts":
        return figures.prompts(frame)
    raise InputError(f"there is no figure {name!r}; see timellama/reports/figures/curves.py for those that exist")


def _require_every_step(path: Path, steps: int | None) -> None:
    """Raises InputError for a CSV file whose end is missing: a run's last validation is after its last step."""
    rows = run_files.read_rows(path, ["step"])
    last = rows["step"].max() if len(rows) else 0
    if last != steps or rows["step"].value_counts().nunique() > 1:
        raise InputError(
            f"{path} ends at step {last}, but the run beside it had {steps} steps: it was cut short or edited. Delete "
            "it and run again."
        )


def origin(name: str, files: Sequence[Path], *, configuration: str, generated: Collection[str]) -> str:
    """The remark on a figure, one line each: its marks, test windows and seeds by data set and horizon, and the code.

    Each file is beside the `metrics.json` of its run. Curves over training steps are not about the test windows,
    so those figures name none. Raises InputError where a file cannot be read.
    """
    documents = [aggregate.read_metrics(path.with_name(layout.METRICS)) for path in files]
    cells: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for document in documents:
        cells.setdefault((document["run"]["dataset"], document["run"]["horizon"]), []).append(document)
    said = []
    for (dataset, horizon), of in cells.items():
        windows = listed(sorted({document["n_windows"] for document in of}))
        tested = "" if name in WITH_STEPS else f"{windows} test windows, "
        said.append(f"{dataset}, H {horizon}: {tested}{_seeds(of)}")
    commits = {aggregate.describe_commit(document["provenance"]) for document in documents}
    if not documents:
        return f"Configuration: {configuration}."
    made_up = [dataset for dataset in first_seen(dataset for dataset, _ in cells) if dataset in generated]
    lines = [
        DRAWN.get(name),
        f"Generated data, not measurements: {listed(made_up)}." if made_up else None,
        f"Configuration: {configuration}. {'; '.join(said)}.",
        describe_commits(commits),
    ]
    return "\n".join(line for line in lines if line)


def _seeds(documents: Sequence[Mapping[str, Any]]) -> str:
    """The seeds of what was trained, and whether some method has fewer of them."""
    seeds: dict[tuple, set[int]] = {}
    for run in (document["run"] for document in documents if document["run"]["training"] is not None):
        settings = (run["variant"], run["context"], aggregate.describe_backbone(run["backbone"]))
        seeds.setdefault(settings, set()).add(run["seed"])
    if not seeds:
        return "nothing trained"
    every = set().union(*seeds.values())
    fewer = " (some with fewer)" if any(own != every for own in seeds.values()) else ""
    return f"seed{'s' if len(every) > 1 else ''} {listed(sorted(every))}{fewer}"


def efficiency_figure(name: str, *, sweeps: Sequence[Path], facts: Mapping[str, Any]) -> tuple[Figure, str]:
    """Latency or memory over the number of variates, and the remark on it.

    `facts` holds `methods` and `remark`. Raises InputError as `read_sweeps` does.
    """
    if not sweeps and facts["remark"]:
        return style.blank(f"{name}: no sweep has a result"), facts["remark"]
    rows = read_sweeps(sweeps, methods=facts["methods"])
    versions = describe_commits({row["commit"] for row in rows})
    return getattr(efficiency_figures, name)(rows), "\n".join(filter(None, (facts["remark"], versions)))
