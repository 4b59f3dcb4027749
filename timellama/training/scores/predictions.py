"""Forecasts of many windows, batch by batch, for validation and test alike."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from timellama.data.windows import SplitWindows
from timellama.experiments.memory import WHOLE, Fit
from timellama.methods.forecaster import Forecaster
from timellama.training.precision import autocast
from timellama.training.scores.metrics import RouterStatistics


def spread(total: int, wanted: int | None) -> Tensor:
    """`wanted` of `total` indices, evenly spaced, with the first and the last; all if `wanted` is None or more."""
    if wanted is None or wanted >= total:
        return torch.arange(total)
    return torch.linspace(0, total - 1, wanted, dtype=torch.float64).round().long()


def predictions(
    model: Forecaster,
    windows: SplitWindows,
    *,
    indices: Tensor,
    batch_size: int,
    device: str,
    precision: str,
    fit: Fit = WHOLE,
) -> Iterator[tuple[Tensor, Tensor, Tensor, list]]:
    """Forecast the windows at `indices`, in order, in evaluation mode without gradients.

    Yields (indices, forecast [B, H, N], truth [B, H, N], routings) per batch; the last batch may be smaller.
    """
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        for chosen in indices.split(min(batch_size, fit.forecast_windows or batch_size)):
            x, y = (part.to(device) for part in windows.batch(chosen))
            forecast, routings = forecast_of(model, x, series=fit.forecast_series)
            yield chosen, forecast.float(), y, routings


def forecast_of(model: Forecaster, x: Tensor, *, series: int | None) -> tuple[Tensor, Sequence]:
    """The forecast [B, H, N] of x [B, T, N + C], at most `series` of its B N series at a time, and the routings.

    Only a method that forecasts each variate alone may be given `series`.
    """
    parts = parts_of(x, series=series, calendar=model.calendar)
    if len(parts) == 1:
        forecast, _, routings = model.forecast(x)
        return forecast, routings
    batch, variates = x.shape[0], x.shape[2] - model.calendar
    made = torch.cat([model.forecast(part).values for part in parts])  # [B N, H, 1]
    return made.unflatten(0, (batch, variates)).squeeze(-1).transpose(1, 2), ()


def parts_of(x: Tensor, *, series: int | None, calendar: int = 0) -> Sequence[Tensor]:
    """What passes at once of x [B, T, N + C]: all of it, or, for more than `series` series, parts [S, T, 1 + C].

    `calendar` is C, the columns that come with each series.
    """
    variates = x.shape[2] - calendar
    if series is None or x.shape[0] * variates <= series:
        return [x]
    alone = x[..., :variates].transpose(1, 2).flatten(0, 1).unsqueeze(-1)
    if calendar:
        alone = torch.cat([alone, x[..., variates:].repeat_interleave(variates, dim=0)], dim=2)
    return alone.split(series)


def with_choices(statistics: RouterStatistics | None, model: Forecaster, routings: list) -> RouterStatistics | None:
    """The statistics with a batch's routings added; None until a method with routers has been seen."""
    if not routings:
        return statistics
    statistics = statistics or RouterStatistics(modules=model.modules_routed)
    statistics.add([r.gates for r in routings], [r.probabilities for r in routings])
    return statistics
