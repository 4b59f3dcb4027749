"""The documents that runs write and reports read back: what each reader needs from them, checked before it is used.

A document may have more keys than its model names: runs write more over time, and a result outlives the version that
wrote it. If a reader does not find what it needs, an InputError names the file, the key, the rule and the remedy.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from timellama.core.schema import broken, check_json, read_json
from timellama.core.values import AsWritten, Count, Maybe, Percent, Sha256, Text, Whole
from timellama.training.scores.metric_objects import FORECAST, M4

FORECAST_ERRORS = tuple(metric.name for metric in FORECAST)  # paper, tables 1 and 3
M4_ERRORS = tuple(metric.name for metric in M4)  # paper, table 2
FORMAT = 1  # of `reports/provenance.json`; raised when a reader of the old layout would misread the new one
REMEDY = "It was cut short, edited, or written by another version: delete it and run again."

Number = AsWritten[Annotated[float, Field(strict=True)]]


class Document(BaseModel):
    """A JSON object, which may have more keys than are read."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class UsedBackbone(Document):
    """The language model of a run."""

    name: Text
    blocks: Count
    pin: str
    weights: str


class RunFacts(Document):
    """What a run was, as far as tables show it."""

    task: str
    dataset: str
    context: Count
    horizon: Count
    train_percent: Percent
    variant: str
    method: str
    seed: Whole
    precision: str
    compiled: str = "off"
    backbone: UsedBackbone | None
    data_sha256: str | None = None  # None for a user's own file that was not there at planning


class Parameters(Document):
    """Numbers of parameters."""

    total: Number | None
    trainable: Number | None


class Seconds(Document):
    """How long a run took."""

    train: Number | None
    evaluate: Number | None
    total: Number | None


class Router(Document):
    """What the router chose, block by block."""

    collapsed_blocks: tuple[Whole, ...]
    distinct_patterns: tuple[Whole, ...]


class Device(Document):
    """The device that computed."""

    device: str


class Commit(Document):
    """The code that computed a number."""

    git_commit: str
    git_dirty: bool | None


class Provenance(Commit):
    """Where a run's number came from."""

    hardware: Device
    data_sha256: str | None = None


class Metrics(Document):
    """`metrics.json`: the result of a run. An untrained method has no steps, a method without a router no `router`."""

    run: RunFacts
    identity: Text
    mse: Maybe[Number] = None
    mae: Maybe[Number] = None
    smape: Maybe[Number] = None
    mase: Maybe[Number] = None
    owa: Maybe[Number] = None
    n_windows: Number
    validation_loss: Number | None
    steps: Number | None
    best_step: Number | None
    parameters: Parameters
    seconds: Seconds
    peak_memory_bytes: Number | None
    router: Router | None
    provenance: Provenance

    @property
    def errors(self) -> tuple[str, ...]:
        """The errors of the run's task."""
        return M4_ERRORS if "smape" in self.model_fields_set else FORECAST_ERRORS

    @model_validator(mode="after")
    def _has_its_errors(self) -> "Metrics":
        if lacking := [name for name in self.errors if name not in self.model_fields_set]:
            raise broken(*(((name,), None, "is missing") for name in lacking))
        return self


class Machine(Document):
    """The machine of a run."""

    processor: str
    cores: Whole | None
    memory_gib: Whole
    system: str
    device: str = ""  # a sweep has it in its rows


class Environment(Commit):
    """Where and when a result was computed."""

    started: str
    ended: str
    versions: dict[str, str]
    hardware: Machine


class OfDataset(Document):
    """The data set of a run."""

    dataset: str


class Computed(Document):
    """What a run or a sweep records about where and when it was computed."""

    run: Maybe[OfDataset] = None  # a sweep's run has no data
    seconds: Maybe[Seconds] = None
    provenance: Environment


class Described(Document):
    """A result with everything that defines its run, which `Run.from_json` reads."""

    run: dict[str, Any]
    identity: Text


class CalibrationWindows(Document):
    """How many validation windows intervals were calibrated on, and of how many."""

    windows: Count
    of: Count


class OfWeights(Commit):
    """What intervals were made with."""

    source_digest: str
    weights_sha256: Sha256


class IntervalScores(Document):
    """`intervals.json`: the quality of the intervals around a run's forecasts, by level in per cent.

    None means infinite or, as the interval of a coverage, unknown.
    """

    run: Text
    n_windows: Count
    calibration: CalibrationWindows
    quantiles: Count
    coverage: dict[str, Number]
    coverage_interval: dict[str, tuple[Number, Number] | None]
    coverage_of_thirds: dict[str, tuple[Number, ...]]
    width: dict[str, Number | None]
    pinball: Number | None
    crps: Number | None
    provenance: OfWeights


class RawFile(Document):
    """A published file that a data set was made from."""

    path: Text


class Found(Document):
    """`quirks.json`: what was found in a data set."""

    raw: tuple[RawFile, ...]


class IndexedReport(Document):
    """A report, and the results that it was made from."""

    sha256: Sha256
    results: tuple[str, ...]


class IndexedResult(Document):
    """A result, its files, and where it came from."""

    sha256: Sha256
    files: dict[str, Sha256]
    dataset: str
    data_sha256: str | None
    backbone_folder: str | None
    backbone_digest: dict[str, str] | None


class Index(Document):
    """`reports/provenance.json`."""

    format: Literal[FORMAT]
    configuration: str
    reporting_code: Text
    reports: dict[str, IndexedReport]
    results: dict[str, IndexedResult]
    data: dict[str, dict[str, Sha256]]
    backbones: dict[str, dict[str, Sha256]]

    @model_validator(mode="after")
    def _is_whole(self) -> "Index":
        """Check that everything that one part names is in the other."""
        problems = [
            (("reports", report, "results", number), path, "must be one of `results`")
            for report, entry in self.reports.items()
            for number, path in enumerate(entry.results)
            if path not in self.results
        ]
        for path, entry in self.results.items():
            if entry.data_sha256 and entry.dataset not in self.data:
                problems.append((("results", path, "dataset"), entry.dataset, "must be one of `data`"))
            if entry.backbone_folder and entry.backbone_folder not in self.backbones:
                place = ("results", path, "backbone_folder")
                problems.append((place, entry.backbone_folder, "must be one of `backbones`"))
        if problems:
            raise broken(*problems)
        return self


D = TypeVar("D", bound=Document)


def read_metrics(path: Path) -> dict[str, Any]:
    """The content of a result, unchecked. Raises InputError if it is absent or not a JSON object."""
    return read_json(path, absent="Run the run that writes it first.", damaged="Delete it and run again.")


def as_result(document: dict[str, Any], kind: type[D], path: Path) -> D:
    """A result as `kind`. Raises InputError naming the file, each key that is absent or wrong, and the remedy."""
    diverged = "If the training diverged, lower its learning rate. " if kind is Metrics else ""
    return check_json(document, kind, path=path, remedy=f"{diverged}{REMEDY}")


def read_scores(path: Path) -> IntervalScores:
    """The content of an `intervals.json`. Raises InputError if it is absent or damaged."""
    again = "Delete it and let snakemake make it again."
    found = read_json(path, absent="Let snakemake make it.", damaged=again)
    return check_json(found, IntervalScores, path=path, remedy=again)
