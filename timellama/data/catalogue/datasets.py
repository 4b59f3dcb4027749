"""Reads the catalogue of data sets, `config/datasets.yaml` and `config/local/datasets.yaml`, into frozen values.

The second file is the user's own and optional. No name may be in both.

Planning needs only this module, which imports neither numpy nor torch. The data sets and their splits are those
of the paper's sections 4.1 and 4.2 and its table 6.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from timellama.core.errors import InputError
from timellama.core.schema import load_yaml
from timellama.core.shipped import CATALOGUE, LOCAL_CATALOGUE, shipped
from timellama.data.catalogue.entries import DatasetEntry, Datasets, Quirks
from timellama.data.catalogue.reading import Reading, Repairs
from timellama.data.fetch.sources import Artifact
from timellama.data.splits import Split

LOCAL = Path("local/datasets.yaml")  # beside the catalogue; git ignores the folder
NO_PARTS = {"train": 0, "validation": 0, "test": 0}  # of a published split


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set of the catalogue.

    `rows` and `variates` are those of the canonical file (for M4: series, and 1). `columns` are the variates' names
    in order, or None where only their number is checked. `frequency` is a pandas alias. `season` is the number of
    steps in a season: a day in hourly data, a year in weekly data. `prompt` may hold `{context}` and `{horizon}`.
    """

    name: str
    reader: str
    files: tuple[Artifact, ...]
    rows: int
    variates: int
    columns: tuple[str, ...] | None
    frequency: str
    season: int
    split: Split
    time_column: str | None
    licence: str
    domain: str
    prompt: str
    quirks: Quirks
    reading: Reading = field(default_factory=Reading)
    repairs: Repairs = field(default_factory=Repairs)
    calendar: bool = False  # whether methods that read the calendar are given it, if a configuration says nothing
    local: bool = False  # whether it is the user's own, from LOCAL

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the raw files, joined by '+'; None if a user-supplied file has none."""
        digests = [file.sha256 for file in self.files]
        return None if None in digests else "+".join(digests)

    @property
    def read_as(self) -> dict[str, object]:
        """What decides how the raw files are read; the texts of prompt and licence do not."""
        kept = ("reader", "rows", "variates", "columns", "frequency", "time_column")
        counts = {name: value for name, value in dataclasses.asdict(self.quirks).items() if name != "notes"}
        facts = {name: getattr(self, name) for name in kept} | {"quirks": counts, "sha256": self.sha256}
        if self.reading.chosen:  # a seasonal repair looks one season back
            facts |= {"reading": self.reading_text, "repairs": self.repairs.counted, "season": self.season}
        return facts

    @property
    def reading_text(self) -> str | None:
        """How the file is read and repaired, as part of a run's identity; None if nothing is chosen.

        Which rows are missing depends on the frequency.
        """
        chosen = self.reading.chosen | ({"frequency": self.frequency} if self.reading.on_grid else {})
        return json.dumps(chosen, sort_keys=True) if chosen else None

    @property
    def generated(self) -> bool:
        """Whether the numbers were made by a formula instead of measured; every table says so."""
        return any(file.source.startswith("synthetic:") for file in self.files)


def load_datasets(folder: Path = Path()) -> dict[str, Dataset]:
    """`load_catalogue` of the project in `folder`, or of the published catalogue and the folder's own."""
    return load_catalogue(shipped(CATALOGUE, folder=folder), own=folder / LOCAL_CATALOGUE)


def load_catalogue(path: Path, *, own: Path | None = None) -> dict[str, Dataset]:
    """Every data set of the catalogue at `path`, by name, and then those of the user's `own` file, which is beside it.

    Raises InputError, listing every problem of a file, and for a name or a file's path that both claim.
    """
    published = load_yaml(path, Datasets).datasets
    found = {name: _dataset(name, entry) for name, entry in published.items()}
    own = own or path.parent / LOCAL
    if not own.is_file():
        return found
    names = {name.lower(): name for name in published}
    places = {file.path: (name, file.sha256) for name, entry in published.items() for file in entry.files}
    for name, entry in load_yaml(own, Datasets).datasets.items():
        if name.lower() in names:
            raise InputError(
                f"{own}: the data set {name!r} has the name of {names[name.lower()]!r} in {path}; give it another name"
            )
        for file in entry.files:
            other, digest = places.get(file.path, (name, file.sha256))
            if digest != file.sha256:
                raise InputError(
                    f"{own}: the path {file.path} of {name} is that of a file of {other} in {path}; change it"
                )
        found[name] = _dataset(name, entry, local=True)
    return found


def _dataset(name: str, entry: DatasetEntry, *, local: bool = False) -> Dataset:
    fields = dict(entry) | {
        "files": tuple(file.artifact for file in entry.files),
        "columns": entry.columns or None,
        "split": Split(**NO_PARTS | entry.split),
        "prompt": " ".join(entry.prompt.split()),
    }
    return Dataset(name=name, local=local, **fields)
