"""One run of short-term forecasting: a frequency of M4, from its specification to its files (paper, table 2).

Trained and chosen on training values only, with SMAPE on the original scale; tested once, on the published test part,
from the window that ends with each training series. No scaler precedes a method: those that need a common scale
normalise each window themselves. DLinear and the naive forecasts have no such layer and see the raw values, as in
Time-Series-Library (230805fe, models/DLinear.py; its Dataset_M4 scales nothing either).
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from timellama.core.errors import InputError
from timellama.data.m4.series import M4Series, load_m4
from timellama.data.m4.windows import M4Windows, prepare_m4
from timellama.experiments.m4_runs import require_m4_run
from timellama.experiments.memory import WHOLE, Fit
from timellama.experiments.run import Run
from timellama.training.choice import settled
from timellama.training.run import Outputs, Prepared, Scored, carry_out
from timellama.training.scores.evaluation import shown_forecasts
from timellama.training.scores.m4_scores import Reference
from timellama.training.scores.predictions import predictions, with_choices

COLUMN = "value"  # our choice: what the one variate of a series is called in the forecasts shown


def run_m4_experiment(
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
) -> dict:
    """Train and test `run` on the series of one frequency, write its files and return the content of `metrics.json`.

    Instead of `mse` and `mae`, which mean nothing across series of different sizes, it has `smape`, `mase`, `owa`,
    `naive2` (Naive2's SMAPE and MASE on the same series) and `frequencies`, the same by data set with the number of
    series; `n_windows` is that number. `choice` and `checkpoints` are as for `run_experiment`. Raises InputError for a
    run that does not fit M4 or does not fit this file.
    """
    require_m4_run(run)
    used = settled(run, choice)

    def load() -> Prepared:
        data = load_m4(series)
        require_same(run, data, series)
        # Before training, so that a series without a defined MASE does not cost hours.
        reference = Reference.of(data, dataset=run.dataset)
        parts = prepare_m4(data, context=run.context, frequency=reference.frequency)

        def score(model: nn.Module, device: str, fit: Fit) -> Scored:
            batch_size, test = used.evaluation_batch_size, parts.test.to(device)
            forecast, router = forecasts(
                model, test, batch_size=batch_size, device=device, precision=run.precision, fit=fit
            )
            return Scored(
                errors=reference.score(forecast),
                windows=len(forecast),
                router=router,
                shown=shown_forecasts(model, test, columns=[COLUMN], device=device, precision=run.precision, fit=fit),
                of_windows=reference.of_series(forecast),
            )

        return Prepared(parts=parts, data_sha256=data.raw_sha256, score=score)

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


def forecasts(
    model: nn.Module, windows: M4Windows, *, batch_size: int, device: str, precision: str, fit: Fit = WHOLE
) -> tuple[np.ndarray, dict | None]:
    """The forecast of every window, float64 [windows, H], in order, and what routers chose. Each counts once."""
    found, statistics = [], None
    for _, forecast, _, routings in predictions(
        model,
        windows,
        indices=torch.arange(len(windows)),
        batch_size=batch_size,
        device=device,
        precision=precision,
        fit=fit,
    ):
        found.append(forecast[..., 0].double().cpu().numpy())
        statistics = with_choices(statistics, model, routings)
    return np.concatenate(found), statistics.summary() if statistics else None


def require_same(run: Run, data: M4Series, path: Path) -> None:
    """Raise InputError unless the file is of the frequency that the run was planned for."""
    if (run.horizon, run.season) != (data.horizon, data.season):
        raise InputError(
            f"{path} has series of horizon {data.horizon} and season {data.season}, but the run of {run.dataset} has "
            f"{run.horizon} and {run.season}: correct `horizons` in the configuration, or give the run's own file"
        )
