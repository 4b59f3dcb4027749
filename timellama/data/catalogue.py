"""Reads the catalogue of data sets, `config/datasets.yaml`, into frozen values.

Planning needs nothing but this module: it imports neither numpy nor torch. The data sets and their splits are those
of the paper's sections 4.1 and 4.2 and its table 6.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from timellama.core.schema import load_yaml
from timellama.data.catalogue_models import DatasetEntry, Datasets, Quirks
from timellama.data.sources import Artifact
from timellama.data.splits import Split

NO_PARTS = {"train": 0, "validation": 0, "test": 0}  # of a split that is published


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

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the raw files, joined by '+'; None where a user-supplied file has none."""
        digests = [file.sha256 for file in self.files]
        return None if None in digests else "+".join(digests)

    @property
    def read_as(self) -> dict[str, object]:
        """What decides how the raw files are read; another text of prompt or licence is not among it."""
        kept = ("reader", "rows", "variates", "columns", "frequency", "time_column")
        counts = {name: value for name, value in dataclasses.asdict(self.quirks).items() if name != "notes"}
        return {name: getattr(self, name) for name in kept} | {"quirks": counts, "sha256": self.sha256}

    @property
    def generated(self) -> bool:
        """Whether the numbers were made by a formula instead of measured; every table says so."""
        return any(file.source.startswith("synthetic:") for file in self.files)


def load_catalogue(path: Path) -> dict[str, Dataset]:
    """Every data set of the catalogue at `path`, by name. Raises InputError, listing every problem of the file."""
    return {name: _dataset(name, entry) for name, entry in load_yaml(path, Datasets).datasets.items()}


def _dataset(name: str, entry: DatasetEntry) -> Dataset:
    fields = dict(entry) | {
        "files": tuple(file.artifact for file in entry.files),
        "columns": entry.columns or None,
        "split": Split(**NO_PARTS | entry.split),
        "prompt": " ".join(entry.prompt.split()),
    }
    return Dataset(name=name, **fields)
