"""Evaluation on the test part: every window counts once, whatever the batch size (paper, section 4.2).

If targets are missing, every observed target counts once: the sum over them all, divided once by their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from timellama.data.series import OBSERVED
from timellama.data.windows import SplitWindows
from timellama.experiments.memory import WHOLE, Fit
from timellama.training.scores.metric_objects import FORECAST, Metric
from timellama.training.scores.metrics import Errors
from timellama.training.scores.predictions import predictions, spread, with_choices

SHOWN_WINDOWS = 3  # our choice: what a page-wide figure can show
SHOWN_VARIATES = 3


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Errors and router statistics over all test windows, and the few forecasts that the figures show."""

    errors: dict[str, float]
    windows: int
    router: dict | None
    shown: dict[str, np.ndarray]
    # MSE and MAE of each window [W], float32; if targets are missing also OBSERVED, how many each is over
    of_windows: dict[str, np.ndarray]
    targets: int | None  # how many target values were observed; None if none is missing


def evaluate(
    model: nn.Module,
    windows: SplitWindows,
    *,
    columns: list[str],
    batch_size: int,
    device: str,
    precision: str,
    fit: Fit = WHOLE,
    metrics: Sequence[Metric] = FORECAST,
) -> Evaluation:
    """Forecast every window of the test part and score it by `metrics`.

    The windows shown are evenly spaced; the variates shown are the first ones.
    """
    windows = windows.to(device)
    errors, statistics = Errors(metrics, masked=windows.masked), None
    everything = torch.arange(len(windows))
    for _, forecast, y, routings in predictions(
        model, windows, indices=everything, batch_size=batch_size, device=device, precision=precision, fit=fit
    ):
        errors.add(forecast, y)
        statistics = with_choices(statistics, model, routings)
    wanted = len(windows.with_targets(alone=False)) if windows.masked else len(windows)
    if errors.windows != wanted:
        raise RuntimeError(f"{errors.windows} windows were counted, the test part has {wanted}")
    of_windows = {metric.name: errors.of_windows(metric.name).numpy() for metric in FORECAST}
    targets = errors.targets if windows.masked else None
    return Evaluation(
        errors=errors.means(),
        windows=errors.windows,
        router=statistics.summary() if statistics else None,
        shown=shown_forecasts(model, windows, columns=columns, device=device, precision=precision, fit=fit),
        of_windows=of_windows if targets is None else of_windows | {OBSERVED: targets.numpy()},
        targets=None if targets is None else int(targets.sum()),
    )


def shown_forecasts(
    model: nn.Module, windows: SplitWindows, *, columns: list[str], device: str, precision: str, fit: Fit = WHOLE
) -> dict[str, np.ndarray]:
    """Context, truth and forecast of the few windows that the figures show, and which ones they are."""
    start = spread(len(windows), SHOWN_WINDOWS)
    made = predictions(
        model, windows, indices=start, batch_size=len(start), device=device, precision=precision, fit=fit
    )
    _, forecasts, truths, _ = zip(*made, strict=True)
    forecast, truth = torch.cat(forecasts), torch.cat(truths)
    context, _ = windows.batch(start)
    kept = slice(0, min(SHOWN_VARIATES, len(columns)))  # after the variates, a context has the calendar
    shown = {"context": context, "truth": truth, "forecast": forecast}
    arrays = {name: tensor[:, :, kept].float().cpu().numpy() for name, tensor in shown.items()}
    return arrays | {"columns": np.array(columns[kept]), "start": start.numpy()}
