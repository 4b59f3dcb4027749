"""Losses over the observed targets; a missing target is NaN and is not counted.

Reference: none. A mean over observed values is their sum over their number, over a whole batch or over all windows.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def observed(truth: Tensor) -> Tensor:
    """How many values of `truth` are not missing, a scalar; at least 1, so that a part without any has the mean 0."""
    return (~truth.isnan()).sum().clamp_min(1)


def masked_loss(
    loss: Callable[[Tensor, Tensor], Tensor], forecast: Tensor, truth: Tensor, *, over: Tensor | int
) -> Tensor:
    """The terms of a mean `loss` of [B, H, N] twice, summed where `truth` is not missing, over `over`.

    A missing value is taken to equal its forecast: its term is 0, and so is its gradient.
    """
    as_forecast = torch.where(truth.isnan(), forecast.detach(), truth)
    return loss(forecast, as_forecast) * (truth.numel() / over)
