"""A bench: a file becomes a data set and a configuration in a separate folder, the workflow runs it, and the results
are read back.

The folder is a whole project: `bench.yaml` is the configuration, `config/local/datasets.yaml` says how the file is
read, results and reports are where the workflow puts them. So the same call resumes where another was stopped, and
every command of timellama works in the folder.
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml

from timellama.core import layout
from timellama.core.errors import InputError, did_you_mean
from timellama.core.files import atomic, sha256_of
from timellama.core.layout import METRICS
from timellama.core.schema import read_yaml
from timellama.core.shipped import CATALOGUE, LOCAL_CATALOGUE, SHIPPED, shipped
from timellama.core.shipped import METHODS as METHODS_FILE
from timellama.data.add_file import Found, add_entry, describe, inspect_file, require_plain, require_windows
from timellama.data.catalogue.datasets import load_datasets
from timellama.data.files.detect import Asked
from timellama.data.splits import Split
from timellama.experiments.matrix import Matrix, make_matrix
from timellama.experiments.methods_file import load_methods
from timellama.own_data.budget import Budget, fitted
from timellama.own_data.plan import METHODS, configuration_text, context_of
from timellama.results.leaderboard import Leaderboard, leaderboards

CONFIGURATION = "bench.yaml"
MADE = "bench.json"  # what the configuration was written for, and its text at that time
SCHEMA = "config/schema/config.json"
SPLIT = Split(rule="ratio", train=0.7, validation=0.1, test=0.2)  # Autoformer's, as for the paper's own data sets
TARGETS = ("reports/table_leaderboard.html", "reports/figures/forecasts_{dataset}.png")
MOST_PASSES = 50  # our choice: passes over the training windows after which nothing useful is learned
ENDINGS = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".xlsx")  # dropped from the file name
OWN = "-own"  # appended to the name of a file if a published data set has it


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user requests: H, T (None: chosen from the rows), methods, seeds, seconds for all trainings together."""

    horizon: int
    context: int | None = None
    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = (0,)
    seconds: float = 180.0  # our choice: from a clone to the leaderboard in five minutes, of which one is installation
    split: Split = SPLIT
    frequency: str | None = None
    season: int | None = None
    accept_quirks: bool = False


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A bench that is ready to run in `folder`.

    told: what the user should know about how the file was read. edited: whether the user edited the configuration.
    budget: how it was fitted into the time; None if an earlier configuration stays.
    """

    folder: Path
    dataset: str
    time_column: str | None
    told: tuple[str, ...]
    edited: bool
    budget: Budget | None = None

    @property
    def configfile(self) -> Path:
        """The configuration."""
        return self.folder / CONFIGURATION

    @property
    def results(self) -> Path:
        """The folder of the runs."""
        return self.folder / layout.RESULTS

    @property
    def targets(self) -> list[str]:
        """The files of the workflow that a bench makes."""
        return [target.format(dataset=self.dataset) for target in TARGETS]

    def matrix(self) -> Matrix:
        """The matrix of its runs."""
        return make_matrix(read_yaml(self.configfile), root=self.folder, origin=str(self.configfile))

    def leaderboard(self) -> Leaderboard:
        """The leaderboard of the results. Raises InputError if no run is finished."""
        planned = self.matrix().experiment("long_term")
        files = [self.results / run.folder / METRICS for run in planned]
        boards = leaderboards(file for file in files if file.is_file())
        found = [board for board in boards if board.dataset == self.dataset]  # an edited configuration may have others
        if not found:
            raise InputError(
                f"{self.results} has no finished run of {self.configfile}; see {self.folder / layout.LOGS}"
            )
        return found[0]


def prepare(
    file: Path,
    wish: Wish,
    *,
    asked: Asked,
    folder: Path,
    name: str,
    on_progress: Callable[[str], None],
) -> Bench:
    """Check the file and write what the workflow needs into `folder`.

    A configuration that was written for the same file and wish stays as it is. Otherwise a few steps are timed, to fit
    the trainings into the time; `on_progress` receives what is being timed.

    Raises InputError for a file that cannot be read or leaves no windows, for an unknown method, and if an edited
    configuration was written for another file or wish.
    """
    found = inspect_file(file, asked=asked, frequency=wish.frequency, season=wish.season)
    if not wish.accept_quirks:
        require_plain(found, file)
    _require_methods(wish.methods, folder)
    context = wish.context or context_of(wish.split, rows=found.rows)
    windows = require_windows(found, wish.split, context=context, horizon=wish.horizon)
    digest = sha256_of(file)
    made_for = {"file": digest, "wish": asdict(wish), "asked": asdict(asked), "name": name}
    written = _written(folder)
    text = (folder / CONFIGURATION).read_text(encoding="utf-8") if (folder / CONFIGURATION).is_file() else None
    if not written and any((folder / place).exists() for place in (CONFIGURATION, LOCAL_CATALOGUE)):
        raise InputError(f"{folder} has a configuration or data sets that no bench wrote: give another --folder")
    edited = text is not None and text not in written.get("configurations", ())
    same = written.get("made_for") == json.loads(json.dumps(made_for))
    if edited and not same:
        raise InputError(
            f"{folder / CONFIGURATION} was edited, and is for another file or other settings: give another --folder, "
            f"or delete {folder / CONFIGURATION}"
        )
    dataset = _free(name, folder)
    bench = Bench(
        folder=folder,
        dataset=dataset,
        time_column=found.time_column,
        told=tuple(found.told),
        edited=edited,
    )
    if text is not None and same:
        return bench
    before = [text] if text is not None else []
    _note(folder, made_for=None, configurations=before)
    _add(file, digest, found, dataset, wish, folder)
    _share_downloads(folder)
    sizes = {"context": context, "horizon": wish.horizon, "methods": wish.methods, "seeds": wish.seeds}
    schema = os.path.relpath(SHIPPED / SCHEMA, folder.resolve())

    def text_of(series: int) -> str:
        return configuration_text(dataset, **sizes, series=series, schema=schema)

    def matrix_of(series: int) -> Matrix:
        return make_matrix(yaml.safe_load(text_of(series)), root=folder, origin=str(bench.configfile))

    most = MOST_PASSES * windows["train"] * len(found.columns)
    budget = fitted(matrix_of, seconds=wish.seconds, most=most, results=bench.results, on_progress=on_progress)
    made = text_of(budget.series)
    _note(folder, made_for=None, configurations=[*before, made])
    with atomic(bench.configfile) as out:
        out.write(made.encode())
    _note(folder, made_for=made_for, configurations=[made])
    return replace(bench, budget=budget)


def _require_methods(names: Sequence[str], folder: Path) -> None:
    known = load_methods(shipped(METHODS_FILE, folder=folder), added={}, origin=METHODS_FILE)
    for name in names:
        if name not in known:
            raise InputError(
                f"method {name!r} is not known{did_you_mean(name, known)}; it is one of {', '.join(known)}"
            )


def _note(folder: Path, *, made_for: dict | None, configurations: list[str]) -> None:
    """Record what the folder is for, and which texts of the configuration are not a user's; None while it is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / MADE) as out:
        out.write(json.dumps({"made_for": made_for, "configurations": configurations}, indent=1).encode())


def _written(folder: Path) -> dict:
    try:
        return json.loads((folder / MADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def name_of(file: Path) -> str:
    """The file's name without endings, in characters that a folder name may have."""
    stem = file.name
    while Path(stem).suffix.lower() in ENDINGS:
        stem = Path(stem).stem
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or "data"


def _free(stem: str, folder: Path) -> str:
    """A name for the data set: the given one, unless it is one of the catalogue's."""
    published = {name.lower() for name, entry in load_datasets(folder).items() if not entry.local}
    return stem + OWN if stem.lower() in published else stem


def _add(file: Path, digest: str, found: Found, name: str, wish: Wish, folder: Path) -> None:
    """Write the data set's entry, instead of that of an earlier file or reading."""
    entry = describe(
        found,
        name=name,
        source=str(file.resolve()),
        sha256=digest,
        size=file.stat().st_size,
        ratio=(wish.split.train, wish.split.validation, wish.split.test),
        licence="our own",
        domain="own data",
        prompt=None,
    )
    own = folder / LOCAL_CATALOGUE
    own.parent.mkdir(parents=True, exist_ok=True)
    own.unlink(missing_ok=True)  # that of an earlier bench: others are refused
    add_entry(shipped(CATALOGUE, folder=folder), name, entry, file, own=own, write=True, published=True)


def _share_downloads(folder: Path) -> None:
    """Keep fetched files for the next bench: the folder's cache is a link to the user's cache."""
    cache = folder / layout.CACHE
    base = os.environ.get("XDG_CACHE_HOME")
    shared = (Path(base) if base else Path.home() / ".cache") / "timellama"
    shared.mkdir(parents=True, exist_ok=True)
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.symlink_to(shared, target_is_directory=True)
