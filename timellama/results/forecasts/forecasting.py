"""A trained run applied to the last look-back of an unseen file.

The model is built as for training and given the run's weights; its scaler is refitted on the training rows of the run's
own series. Whatever would make these differ from what was trained (another series, another language model, other
weights) is an error; other code is a warning, since most edits change no forecast.
"""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from timellama.backbones.prepared import load_prepared
from timellama.core import layout
from timellama.core.errors import InputError
from timellama.core.files import atomic, sha256_of
from timellama.core.layout import RECORD
from timellama.core.schema import read_json
from timellama.data.catalogue.reading import plural
from timellama.data.marks import Calendar
from timellama.data.series import Series, load_series
from timellama.data.splits import train_rows
from timellama.data.windows import Scaler, carried_forward
from timellama.experiments.run import RANDOM_SEED, Run
from timellama.results.digests import code_of_run
from timellama.results.forecasts.context_rows import ContextRows
from timellama.results.read.runs import Finished
from timellama.training.build import build
from timellama.training.device import pick_device
from timellama.training.precision import autocast
from timellama.training.run import calendar_of, in_order
from timellama.training.train import trainable_state

DIGITS = 9  # enough to read a float32 back unchanged
STEP_TOLERANCE = 0.1  # our choice: months differ by 10 % in length, and count as one step


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """A trained model with everything needed to use it.

    `columns` are the variates in the model's order, None for a run on single series, which has no scaler either.
    `calendar` is what the model reads of timestamps, which may be nothing; None if there are no timestamps.
    `seconds` is the mean step of the training series, None if it has no timestamps. `warnings` are for the user.
    """

    run: Run
    model: nn.Module
    device: str
    columns: tuple[str, ...] | None
    scaler: Scaler | None
    calendar: Calendar | None
    seconds: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Forecast `values` float64 [H, N] in the file's units and order of columns, and the H timestamps `time`."""

    context_rows: ContextRows
    values: np.ndarray
    time: pd.DatetimeIndex


def load_forecaster(finished: Finished, *, device: str) -> Forecaster:
    """The run's model, ready to forecast on `device` (`auto`, `cpu` or `cuda`).

    Raises InputError if a file that it needs is absent, damaged or not the one that the run was made with.
    """
    run, origin = finished.used, finished.metrics["provenance"]
    single = run.task == "short-term"
    data = None if single else training_series(finished)
    with _as_input_error():
        device = pick_device(device)
    torch.manual_seed(RANDOM_SEED)
    model = build(run, backbone_folder=backbone_of(finished)).to(device).eval()
    _load_weights(model, finished.folder / layout.WEIGHTS)
    scaler = None if data is None else Scaler.fit(data.values[: train_rows(run.split, rows=len(data.values))])
    return Forecaster(
        run=run,
        model=model,
        device=device,
        columns=None if data is None else data.columns,
        scaler=scaler,
        calendar=None if data is None else calendar_of(run, data),
        seconds=None if data is None else float((np.diff(data.time) / np.timedelta64(1, "s")).mean()),
        warnings=()
        if code_of_run(finished.run) == origin["source_digest"]
        else ("the code has changed since this run was trained",),
    )


def forecast(forecaster: Forecaster, context_rows: ContextRows) -> Forecast:
    """The H rows after `context_rows`. Raises InputError if the model gives a value that is not finite."""
    columns = forecaster.columns or context_rows.columns
    values = context_rows.in_order(columns)
    given = values if forecaster.scaler is None else forecaster.scaler.transform(values)
    if context_rows.before is not None:  # as in training: the last value before, else the mean of the training rows
        before = forecaster.scaler.transform(context_rows.in_order(columns, context_rows.before[None]))
        given = carried_forward(given, before=np.nan_to_num(before))
    if forecaster.calendar is not None:
        given = np.concatenate([given, forecaster.calendar.marks(context_rows.time)], axis=1)
    x = torch.from_numpy(given.astype(np.float32))[None].to(forecaster.device)
    with torch.inference_mode(), autocast(forecaster.device, forecaster.run.precision):
        y = forecaster.model(x)
    found = y[0].double().cpu().numpy()
    if forecaster.scaler is not None:
        found = forecaster.scaler.inverse(found)
    if not np.isfinite(found).all():
        raise InputError(
            f"{context_rows.path}: the forecast has values that are not finite; look for values far from those that "
            "the run was trained on"
        )
    order = [columns.index(name) for name in context_rows.columns]
    return Forecast(context_rows=context_rows, values=found[:, order], time=context_rows.following(len(found)))


def step_warning(forecaster: Forecaster, context_rows: ContextRows) -> str | None:
    """A warning if a file has another step than the training data."""
    if forecaster.seconds is None:
        return None
    mean = (context_rows.following(1)[-1] - context_rows.time[0]).total_seconds() / len(context_rows.time)
    if abs(mean - forecaster.seconds) <= STEP_TOLERANCE * forecaster.seconds:
        return None
    trained = pd.Timedelta(seconds=round(forecaster.seconds))
    return (
        f"{context_rows.path}: its rows are {pd.Timedelta(seconds=round(mean))} apart, those that the run was trained "
        f"on {trained}: daily and weekly patterns will not fit"
    )


def gap_warning(context_rows: ContextRows) -> str | None:
    """How a forecast replaced missing cells and rows; None if nothing is missing."""
    cells = int(np.isnan(context_rows.values).sum())
    if not cells:
        return None
    rows = f", {plural(context_rows.added, 'missing row')} among them" if context_rows.added else ""
    return (
        f"{context_rows.path}: {plural(cells, 'missing cell')} of the last {len(context_rows.time)} steps{rows}; the "
        "last value before stands for each, or the mean of the training data"
    )


def write_forecast(path: Path, forecast: Forecast, *, more: Mapping[str, np.ndarray] | None = None) -> None:
    """Write a CSV in the file's own format atomically, one row per forecast step; columns [H] of `more` come last."""
    context_rows = forecast.context_rows
    frame = pd.DataFrame(forecast.values, columns=list(context_rows.columns))
    frame = pd.concat([frame, pd.DataFrame(more)], axis=1) if more else frame
    frame.insert(0, context_rows.time_column, context_rows.written(forecast.time))
    text = io.StringIO(newline="")
    frame.to_csv(text, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")
    with atomic(path) as file:
        file.write(text.getvalue().encode())


def _read_as(quirks: Path) -> dict[str, object]:
    """How the series beside `quirks.json` was read and repaired; empty if nothing was chosen."""
    if not quirks.is_file():
        return {}
    remedy = "Delete it and let snakemake prepare the data again."
    found = read_json(quirks, absent=remedy, damaged=remedy)
    reading = found.get("reading", {})
    return reading | ({"frequency": found["frequency"]} if {"fill", "missing"} & set(reading) else {})


def training_series(finished: Finished) -> Series:
    """The series that a run was trained and tested on, with the columns in the run's order.

    Raises InputError if it is absent, or not the one that the run was made with.
    """
    digest = finished.metrics["provenance"]["data_sha256"]
    path = layout.within(finished.results, layout.SERIES, dataset=finished.run.dataset)
    if not path.is_file():
        raise InputError(
            f"{path}, from which the run's scale is taken, is missing; make it again: snakemake -j1 "
            f"{layout.SERIES.format(dataset=finished.run.dataset)}"
        )
    data = load_series(path)
    there, trained = _read_as(path.with_name("quirks.json")), json.loads(finished.run.reading or "{}")
    if there != trained:
        raise InputError(
            f"{path} was read and repaired as {there or 'it stands'}, but what the run was trained on as "
            f"{trained or 'it stands'}; restore the entry of {finished.run.dataset}, or train the run again"
        )
    if data.raw_sha256 != digest:
        raise InputError(
            f"{path} was made from other raw data (SHA-256 {data.raw_sha256}) than the run was trained on ({digest}); "
            "restore the data, or train the run again"
        )
    return in_order(data, finished.used.column_order)


def backbone_of(finished: Finished) -> Path | None:
    """The folder of the prepared language model of a run, checked as `training_series`; None without one."""
    backbone, digest = finished.run.backbone, finished.metrics["provenance"]["backbone_digest"]
    if backbone is None:
        return None
    name = layout.backbone_folder(backbone)
    folder = layout.within(finished.results, name)
    if not (folder / RECORD).is_file():
        raise InputError(
            f"{folder}, the language model of this run, is missing; make it again: snakemake -j1 {name}/{RECORD}"
        )
    found = load_prepared(folder).sha256
    if found != digest:
        raise InputError(f"{folder} is not the language model that the run was trained with; train the run again")
    for file, expected in found.items():
        if sha256_of(folder / file) != expected:
            raise InputError(
                f"{folder / file} was cut short or changed after it was made; delete it, then make it again: snakemake "
                f"-j1 {name}/{file}"
            )
    return folder


def _load_weights(model: nn.Module, path: Path) -> None:
    """Load the trained weights into the model; every weight that training changes must be there."""
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); train the run again") from error
    wanted = {name: tensor.shape for name, tensor in trainable_state(model).items()}
    if wanted != {name: tensor.shape for name, tensor in state.items()}:
        raise InputError(f"{path} does not have the weights of this model; train the run again")
    model.load_state_dict(state, strict=False)


@contextmanager
def _as_input_error() -> Iterator[None]:
    """Report a missing device as the user's error."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error
