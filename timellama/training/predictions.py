"""Forecasts of many windows, batch by batch, for validation and test alike."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from timellama.data.windows import Windows
from timellama.training.metrics import RouterStatistics


def spread(total: int, wanted: int | None) -> Tensor:
    """`wanted` of `total` indices, evenly spaced, with the first and the last; all where `wanted` is None or more."""
    if wanted is None or wanted >= total:
        return torch.arange(total)
    return torch.linspace(0, total - 1, wanted, dtype=torch.float64).round().long()


def predictions(
    model: nn.Module, windows: Windows, *, indices: Tensor, batch_size: int, device: str, precision: str
) -> Iterator[tuple[Tensor, Tensor, Tensor, list]]:
    """Forecast the windows at `indices`, in order, in evaluation mode without gradients.

    Yields (indices, forecast [B, H, N], truth [B, H, N], routings) a batch; the last batch is as small as it has to be.
    """
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        for chosen in indices.split(batch_size):
            x, y = (part.to(device) for part in windows.batch(chosen))
            forecast, _, routings = outputs(model, x)
            yield chosen, forecast.float(), y, routings


def outputs(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None, list]:
    """Forecast, balance loss and routings; the last two are empty for a method without a router."""
    return tuple(model.forecast(x)) if hasattr(model, "forecast") else (model(x), None, [])


def with_choices(statistics: RouterStatistics | None, model: nn.Module, routings: list) -> RouterStatistics | None:
    """The statistics with a batch's routings added; None until a method with routers has been seen."""
    if not routings:
        return statistics
    statistics = statistics or RouterStatistics(modules=model.modules_routed)
    statistics.add([r.gates for r in routings], [r.probabilities for r in routings])
    return statistics


def autocast(device: str, precision: str) -> torch.autocast:
    """bfloat16 autocast where the run's precision asks for it."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
