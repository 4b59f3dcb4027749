"""RLinear: instance normalisation and one linear layer over time, shared by all variates.

Li et al. 2023 (arXiv 2305.10721); reference plumprc/RTSF, models/RLinear.py. The reference also drops 10 % of the
inputs by default and can learn a scale and shift for each variate; both are left out, because a floor should have
nothing to tune.
"""

from torch import Tensor, nn

from timellama.methods.forecaster import Forecaster
from timellama.methods.time_llama.tokens import instance_normalise


class RLinear(Forecaster):
    """y = deviation * (W x_norm + b) + mean, for each variate alone, with W [H, T] and b [H]."""

    def __init__(self, *, context: int, horizon: int) -> None:
        super().__init__()
        self.linear = nn.Linear(context, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        normal = instance_normalise(x)
        y = self.linear(normal.values.transpose(1, 2)).transpose(1, 2)
        return normal.undo(y)
