"""The step after a training that calibrates intervals around its forecasts and measures how often they hold the truth.

The scores are those of validation windows: none of them was trained on, and all of their targets come before the
test part. Every test window is counted. `conformal.py` has the method and its references.

Memory: the scores of at most `MOST_WINDOWS` windows, in a mapped file if they are large; for the test part only sums,
and a few numbers per window.
"""

import dataclasses
import logging
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from timellama.backbones.prepared import load_prepared
from timellama.core import layout, provenance
from timellama.core.errors import InputError
from timellama.core.files import sha256_of, write_arrays, write_json
from timellama.core.machine.allocator import keep_freed_memory
from timellama.data.windows import Parts, SplitWindows, prepare
from timellama.experiments.memory import Fit, fit_of
from timellama.results.forecasts.forecasting import Forecaster, backbone_of, load_forecaster, training_series
from timellama.results.read.runs import read_run
from timellama.results.statistics.conformal import (
    FLOOR,
    KEPT,
    QUANTILES,
    REPORTED,
    crps,
    pinball_of_ends,
    quantiles,
    scale,
)
from timellama.results.statistics.uncertainty import Estimate, Part, of_period, together
from timellama.training.build import weight_bytes
from timellama.training.device import hardware, memory_at_hand
from timellama.training.gathered import Gathered
from timellama.training.scores.metric_objects import FORECAST, MSE
from timellama.training.scores.metrics import Errors
from timellama.training.scores.predictions import predictions, spread

log = logging.getLogger(__name__)

# Our choice: neighbouring windows share all but one of their targets, so more of them add little. If 1000 were
# independent, the coverage of an 80 % interval would be within 1.3 points of 80 two times in three (Beta(801, 200)).
MOST_WINDOWS = 1000
HELD_BYTES = 2**28  # our choice: up to 256 MiB of scores are held in memory, more of them in a file
# Our choice: how far the recomputed test error may be from the run's own, relative to it. Float32 is reproduced to 1e-8
# on another machine (docs/protocol.md), bfloat16 less closely; other weights or data are further off.
SAME_ERROR = 0.01
THIRDS = 3  # parts of the test period, whose coverage shows whether it drifts


class Coverage:
    """How often intervals y' +- q s hold the truth and what they cost, summed over windows; q is float32 [L, H, N]."""

    def __init__(self, q: Tensor) -> None:
        self.q = q
        self.windows = 0
        self._scale = torch.zeros(q.shape[2], dtype=torch.float64)
        self._reported = [KEPT.index(percent) for percent in REPORTED]
        self._of_windows = Gathered()  # [W, reported levels]
        self._of_steps = torch.zeros(len(REPORTED), q.shape[1], dtype=torch.float64)
        self._of_variates = torch.zeros(len(REPORTED), q.shape[2], dtype=torch.float64)
        self._median, self._ends = 0.0, [0.0] * len(KEPT)

    def add(self, forecast: Tensor, truth: Tensor, s: Tensor) -> None:
        """Add a batch: forecast and truth [B, H, N], and s [B, 1, N]."""
        distance = (truth - forecast).abs()
        self._scale += s.double().sum(dim=(0, 1)).cpu()
        self.windows += len(distance)
        self._median += float(distance.double().sum()) / 2
        for place, percent in enumerate(KEPT):
            self._ends[place] += float(pinball_of_ends(distance, s * self.q[place], percent).double().sum())
        held = [(distance <= s * self.q[place]).double() for place in self._reported]
        self._of_windows.add(torch.stack([each.mean(dim=(1, 2)) for each in held], dim=1).cpu())
        self._of_steps += torch.stack([each.mean(dim=2).sum(dim=0) for each in held]).cpu()
        self._of_variates += torch.stack([each.mean(dim=1).sum(dim=0) for each in held]).cpu()

    def of_windows(self) -> np.ndarray:
        """The share of each window's values within the intervals [W, reported levels]."""
        return self._of_windows.values.numpy()

    def widths(self) -> dict[str, float | None]:
        """The mean width of each reported interval; None if it is infinite."""
        mean = self._scale / self.windows
        of = {percent: self.q[place].double().cpu() for percent, place in zip(REPORTED, self._reported, strict=True)}
        return {str(percent): _finite(float((2 * mean * q).mean())) for percent, q in of.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """The covered share by step [reported levels, H] and by variate [reported levels, N]."""
        found = {"coverage_of_steps": self._of_steps, "coverage_of_variates": self._of_variates}
        return {name: (sums / self.windows).float().numpy() for name, sums in found.items()}

    def losses(self) -> dict[str, float | None]:
        """`pinball`, the mean over the ends of the reported intervals, and `crps`; None if they are infinite."""
        count = self.windows * math.prod(self.q.shape[1:])
        ends = [total / count for total in self._ends]
        of_reported = sum(ends[place] for place in self._reported) / len(REPORTED)
        return {"pinball": _finite(of_reported), "crps": _finite(crps(self._median / count, ends))}


def calibrate(
    folder: Path, *, scores: Path, widths: Path, threads: int, source_digest: str, memory_gb: float | None = None
) -> dict:
    """Calibrate the intervals of the finished run in `folder`; write `widths` and `scores`, and return the latter.

    `widths` gets q as `quantiles` float32 [levels, H, N] at the `levels` in per cent, infinite where there are too few
    windows, the `floor` of s, and the coverage by step and by variate. `memory_gb` as for a training.
    Raises InputError for a run on M4 or whose data have missing values, as `load_forecaster`, and if the run's test
    error is not reproduced.
    """
    started, commit = datetime.now(UTC), provenance.commit()
    finished = read_run(folder)
    run, origin = finished.used, finished.metrics["provenance"]
    if run.task == "short-term":
        raise InputError(
            f"{folder} is a run on M4, for which no intervals are made: each series has one validation window and its "
            "own level (docs/intervals.md); name a run on a data set with validation rows"
        )
    if run.grid:
        raise InputError(
            f"{folder} is a run whose data have missing values, for which no intervals are made (docs/intervals.md); "
            "name a run on the same file with --fill"
        )
    torch.set_num_threads(threads)
    keep_freed_memory()
    forecaster = load_forecaster(finished, device=run.device)
    for warning in forecaster.warnings:
        log.warning("%s", warning)
    series = training_series(finished)
    sizes = {"context": run.context, "horizon": run.horizon, "train_percent": run.train_percent}
    marks = forecaster.calendar.marks(series.time) if forecaster.calendar else None
    parts = prepare(series, run.split, **sizes, marks=marks)
    fit = _fit(forecaster, backbone_of(finished), threads=threads, memory_gb=memory_gb)
    chosen = spread(len(parts.validation), MOST_WINDOWS)
    log.info("%s: %d of %d validation windows", run.folder, len(chosen), len(parts.validation))
    with residuals(forecaster, parts.validation, chosen, fit=fit, beside=widths) as distances:
        q = quantiles(distances, KEPT).reshape(len(KEPT), run.horizon, len(series.columns))
        calibration = _held(distances, q)
    coverage, errors = covered(forecaster, parts, q, fit=fit)
    _require_same(errors[MSE.name], finished.metrics[MSE.name], run.folder)
    arrays = {"levels": np.array(KEPT), "quantiles": q, "floor": np.array([FLOOR]), **coverage.arrays()}
    # Windows of the calibration are further apart than those of the test part, which are one step apart.
    stride = max(1.0, (len(parts.validation) - 1) / max(1, len(chosen) - 1))
    found = {
        "run": run.folder,
        "identity": finished.run.identity,
        "n_windows": coverage.windows,
        "calibration": {"part": "validation", "windows": len(chosen), "of": len(parts.validation)},
        "quantiles": QUANTILES,
        **_coverages(coverage.of_windows(), calibration, horizon=run.horizon, stride=stride),
        "width": coverage.widths(),
        **coverage.losses(),
        **errors,
        "provenance": {
            **commit,
            "run_digest": finished.run.digest,
            "source_digest": source_digest,
            "weights_sha256": sha256_of(folder / layout.WEIGHTS),
            "data_sha256": origin["data_sha256"],
            "backbone_digest": origin["backbone_digest"],
            "versions": provenance.versions(),
            "threads": threads,
            "at_once": dataclasses.asdict(fit),
            "hardware": hardware(forecaster.device),
            "started": started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }
    write_arrays(widths, arrays)
    write_json(scores, found)
    held = ", ".join(f"{100 * share:.1f} % at {percent}" for percent, share in found["coverage"].items())
    log.info("coverage of %d test windows: %s", coverage.windows, held)
    return found


@contextmanager
def residuals(
    forecaster: Forecaster, windows: SplitWindows, chosen: Tensor, *, fit: Fit, beside: Path
) -> Iterator[np.ndarray]:
    """|y - y'| / s float32 [windows, H N] of the windows `chosen`, in a file next to `beside` if they are large."""
    shape = (len(chosen), forecaster.run.horizon * windows.variates)
    with tempfile.TemporaryDirectory(dir=_made(beside.parent), prefix=".residuals-") as folder:
        if math.prod(shape) * np.dtype(np.float32).itemsize > HELD_BYTES:
            distances = np.memmap(Path(folder) / "residuals", dtype=np.float32, mode="w+", shape=shape)
        else:
            distances = np.empty(shape, dtype=np.float32)
        first = 0
        for forecast, truth, s in _forecasts(forecaster, windows, chosen, fit):
            distance = ((truth - forecast).abs() / s).flatten(1).cpu().numpy()
            distances[first : first + len(distance)] = distance
            first += len(distance)
        yield distances


def covered(forecaster: Forecaster, parts: Parts, q: np.ndarray, *, fit: Fit) -> tuple[Coverage, dict[str, float]]:
    """The coverage of every test window by intervals of q [L, H, N], and MSE and MAE of their middles."""
    coverage, errors = Coverage(torch.from_numpy(q).to(forecaster.device)), Errors(FORECAST)
    for forecast, truth, s in _forecasts(forecaster, parts.test, torch.arange(len(parts.test)), fit):
        coverage.add(forecast, truth, s)
        errors.add(forecast, truth)
    if coverage.windows != len(parts.test):
        raise RuntimeError(f"{coverage.windows} windows were counted, but the test part has {len(parts.test)}")
    return coverage, errors.means()


def _forecasts(forecaster: Forecaster, windows: SplitWindows, chosen: Tensor, fit: Fit) -> Iterator[tuple]:
    """(forecast, truth, s) of each batch: forecast and truth [B, H, N], and s [B, 1, N]."""
    windows = windows.to(forecaster.device)
    run, device = forecaster.run, forecaster.device
    for indices, forecast, truth, _ in predictions(
        forecaster.model,
        windows,
        indices=chosen,
        batch_size=run.evaluation_batch_size,
        device=device,
        precision=run.precision,
        fit=fit,
    ):
        context, _ = windows.batch(indices)
        yield forecast, truth, scale(context[..., : windows.variates])  # the calendar follows them


def _fit(forecaster: Forecaster, backbone: Path | None, *, threads: int, memory_gb: float | None) -> Fit:
    """How much passes through the model at once, as in the training."""
    run = forecaster.run
    return fit_of(
        run,
        width=load_prepared(backbone).width if backbone else None,
        memory=memory_gb * 1e9 if memory_gb else memory_at_hand(forecaster.device, threads=threads),
        weights=weight_bytes(forecaster.model, precision=run.precision),
    )


def _held(distances: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The share of each calibration window's residuals [n, H N] within their own q [n, reported levels]."""
    shown = [q[KEPT.index(percent)].ravel() for percent in REPORTED]
    return np.array([[float((row <= of_level).mean()) for of_level in shown] for row in distances])


def _coverages(test: np.ndarray, calibration: np.ndarray, *, horizon: int, stride: float) -> dict[str, dict]:
    """From shares by window [W, reported levels]: coverage, its 95 % interval, and coverage by third of the period.

    There are two sources of chance: the test period, and the period on which the intervals were calibrated, whose q is
    off by as much as the share within it is, to first order. Windows that share targets form a block. The interval is
    None if a part has fewer than two blocks.
    """
    found: dict[str, dict] = {"coverage": {}, "coverage_interval": {}, "coverage_of_thirds": {}}
    for place, percent in enumerate(map(str, REPORTED)):
        share = float(test[:, place].mean())
        block = max(1, math.ceil(horizon / stride))
        chance = [of_period(test[:, place], horizon), of_period(calibration[:, place], block)]
        ends = Estimate(value=share, part=_sum(chance)).ends()
        found["coverage"][percent] = share
        found["coverage_interval"][percent] = None if math.isnan(ends[0]) else [max(0.0, ends[0]), min(1.0, ends[1])]
        found["coverage_of_thirds"][percent] = [
            float(part.mean()) if len(part) else share for part in np.array_split(test[:, place], THIRDS)
        ]
    return found


def _sum(parts: list[Part | None]) -> Part | None:
    there = [part for part in parts if part is not None]
    return together(there) if len(there) == len(parts) else None


def _require_same(found: float, kept: float, run: str) -> None:
    """Raise InputError unless the run's own test error is reproduced: otherwise these are not its forecasts."""
    if not abs(found - kept) <= SAME_ERROR * kept:
        raise InputError(
            f"{run}: its weights give a test MSE of {found:.6g} now, but {kept:.6g} when it was trained; more than "
            f"{SAME_ERROR:.0%} apart, these are not its forecasts: train the run again"
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
