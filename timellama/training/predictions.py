"""Forecasts of many windows, batch by batch, for validation and test alike."""

from collections.abc import Iterator

import torch
from torch import Tensor

from timellama.data.windows import SplitWindows
from timellama.methods.forecaster import Forecaster
from timellama.training.metrics import RouterStatistics


def spread(total: int, wanted: int | None) -> Tensor:
    """`wanted` of `total` indices, evenly spaced, with the first and the last; all where `wanted` is None or more."""
    if wanted is None or wanted >= total:
        return torch.arange(total)
    return torch.linspace(0, total - 1, wanted, dtype=torch.float64).round().long()


def predictions(
    model: Forecaster, windows: SplitWindows, *, indices: Tensor, batch_size: int, device: str, precision: str
) -> Iterator[tuple[Tensor, Tensor, Tensor, list]]:
    """Forecast the windows at `indices`, in order, in evaluation mode without gradients.

    Yields (indices, forecast [B, H, N], truth [B, H, N], routings) a batch; the last batch is as small as it has to be.
    """
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        for chosen in indices.split(batch_size):
            x, y = (part.to(device) for part in windows.batch(chosen))
            forecast, _, routings = model.forecast(x)
            yield chosen, forecast.float(), y, routings


def with_choices(statistics: RouterStatistics | None, model: Forecaster, routings: list) -> RouterStatistics | None:
    """The statistics with a batch's routings added; None until a method with routers has been seen."""
    if not routings:
        return statistics
    statistics = statistics or RouterStatistics(modules=model.modules_routed)
    statistics.add([r.gates for r in routings], [r.probabilities for r in routings])
    return statistics


def autocast(device: str, precision: str) -> torch.autocast:
    """bfloat16 autocast where the run's precision asks for it."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
