"""DLinear: a moving average splits the look-back into trend and remainder, each with a linear layer over time.

Zeng et al., AAAI 2023 (arXiv 2205.13504), section 4; reference cure-lab/LTSF-Linear, models/DLinear.py.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timellama.core.errors import InputError
from timellama.methods.forecaster import Forecaster


class DLinear(Forecaster):
    """y = W_s (x - trend) + b_s + W_t trend + b_t, with W [H, T], shared by all variates or one pair for each.

    trend[t] is the mean of the `kernel` values around t; the edges are continued with the first and the last value.
    All weights start at 1/T, so the untrained forecast is the mean of the look-back plus a small bias.
    """

    def __init__(self, *, context: int, horizon: int, variates: int, kernel: int, individual: bool) -> None:
        """Raises InputError for a kernel that is not odd and positive: it would have no middle."""
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"kernel is {kernel}: the moving average needs an odd, positive width, for example 25")
        self.kernel, self.variates, self.individual = kernel, variates, individual
        layers = variates if individual else 1
        self.remainder = nn.ModuleList(averaging_linear(context, horizon) for _ in range(layers))
        self.trend = nn.ModuleList(averaging_linear(context, horizon) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]; if `individual`, raises InputError unless N is `variates`."""
        x = x.transpose(1, 2)  # [B, N, T]
        # Nothing is normalised here, and bfloat16 would keep two digits of M4's levels, which are in the thousands.
        with torch.autocast(x.device.type, enabled=False):
            trend = moving_average(x, self.kernel)
            if not self.individual:
                return (self.remainder[0](x - trend) + self.trend[0](trend)).transpose(1, 2)
            if x.shape[1] != self.variates:
                raise InputError(f"x has {x.shape[1]} variates, but the layers were built for {self.variates}")
            columns = zip(self.remainder, self.trend, (x - trend).unbind(1), trend.unbind(1), strict=True)
            return torch.stack([of_rest(rest) + of_trend(t) for of_rest, of_trend, rest, t in columns], dim=2)


def moving_average(x: Tensor, kernel: int) -> Tensor:
    """Centred mean of `kernel` neighbours along the last axis of x [B, N, T], the edge values repeated; [B, N, T]."""
    side = (kernel - 1) // 2
    return F.avg_pool1d(F.pad(x, (side, side), mode="replicate"), kernel_size=kernel, stride=1)


def averaging_linear(context: int, horizon: int) -> nn.Linear:
    """A linear layer T -> H whose weights all start at 1/T."""
    layer = nn.Linear(context, horizon)
    nn.init.constant_(layer.weight, 1 / context)
    return layer
