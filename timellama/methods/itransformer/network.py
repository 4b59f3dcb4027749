"""iTransformer: each variate's whole look-back is one token, and attention runs between variates.

Liu et al., ICLR 2024 (arXiv 2310.06625), section 3; reference thuml/iTransformer, model/iTransformer.py and
layers/Embed.py, class DataEmbedding_inverted.
"""

import torch
from torch import Tensor, nn

from timellama.backbones.recompute import recomputed
from timellama.core.errors import InputError
from timellama.methods.forecaster import Forecaster
from timellama.methods.time_llama.tokens import instance_normalise


class ITransformer(Forecaster):
    """h^0 = Embed(x_norm); h^{l+1} = TrmBlock(h^l), l = 0 .. L-1; y = Projection(h^L) (equation 1).

    Embed is one linear layer R^T -> R^D and Projection one R^D -> R^H, both shared by all variates. A block
    normalises after each sublayer, as the original Transformer does, and a last layer norm follows the blocks.
    Tokens have no positions: variates have no order. As in the reference, each of the C features of the calendar is one
    more token, not normalised, through the same Embed; the outputs at those tokens are no forecasts and are dropped.
    """

    def __init__(
        self,
        *,
        context: int,
        horizon: int,
        calendar: int,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
    ) -> None:
        """Raises InputError if the heads do not divide the width."""
        super().__init__()
        if width % heads:
            raise InputError(f"width is {width}, not a multiple of {heads} heads; change width or heads")
        self.embed = nn.Sequential(nn.Linear(context, width), nn.Dropout(dropout))
        self.calendar = calendar
        # nn.TransformerEncoder would start every layer with copies of the same weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                d_model=width,
                nhead=heads,
                dim_feedforward=feed_forward,
                dropout=dropout,
                activation="gelu",
                batch_first=True,
                norm_first=False,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N + C] to the forecast [B, H, N]."""
        variates = x.shape[2] - self.calendar
        normal = instance_normalise(x[..., :variates])
        tokens = torch.cat([normal.values, x[..., variates:]], dim=2) if self.calendar else normal.values
        h = self.embed(tokens.transpose(1, 2))  # [B, N + C, D]
        for layer in self.layers:
            h = recomputed(layer, h, on=self.recomputes)
        y = self.project(self.norm(h[:, :variates]))  # [B, N, H]
        return normal.undo(y.transpose(1, 2))
