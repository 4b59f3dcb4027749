"""From series to tokens: instance normalisation (figure 1) and the token embedding (section 3.3, equation 2).

One variate becomes one token, so a sample of N variates is a sentence of N tokens whatever the look-back is. Reference:
iTransformer (Liu et al. 2024, arXiv 2310.06625) for the variate token, RevIN (Kim et al. 2022) without its affine part
for the normalisation.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # thuml/Time-Series-Library, models/iTransformer.py: added to the variance before the root


class Normalised(NamedTuple):
    """A look-back with zero mean and unit variance per variate, and what undoes it."""

    values: Tensor  # [B, T, N]
    mean: Tensor  # [B, 1, N]
    deviation: Tensor  # [B, 1, N]

    def undo(self, y: Tensor) -> Tensor:
        """Bring a forecast [B, H, N] back to the scale of the input."""
        return y * self.deviation + self.mean


def instance_normalise(x: Tensor) -> Normalised:
    """Normalise x [B, T, N] per sample and variate over the look-back; the variance is the biased one."""
    mean = x.mean(dim=1, keepdim=True)
    deviation = torch.sqrt(x.var(dim=1, keepdim=True, unbiased=False) + EPSILON)
    return Normalised((x - mean) / deviation, mean, deviation)


class TokenEmbedding(nn.Module):
    """Equation 2: h_i = TSEmb(x_i), one map R^T -> R^D shared by all variates.

    The paper calls TSEmb an MLP and says no more. `mlp` is the least that the word allows, two layers with a GELU
    between them; `linear` is only the first layer.
    """

    def __init__(self, *, context: int, width: int, kind: str):
        super().__init__()
        if kind == "linear":
            self.embed: nn.Module = nn.Linear(context, width)
        elif kind == "mlp":
            self.embed = nn.Sequential(nn.Linear(context, width), nn.GELU(), nn.Linear(width, width))
        else:
            raise ValueError(f"token_embedding is {kind!r}; it must be 'linear' or 'mlp'")

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] -> tokens [B, N, D]."""
        return self.embed(x.transpose(1, 2))
