"""What a configuration takes before anything runs: runs done and left, downloads, disk, memory and time, and how many
machines or GPUs it needs to end by a deadline.

Costs are counted from shapes (`flops`). Time is counted operations at a measured speed if the configuration's device
is here (`timing`), and at an assumed speed if it is not. For runs that have already finished, the same prediction
is made and compared with what they took.
"""

import csv
import dataclasses
import json
import math
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from timellama.backbones.catalogue import BackboneEntry
from timellama.core import layout
from timellama.core.layout import RECORD
from timellama.cost import workload
from timellama.cost.backbone_shapes import BackboneShape, backbone_shape
from timellama.cost.flops import Costs, Counted, count
from timellama.cost.workload import Seconds, Speed
from timellama.data.fetch.sources import Artifact
from timellama.experiments.matrix import Matrix
from timellama.experiments.run import Run
from timellama.experiments.work import Work, windows_of, work_of
from timellama.results.read.runs import METRICS
from timellama.results.status import is_current, is_measured

BY_TOMORROW = 24 * 3600.0  # seconds
NUMBER_BYTES = {"gpt2": 4}  # of a number in the published weights, if it is not 2; openai-community keeps float32
OWN_HEAD = ("Llama-2-7B",)  # in the catalogue, those whose output table is not the embedding table (its config.json)
GGUF_NUMBER = 4  # a number that was read from a GGUF file is kept in float32
NOTHING = Counted(flops=0, calls=0, bytes=0)
FILE_OVERHEAD = 200_000  # our choice, bytes: metrics, history, forecasts and log of a run


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that is left. `seconds` and `flops` are upper bounds: training stops early when patience ends."""

    run: Run
    work: Work
    costs: Costs
    seconds: Seconds
    flops: int
    step_bytes: int  # the least memory of a training step, where it computes
    forecast_bytes: int  # the same of a batch of forecasts
    bytes: int  # the most of both
    whole_bytes: int  # the most if all of a batch passed at once
    weight_bytes: int  # the least, of only the weights, their gradients and the optimiser

    @property
    def least_bytes(self) -> int:
        """The least memory that it takes."""
        return max(self.step_bytes, self.forecast_bytes)


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that is not here. `bytes` is None if its size is not published; `estimated` says that it was computed from
    the model's shape."""

    name: str
    source: str
    bytes: int | None
    estimated: bool = False


@dataclass(frozen=True, kw_only=True)
class Check:
    """A finished run compared with the prediction for the steps that it made: processor seconds and memory."""

    folder: str
    predicted: float
    measured: float
    predicted_bytes: int
    measured_bytes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a configuration takes."""

    done: int
    measured_again: int  # of the jobs, finished runs that were measured with other metrics of the configuration's own
    jobs: tuple[Job, ...]
    downloads: tuple[Download, ...]
    disk_bytes: int
    disk_free: int
    checks: tuple[Check, ...]


def shapes_of(
    matrix: Matrix, *, results: Path, memory: float, on_progress: Callable[[str], None]
) -> tuple[dict[Run, Costs], dict[Run, BackboneShape | None], dict[tuple[str, int], BackboneShape]]:
    """The counted costs of every shape of a plan, its backbone's shape, and the shapes by backbone and blocks.

    A run may take `memory` bytes: the part of a batch that passes at once is cut to that, as in training.
    """
    known: dict[tuple[str, int], BackboneShape] = {}
    costs: dict[Run, Costs] = {}
    backbones: dict[Run, BackboneShape | None] = {}
    shapes = list(dict.fromkeys(workload.shape_run(run) for run in matrix.every_run().values()))
    for number, shape in enumerate(shapes, 1):
        on_progress(f"counting shape {number} of {len(shapes)}: {shape.method} H{shape.horizon} N{shape.variates}")
        if shape.backbone:
            key = (shape.backbone.name, shape.backbone.blocks)
            if key not in known:
                prepared = layout.within(results, layout.BACKBONE, backbone=key[0], blocks="*", weights="*")
                places = sorted(prepared.parent.glob("*"))
                places.append(layout.within(results, layout.CACHE) / "backbones" / key[0])
                known[key] = backbone_shape(matrix.backbones[key[0]], blocks=key[1], places=places)
            backbones[shape] = known[key]
        else:
            backbones[shape] = None
        costs[shape] = count(shape, shape=backbones[shape], memory=memory)
    return costs, backbones, known


def make_estimate(
    matrix: Matrix,
    *,
    results: Path,
    costs: Mapping[Run, Costs],
    shapes: Mapping[tuple[str, int], BackboneShape],
    speed: Speed,
    overhead: float,
    base_bytes: int,
    on_host: bool,
    definitions: Mapping[str, str],
) -> Estimate:
    """What the plan takes. `definitions` are digests of the configuration's own metrics by place: a run that was
    measured with others is left. `overhead` seconds and `base_bytes` are added to every run; `on_host` says that its
    series is in the same memory."""
    jobs, checks, done, again = [], [], 0, 0
    for folder, run in matrix.every_run().items():
        dataset, cost = matrix.datasets[run.dataset], costs[workload.shape_run(run)]
        work = work_of(run, windows_of(run, rows=dataset.rows, frequency=dataset.frequency))
        shape = shapes[run.backbone.name, run.backbone.blocks] if run.backbone else None
        base = base_bytes + (workload.host_bytes(run, dataset, shape, cost) if on_host else 0)
        held = workload.HELD_ON_CPU if on_host else 1.0
        most = base + workload.device_bytes(run, cost, held=held)[1]
        largest = max(cost.step.bytes if cost.step else 0, cost.forecast.bytes)
        whole = most + (int(held * (cost.whole_bytes - largest)) if cost.whole_bytes else 0)
        passes = (dataclasses.replace(cost, forecast=NOTHING), dataclasses.replace(cost, step=None))
        step, forecast = (base + workload.device_bytes(run, part, held=held)[0] for part in passes)
        current = is_current(run, results / folder / METRICS)
        if current and not is_measured(run, results / folder / METRICS, definitions):
            again += 1
        elif current:
            done += 1
            check = _check(run, results, work, cost, speed, overhead, most)
            checks += [check] if check else []
            continue
        jobs.append(
            Job(
                run=run,
                work=work,
                costs=cost,
                seconds=workload.run_seconds(run, work, cost, speed, overhead=overhead),
                flops=workload.run_flops(work, cost),
                step_bytes=step,
                forecast_bytes=forecast,
                bytes=most,
                whole_bytes=whole,
                weight_bytes=workload.static_bytes(run, cost),
            )
        )
    downloads = tuple(_downloads(matrix, results, shapes))
    here = results if results.is_dir() else Path()
    return Estimate(
        done=done,
        measured_again=again,
        jobs=tuple(jobs),
        downloads=downloads,
        disk_bytes=_disk(matrix, results, shapes, jobs, downloads),
        disk_free=shutil.disk_usage(here).free,
        checks=tuple(checks),
    )


def _check(
    run: Run, results: Path, work: Work, cost: Costs, speed: Speed, overhead: float, needed: int
) -> Check | None:
    """The prediction for the steps and validations that a finished run made, and the workflow's own benchmark."""
    benchmark = layout.within(results, layout.benchmark_of(run.folder))
    history = results / run.folder / layout.HISTORY
    if not benchmark.is_file() or not history.is_file():
        return None
    with benchmark.open(encoding="utf-8", newline="") as file:
        [taken] = list(csv.DictReader(file, delimiter="\t"))[-1:]
    with history.open(encoding="utf-8", newline="") as file:
        validations = sum(1 for _ in csv.DictReader(file))
    metrics = json.loads((results / run.folder / METRICS).read_text(encoding="utf-8"))
    if metrics["provenance"]["resumed_at"]:
        return None  # the benchmark covers only the last start
    batches = work.validation_batches // work.validations if work.validations else 0
    made = Work(
        steps=metrics["steps"],
        validations=validations,
        validation_batches=validations * batches,
        test_batches=work.test_batches,
    )
    try:
        measured = float(taken["cpu_time"])
        resident = int(float(taken["max_rss"]) * 2**20)
    except ValueError:
        return None  # Snakemake writes NA for a job that ended before its first look
    return Check(
        folder=run.folder,
        predicted=workload.run_seconds(run, made, cost, speed, overhead=overhead).total,
        measured=measured,
        predicted_bytes=needed,
        measured_bytes=resident,
    )


def summary_of(checks: Sequence[Check]) -> dict[str, float]:
    """The ratio of predicted to measured over the finished runs: the median and the two ends."""
    ratios = sorted(check.predicted / check.measured for check in checks if check.measured > 0)
    memory = sorted(check.predicted_bytes / check.measured_bytes for check in checks if check.measured_bytes > 0)
    found = {}
    for name, values in (("time", ratios), ("memory", memory)):
        if values:
            found |= {f"{name}_median": statistics.median(values)}
            found |= {f"{name}_least": values[0], f"{name}_most": values[-1]}
    return found


def _downloads(matrix: Matrix, results: Path, shapes: Mapping) -> Iterator[Download]:
    """What the runs need and what is in neither `results/raw`, a prepared folder nor the cache."""
    used = {run.dataset for run in matrix.every_run().values()}
    seen = set()
    for name in matrix.datasets:
        for file in matrix.datasets[name].files if name in used else ():
            if file.path not in seen and not _is_here(file, results):
                seen.add(file.path)
                yield Download(name=file.path, source=file.source, bytes=file.bytes)
    for name in dict.fromkeys(name for name, _ in shapes):
        entry = matrix.backbones[name]
        wanted = {run.backbone for run in matrix.every_run().values() if run.backbone and run.backbone.name == name}
        folders = [layout.within(results, layout.backbone_folder(model)) / RECORD for model in wanted]
        if entry.kind in ("random", "folder") or all(folder.is_file() for folder in folders):
            continue
        yield from _of_backbone(entry, results, shapes[max(key for key in shapes if key[0] == name)])


def _of_backbone(entry: BackboneEntry, results: Path, shape: BackboneShape) -> Iterator[Download]:
    if entry.kind == "gguf":
        if not layout.within(results, layout.CACHED, sha256=entry.pin).is_file():
            yield Download(name=entry.name, source=entry.source, bytes=entry.bytes)
        return
    weights = [file for file in entry.files if file.endswith(".safetensors")]
    digests = [entry.files[file] for file in weights]
    if all(digest and layout.within(results, layout.CACHED, sha256=digest).is_file() for digest in digests):
        return
    # All shards of the whole model: only the index says which of them hold the first blocks.
    family = shape.architecture["family"]
    numbers = {name: math.prod(size) for name, size in shape.tensors.items()}
    block = sum(number for name, number in numbers.items() if name.startswith(("layers.0.", "h.0.")))
    rest = sum(number for name, number in numbers.items() if not name.startswith(("layers.", "h.")))
    tables = 2 if entry.name in OWN_HEAD else 1
    total = block * entry.blocks + rest + tables * shape.vocabulary * shape.width
    size = total * NUMBER_BYTES.get(family, 2)
    yield Download(name=entry.name, source=f"hub:{entry.source}", bytes=size, estimated=True)


def _is_here(file: Artifact, results: Path) -> bool:
    kept = file.sha256 is not None and layout.within(results, layout.CACHED, sha256=file.sha256).is_file()
    own = file.is_local and Path(file.source).expanduser().is_file()
    fetched = layout.within(results, layout.RAW, path=file.path).is_file()
    return kept or own or fetched or file.source.startswith("synthetic:")


def _disk(matrix: Matrix, results: Path, shapes: Mapping, jobs: Sequence[Job], downloads: Sequence[Download]) -> int:
    """Additional bytes that results will take: downloads, series, prepared backbones, weights, checkpoints.

    Checkpoints (three times the trained numbers, and the best weights) are counted only for the largest run: each is
    deleted when its run ends.
    """
    total = sum(download.bytes or 0 for download in downloads)
    for name in {job.run.dataset for job in jobs}:
        if not layout.within(results, layout.SERIES, dataset=name).is_file():
            total += matrix.datasets[name].rows * (matrix.datasets[name].variates + 1) * 8
    for backbone in {job.run.backbone for job in jobs if job.run.backbone}:
        if not (layout.within(results, layout.backbone_folder(backbone)) / RECORD).is_file():
            shape = shapes[backbone.name, backbone.blocks]
            plain = NUMBER_BYTES.get(shape.architecture["family"], 2)
            number = GGUF_NUMBER if matrix.backbones[backbone.name].kind == "gguf" else plain
            total += workload.prepared_bytes(shape, number=number)
    total += sum(4 * job.costs.trained + FILE_OVERHEAD for job in jobs)
    return total + max((16 * job.costs.trained for job in jobs), default=0)
