"""Reads the catalogue of data sets, `config/datasets.yaml`, into frozen values.

Planning needs nothing but this module: it imports neither numpy nor torch. The data sets and their splits are those
of the paper's sections 4.1 and 4.2 and its table 6.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from timellama.core.errors import InputError
from timellama.core.schema import load_yaml
from timellama.data.sources import Artifact
from timellama.data.splits import Split

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "datasets.schema.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # a name becomes a folder's name


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """What is odd about a file, as counted by `normalise`; a file with other counts is refused, never repaired.

    `repeated_stamps`: rows whose time stamp is that of the row before. `irregular_steps`: other rows that do not
    follow the one before by one step of the frequency. `sentinel_cells`: values of exactly -9999, often a logger's
    mark for "missing"; they stay. `interpolated_cells`: cells that the reader filled. `replacement_characters`:
    U+FFFD in the header, left by a lost encoding. `notes`: what else a reader of the numbers should know.
    """

    repeated_stamps: int = 0
    irregular_steps: int = 0
    sentinel_cells: int = 0
    interpolated_cells: int = 0
    replacement_characters: int = 0
    notes: tuple[str, ...] = ()


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
        """The SHA-256 of the raw files, joined by '+'; None where a file of a person's own has none."""
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


def load_catalogue(path: Path, *, schema: Path = SCHEMA) -> dict[str, Dataset]:
    """Every data set of the catalogue at `path`, by name.

    Raises InputError, listing every problem, when the file breaks the schema or a rule that the schema cannot say.
    """
    entries = load_yaml(path, schema=schema)["datasets"]
    problems = [problem for name, entry in entries.items() for problem in _problems(name, entry)]
    problems += _same_path(entries)
    if problems:
        raise InputError("\n  - ".join([f"{path}: {len(problems)} problem(s)", *problems]))
    return {name: _dataset(name, entry) for name, entry in entries.items()}


def _dataset(name: str, entry: dict) -> Dataset:
    split = {"train": 0, "validation": 0, "test": 0, **entry["split"]}
    quirks = dict(entry.get("quirks", {}))
    columns = entry.get("columns")
    return Dataset(
        name=name,
        reader=entry["reader"],
        files=tuple(Artifact(**file) for file in entry["files"]),
        rows=entry["rows"],
        variates=entry["variates"],
        columns=tuple(columns) if columns else None,
        frequency=entry["frequency"],
        season=entry["season"],
        split=Split(**split),
        time_column=entry.get("time_column"),
        licence=entry["licence"],
        domain=entry["domain"],
        prompt=" ".join(entry["prompt"].split()),
        quirks=Quirks(**{**quirks, "notes": tuple(quirks.get("notes", ()))}),
    )


def _problems(name: str, entry: dict) -> list[str]:
    """Rules across keys."""
    problems = []
    if not NAME.fullmatch(name):
        problems.append(f"{name!r}: a name is letters, digits, '_', '.' and '-' and starts with a letter or digit")
    for i, file in enumerate(entry["files"]):
        place = f"datasets.{name}.files[{i}]"
        if not Artifact(**file).is_local and not file.get("sha256"):
            problems.append(f"{place}.sha256: is missing; only a path on this machine may do without it")
        if file["source"].startswith("pypi:") and not file.get("archive_sha256"):
            problems.append(f"{place}.archive_sha256: is missing; a package is only opened when its SHA-256 is right")
    columns = entry.get("columns")
    if columns and len(columns) != entry["variates"]:
        problems.append(f"datasets.{name}.columns: {len(columns)} names, but variates is {entry['variates']}")
    if entry["reader"] == "table" and not entry.get("time_column"):
        problems.append(f"datasets.{name}.time_column: is missing; the reader `table` needs the time column's name")
    wanted = 2 if entry["reader"] == "m4" else 1
    if len(entry["files"]) != wanted:
        problems.append(f"datasets.{name}.files: the reader `{entry['reader']}` takes {wanted} file(s)")
    problems += _split_problems(f"datasets.{name}.split", entry)
    try:
        entry["prompt"].format(context=1, horizon=1)
    except (KeyError, IndexError, ValueError) as error:
        problems.append(f"datasets.{name}.prompt: only {{context}} and {{horizon}} may stand in braces ({error!r})")
    return problems


def _split_problems(place: str, entry: dict) -> list[str]:
    split, problems = entry["split"], []
    numbers = [split.get(part) for part in ("train", "validation", "test")]
    if (split["rule"] == "published") != (entry["reader"] == "m4"):
        problems.append(f"{place}.rule: `published` goes with the reader `m4`, and with no other")
    if split["rule"] == "published":
        return problems
    if None in numbers:
        return [*problems, f"{place}: the rule `{split['rule']}` needs train, validation and test"]
    if split["rule"] == "months" and not split.get("rows_per_day"):
        problems.append(
            f"{place}.rows_per_day: is missing; the rule `months` counts months of 30 days of that many rows"
        )
    if split["rule"] == "ratio" and abs(sum(numbers) - 1) > 1e-9:
        problems.append(f"{place}: the shares add up to {sum(numbers):g}; they must add up to 1")
    return problems


def _same_path(entries: dict) -> list[str]:
    """Two different files must not claim one place in a mirror."""
    places: dict[str, tuple[str, str | None]] = {}
    problems = []
    for name, entry in entries.items():
        for file in entry["files"]:
            known, digest = places.setdefault(file["path"], (name, file.get("sha256")))
            if known != name and digest != file.get("sha256"):
                problems.append(f"datasets.{name}: the path {file['path']} is also that of another file, of {known}")
    return problems
