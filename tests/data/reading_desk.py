"""Takes a file through all steps of `timellama data add` and the workflow: inspected, added, loaded, normalised."""

import json
from pathlib import Path
from typing import Any

from timellama.core.files import sha256_of
from timellama.data.add_file import add_entry, describe, inspect_file
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import Dataset, load_catalogue
from timellama.data.files.detect import Asked
from timellama.data.series import Series, load_series

PUBLISHED = """datasets:
  Known:
    reader: table
    files: [{path: known.csv, source: known.csv}]
    rows: 9
    variates: 1
    frequency: h
    season: 24
    split: {rule: ratio, train: 0.7, validation: 0.1, test: 0.2}
    time_column: date
    licence: our own
    domain: nothing
    prompt: Known.
"""


class ReadingDesk:
    """A folder with a published catalogue; `last` is the data set that was read last, and `facts` its `quirks.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = folder / "config/datasets.yaml"
        self.own = folder / "config/local/datasets.yaml"
        self.catalogue.parent.mkdir(exist_ok=True)
        self.catalogue.write_text(PUBLISHED, encoding="utf-8")
        self.facts: dict[str, Any] = {}
        self.last: Dataset | None = None

    def entry(self, path: Path, *, asked: Asked, name: str = "Own", frequency: str | None = None) -> dict[str, Any]:
        found = inspect_file(path, asked=asked, frequency=frequency)
        facts = {"licence": "our own", "domain": "own", "prompt": None, "ratio": (0.7, 0.1, 0.2)}
        pinned = {"sha256": sha256_of(path), "size": path.stat().st_size}
        return describe(found, name=name, source=str(path), **pinned, **facts)

    def read(self, path: Path, *, asked: Asked | None = None, frequency: str | None = None) -> Series:
        """The series of a file, whose entry is written, loaded and normalised."""
        self.own.unlink(missing_ok=True)
        entry = self.entry(path, asked=asked or Asked(), frequency=frequency)
        add_entry(self.catalogue, "Own", entry, path, own=self.own, write=True)
        self.last = load_catalogue(self.catalogue)["Own"]
        normalise(self.last, [path], self.folder / "series.npz", self.folder / "quirks.json")
        self.facts = json.loads((self.folder / "quirks.json").read_text(encoding="utf-8"))
        return load_series(self.folder / "series.npz")
