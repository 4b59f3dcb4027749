"""What the networks of methods that are fitted to each series by itself, without torch, have in common."""

import numpy as np
import torch
from torch import Tensor

from timellama.methods.forecaster import Forecaster


class SeriesForecaster(Forecaster):
    """Forecasts series by series, in float64. A subclass defines `of_series`."""

    def __init__(self, *, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon

    def of_series(self, values: np.ndarray) -> np.ndarray:
        """The next H values [H] of a series, float64 [n]."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]. A series of fewer than T values is preceded by NaN."""
        made = x.new_empty(x.shape[0], self.horizon, x.shape[2])
        if x.is_meta:  # operations are counted there, and these are not torch's
            return made
        for window, values in zip(made, x.detach().cpu().double().numpy(), strict=True):
            found = [self.of_series(column[np.isfinite(column).argmax() :]) for column in values.T]
            window.copy_(torch.from_numpy(np.stack(found, axis=1)))
        return made
