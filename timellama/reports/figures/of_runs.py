"""What figures of runs share: their labels, the check of files with one line per step, and the remark on the figure.

Each file is beside the `metrics.json` of its run. `facts` are those of a `ReportContext`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from timellama.core import layout
from timellama.core.errors import InputError
from timellama.reports.render import style
from timellama.reports.render.markup import listed
from timellama.reports.render.origin import describe_commits, first_seen
from timellama.results import aggregate
from timellama.results.read import run_files


def without_results(name: str, *, facts: Mapping[str, Any]) -> tuple[Figure, str]:
    """An empty figure that says so, and the remark on it."""
    return style.blank(f"{name}: no run has a result"), remark([], facts=facts)


def labelled(files: Sequence[Path], *, methods: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Path]]:
    """Each file with the label of its method."""
    return [(methods[path.parts[-3]]["label"], path) for path in files]


def document_of(path: Path) -> Mapping[str, Any]:
    """The `metrics.json` of the run that a file belongs to. Raises InputError where it cannot be read."""
    return aggregate.read_metrics(path.with_name(layout.METRICS))


def require_every_step(path: Path) -> None:
    """Raises InputError for a CSV file whose end is missing: a run's last validation is after its last step."""
    steps, rows = document_of(path).get("steps"), run_files.read_rows(path, ["step"])
    last = rows["step"].max() if len(rows) else 0
    if last != steps or rows["step"].value_counts().nunique() > 1:
        raise InputError(
            f"{path} ends at step {last}, but the run beside it had {steps} steps: it was cut short or edited. Delete "
            "it and run again."
        )


def remark(files: Sequence[Path], *, facts: Mapping[str, Any], reading: str = "", of_test: bool = True) -> str:
    """The remark on a figure, one line each: how to read its marks, what it shows of which runs, and the code.

    `reading` is what axes and legend do not say. Test windows are left out of a figure that is not `of_test`. Raises
    InputError where a file cannot be read.
    """
    documents = [document_of(path) for path in files]
    cells: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for document in documents:
        cells.setdefault((document["run"]["dataset"], document["run"]["horizon"]), []).append(document)
    said = []
    for (dataset, horizon), of in cells.items():
        windows = listed(sorted({document["n_windows"] for document in of}))
        tested = f"{windows} test windows, " if of_test else ""
        said.append(f"{dataset}, H {horizon}: {tested}{_seeds(of)}")
    lines = [facts["remark"], f"Configuration: {facts['configuration']}."]
    if documents:
        made_up = [dataset for dataset in first_seen(dataset for dataset, _ in cells) if dataset in facts["generated"]]
        lines = [
            facts["remark"],
            reading,
            f"Generated data, not measurements: {listed(made_up)}." if made_up else "",
            f"Configuration: {facts['configuration']}. {'; '.join(said)}.",
            describe_commits({aggregate.describe_commit(document["provenance"]) for document in documents}),
        ]
    return "\n".join(filter(None, lines))


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
