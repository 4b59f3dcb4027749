"""Serves M4's training series whole, for methods that are fitted to each series separately."""

import torch
from torch import Tensor

from timellama.data.m4.series import M4Series


class WholeSeries:
    """One window per series, in the published order: all its training values, and its test values as targets."""

    def __init__(self, series: M4Series) -> None:
        self.values = [torch.from_numpy(series.training(i)) for i in range(len(series))]
        self.test = torch.from_numpy(series.test)

    def __len__(self) -> int:
        """How many series there are."""
        return len(self.values)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """x float64 [B, T, 1] and y float64 [B, H, 1] of the series `indices` [B]; T is the length of the longest
        among them, and shorter ones are preceded by NaN."""
        chosen = [self.values[i] for i in indices.tolist()]
        longest = max(map(len, chosen))
        x = torch.full((len(chosen), longest), torch.nan, dtype=torch.float64)
        for row, values in zip(x, chosen, strict=True):
            row[longest - len(values) :] = values
        return x.unsqueeze(-1), self.test[indices].unsqueeze(-1)
