"""One run from its specification to its files: seed, build, train, evaluate, write.

Each file is written under another name and renamed, so a result is whole or absent.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from timellama.backbones.prepared import load_prepared
from timellama.core import provenance
from timellama.core.files import atomic, remove_unfinished, write_arrays, write_csv, write_json
from timellama.core.jobs.interruption import Interrupted, Signals
from timellama.core.jobs.job_state import ProgressWriter
from timellama.core.jobs.lock import locked
from timellama.core.machine.allocator import keep_freed_memory
from timellama.core.values import named_fields
from timellama.data.marks import Calendar
from timellama.data.series import Series, load_series
from timellama.data.windows import missing_targets, prepare
from timellama.experiments.memory import WHOLE, Fit, fit_of, in_words
from timellama.experiments.run import Run, Training
from timellama.training.build import build, weight_bytes
from timellama.training.choice import settled
from timellama.training.device import (
    hardware,
    memory_at_hand,
    peak_memory,
    pick_device,
    processor_of,
    seed_everything,
)
from timellama.training.scores.evaluation import evaluate
from timellama.training.scores.metric_objects import EXTRA, FORECAST, Metric, definitions, record
from timellama.training.steps.checkpoint import Checkpoint
from timellama.training.train import HISTORY, ROUTER_HISTORY, Trained, train, trainable_state, validate
from timellama.training.trial import try_metrics, try_network

log = logging.getLogger(__name__)

CHOSEN = ("options", "training")  # what a searched run takes from its best trial
NO_METRICS: Mapping[str, Metric] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files of one run."""

    metrics: Path
    weights: Path
    history: Path
    router: Path
    forecasts: Path
    windows: Path


class TaskWindows(Protocol):
    """Windows of one part: `batch` gives contexts [B, T, N + C] and targets [B, H, N] of windows at some indices.

    masked: whether targets may be missing, which are then NaN.
    """

    masked: bool

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]: ...


class TaskParts(Protocol):
    """A task's windows to train on, to choose by, and to test on."""

    train: TaskWindows
    validation: TaskWindows
    test: TaskWindows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """A task's scores on the test part: its `errors` by name, over `windows` windows, and the forecasts shown.

    `of_windows` holds the errors of each window [W], float32, in the order of the test part; if targets are missing,
    also how many each is over.
    """

    errors: dict
    windows: int
    router: dict | None
    shown: dict[str, np.ndarray]
    of_windows: dict[str, np.ndarray]
    targets: int | None = None  # how many target values were observed; None if none is missing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a task provides to a run: its windows, the SHA-256 of its raw data, how a model on a device is scored, and
    how many target cells of each part are missing; empty if no cell of the series is."""

    parts: TaskParts
    data_sha256: str
    score: Callable[[nn.Module, str, Fit], Scored]
    missing: Mapping[str, int] = dataclasses.field(default_factory=dict)


def run_experiment(
    run: Run,
    *,
    series: Path,
    backbone_folder: Path | None,
    choice: Path | None = None,
    outputs: Outputs,
    checkpoints: Path,
    threads: int,
    source_digest: str,
    memory_gb: float | None = None,
    metrics: Mapping[str, Metric] = NO_METRICS,
) -> dict:
    """Train and evaluate `run`, write its files and return the content of `metrics.json`.

    `metrics` are user-supplied ones by place, from `find_metrics`; their records are under `metrics` in the file.
    `choice` is that of a searched run among its trials. The folder `checkpoints` is the run's own: it keeps a training
    that was stopped, and is removed once the files are written. `memory_gb` is what the run may use where it computes,
    in GB of 10^9 bytes; None: what is available there.
    Raises InputError if another process is at work there, and, before anything is trained, for a method or metric from
    outside the package that fails its trial. Raises Interrupted when the process is told to stop.
    """
    try_metrics(metrics, horizon=run.horizon, variates=run.variates, masked=run.grid is not None)
    used = settled(run, choice)

    def load() -> Prepared:
        data = in_order(load_series(series), used.column_order)
        sizes = {"context": run.context, "horizon": run.horizon, "train_percent": run.train_percent}
        parts = prepare(data, run.split, **sizes, marks=calendar_of(run, data).marks(data.time))

        def score(model: nn.Module, device: str, fit: Fit) -> Scored:
            evaluation = evaluate(
                model,
                parts.test,
                columns=list(data.columns),
                batch_size=used.evaluation_batch_size,
                device=device,
                precision=run.precision,
                fit=fit,
                metrics=(*FORECAST, *metrics.values()),
            )
            return Scored(
                errors=_with_records(evaluation.errors, metrics),
                windows=evaluation.windows,
                router=evaluation.router,
                shown=evaluation.shown,
                of_windows=evaluation.of_windows,
                targets=evaluation.targets,
            )

        return Prepared(
            parts=parts, data_sha256=data.raw_sha256, score=score, missing=missing_targets(data, run.split, **sizes)
        )

    return carry_out(
        run,
        used=used,
        load=load,
        backbone_folder=backbone_folder,
        outputs=outputs,
        checkpoints=checkpoints,
        threads=threads,
        source_digest=source_digest,
        memory_gb=memory_gb,
    )


def carry_out(
    run: Run,
    *,
    used: Run,
    load: Callable[[], Prepared],
    backbone_folder: Path | None,
    outputs: Outputs,
    checkpoints: Path,
    threads: int,
    source_digest: str,
    memory_gb: float | None,
) -> dict:
    """What all tasks share: seed, build, train, score, write the files, and return the content of `metrics.json`.

    `used` is the run with the settings that it is trained with; for a searched run, the chosen ones.
    """
    with locked(checkpoints, purpose=run.folder), Signals() as signals, reported(checkpoints) as report:
        started = datetime.now(UTC)
        commit = provenance.commit()  # of the code that was read, not of what is committed while it runs
        clock = time.perf_counter()
        device = pick_device(run.device)
        torch.set_num_threads(threads)
        keep_freed_memory()
        seed_everything(run.seed, device)
        prepared = load()
        parts = prepared.parts
        log.info(
            "%s: %d training, %d validation and %d test windows on %s",
            *(run.folder, len(parts.train), len(parts.validation), len(parts.test), device),
        )
        if prepared.missing:
            log.info("missing target cells, which are not counted: %s", prepared.missing)
        model = build(used, backbone_folder=backbone_folder).to(device)
        try_network(model, used, device=device)
        memory = memory_gb * 1e9 if memory_gb else memory_at_hand(device, threads=threads)
        width = load_prepared(backbone_folder).width if backbone_folder else None
        weights = weight_bytes(model, precision=run.precision)
        fit = fit_of(used, width=width, memory=memory, weights=weights)
        if fit != WHOLE:
            log.info("to stay within %.1f GB: %s", memory / 1e9, in_words(fit))
        code_and_data = {
            "run_digest": run.digest,
            "source_digest": source_digest,
            "data_sha256": prepared.data_sha256,
            "backbone_digest": backbone_digest(backbone_folder),
            "versions": provenance.versions(),
            "threads": threads,
            "at_once": dataclasses.asdict(fit),
        }
        checkpoint = Checkpoint(
            checkpoints, identity=code_and_data | {"used": used.digest, "device": processor_of(device)}
        )
        begun = time.perf_counter()
        trained = train_model(model, used, parts, device, checkpoint, signals, report, fit) if used.training else None
        before = time.perf_counter()
        # Of the processes that were cut off and whose training this one resumed.
        earlier = max(0.0, trained.seconds - (before - begun)) if trained else 0.0
        loss = trained.validation_loss if trained else _untrained_loss(model, used, parts, device, fit)
        scored = prepared.score(model, device, fit)
        now = time.perf_counter()
        metrics = {
            "run": named_fields(run),
            **({"chosen": {key: named_fields(getattr(used, key)) for key in CHOSEN}} if run.trials else {}),
            "identity": run.identity,
            "dataset": run.dataset,
            "horizon": run.horizon,
            "context": run.context,
            "method": run.variant,
            "backbone": run.backbone.name if run.backbone else None,
            "seed": run.seed,
            **_numbers(trained, scored, loss),
            "parameters": count_parameters(model),
            "seconds": {
                "train": trained.seconds if trained else 0.0,
                "evaluate": now - before,
                "total": earlier + now - clock,
            },
            "peak_memory_bytes": peak_memory(device),
            "provenance": {
                **commit,
                **code_and_data,
                "hardware": hardware(device),
                "started": started.isoformat(timespec="seconds"),
                "ended": datetime.now(UTC).isoformat(timespec="seconds"),
                "resumed_at": trained.resumed_at if trained else [],
                **({"compiled": trained.steps_made} if trained and run.compiled != "off" else {}),
                **({"missing_targets": dict(prepared.missing)} if prepared.missing else {}),
            },
        }
        _write(outputs, metrics=metrics, model=model, trained=trained, scored=scored)
        checkpoint.remove()
        report.remove()
    named = ", ".join(f"{name} {value:.5f}" for name, value in scored.errors.items() if isinstance(value, float))
    log.info("test %s over %d windows", named, scored.windows)
    return metrics


def _write(outputs: Outputs, *, metrics: dict, model: nn.Module, trained: Trained | None, scored: Scored) -> None:
    """All files of a run, the metrics last."""
    for path in dataclasses.astuple(outputs):
        remove_unfinished(path)
    with atomic(outputs.weights) as file:
        file.write(save(trainable_state(model)))
    write_csv(outputs.history, HISTORY, trained.history if trained else [])
    write_csv(outputs.router, ROUTER_HISTORY, trained.router_history if trained else [])
    write_arrays(outputs.forecasts, scored.shown)
    write_arrays(outputs.windows, scored.of_windows)
    write_json(outputs.metrics, metrics)


def calendar_of(run: Run, data: Series) -> Calendar:
    """The run's calendar, for timestamps like those of its series."""
    return Calendar.of_series(data.time, features=run.calendar, zone=run.zone)


def in_order(data: Series, order: int) -> Series:
    """The series with its columns permuted by the seed `order`; 0 leaves them as they are."""
    if order == 0:
        return data
    columns = np.random.default_rng(order).permutation(len(data.columns))
    named = tuple(data.columns[column] for column in columns)
    return dataclasses.replace(data, values=data.values[:, columns], columns=named)


@contextmanager
def reported(folder: Path) -> Iterator[ProgressWriter]:
    """The writer of the run's progress; it records a signal that ends the block."""
    report = ProgressWriter(folder)
    try:
        yield report
    except Interrupted as stop:
        report.stopped(stop.signal_name)
        raise


def train_model(
    model: nn.Module,
    run: Run,
    parts: TaskParts,
    device: str,
    checkpoint: Checkpoint,
    signals: Signals,
    report: ProgressWriter,
    fit: Fit,
) -> Trained:
    """Train the run's model on its training part, choosing by its validation part."""
    return train(
        model,
        windows=parts.train,
        validation=parts.validation,
        training=run.training,
        balance_weight=run.balance_weight,
        seed=run.seed,
        device=device,
        precision=run.precision,
        fit=fit,
        compiled=run.compiled,
        checkpoint=checkpoint,
        signals=signals,
        report=report,
    )


def _untrained_loss(model: nn.Module, run: Run, parts: TaskParts, device: str, fit: Fit) -> float | None:
    """The loss on the validation part of a method that trains nothing, so that one can choose between it and others.

    On single series there is none: their held-out end is part of what such a method reads.
    """
    if run.task == "short-term":
        return None
    whole = Training(evaluation_batch_size=run.evaluation_batch_size)
    return validate(model, parts.validation, training=whole, device=device, precision=run.precision, fit=fit)[0]


def _with_records(errors: Mapping[str, float], metrics: Mapping[str, Metric]) -> dict:
    """The task's own errors by name, and under one key the records of user-supplied metrics, if there are any."""
    own = {metric.name: errors[metric.name] for metric in FORECAST}
    digests = definitions(metrics)
    records = {}
    for place, metric in metrics.items():
        value = errors[metric.name]
        records[metric.name] = record(metric, place=place, definition=digests[place], value=value)
        if records[metric.name]["value"] is None:
            log.warning("%s of %s is %s, so tables will show a dash", metric.name, place, value)
    return own | ({EXTRA: records} if records else {})


def _numbers(trained: Trained | None, scored: Scored, validation_loss: float | None) -> dict:
    return {
        **scored.errors,
        "n_windows": scored.windows,
        **({} if scored.targets is None else {"n_targets": scored.targets}),
        "validation_loss": validation_loss,
        "steps": trained.steps if trained else 0,
        "best_step": trained.best_step if trained else 0,
        "router": scored.router,
    }


def count_parameters(model: nn.Module) -> dict[str, int]:
    """All parameters and the trained ones; the embedding rows of a prompt are a buffer and not counted."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return {"total": sum(n for n, _ in sizes), "trainable": sum(n for n, trained in sizes if trained)}


def backbone_digest(folder: Path | None) -> str | None:
    """The weight digest that the prepared folder holds. Raises InputError as `load_prepared` does."""
    return load_prepared(folder).sha256 if folder else None
