"""PatchTST: each variate is cut into patches by itself, a Transformer encoder reads them, and a linear head forecasts.

Nie et al., ICLR 2023 (arXiv 2211.14730); reference yuqinie98/PatchTST, PatchTST_supervised. The network is that of the
`transformers` library, set up to match the reference where the library allows it:

- learned positions, batch norm after each sublayer, GELU, no dropout on attention weights, one head for all variates;
- one more patch: the reference repeats the last value `patch_stride` times before it cuts patches; the library does
  not. We append those values and mask them out of mean and deviation, so 512 steps give 64 patches (hence
  PatchTST/64);
- where patches do not fit evenly, the oldest steps are left out, as the library does; the reference drops the newest;
- torch's own initialisation of linear layers and the reference's uniform positions, not the library's normal ones.

One difference remains: the reference adds the attention scores of a layer to those of the next; the library does not.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PatchTSTConfig, PatchTSTForPrediction

from timellama.backbones.recompute import recomputed
from timellama.core.errors import InputError
from timellama.methods.forecaster import Forecaster

POSITION_RANGE = 0.02  # yuqinie98/PatchTST, layers/PatchTST_layers.py: uniform in +-0.02 for its default, `pe="zeros"`


class PatchTST(Forecaster):
    """Channel-independent patch Transformer (equations of section 3.1 of arXiv 2211.14730).

    x_norm -> patches [B, N, (T - patch_length) // patch_stride + 2, patch_length] -> W_p x + W_pos -> `layers`
    encoder layers -> flatten -> linear to H -> times deviation plus mean.
    """

    def __init__(
        self,
        *,
        context: int,
        horizon: int,
        patch_length: int,
        patch_stride: int,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        head_dropout: float,
    ) -> None:
        """Raises InputError if the context is shorter than a patch, or the heads do not divide the width."""
        super().__init__()
        if context < patch_length:
            raise InputError(f"context is {context}, shorter than a patch of {patch_length}; shorten patch_length")
        if width % heads:
            raise InputError(f"width is {width}, not a multiple of {heads} heads; change width or heads")
        self.padding = patch_stride
        self.network = PatchTSTForPrediction(
            PatchTSTConfig(
                num_input_channels=1,  # each variate is a separate series
                context_length=context + self.padding,
                prediction_length=horizon,
                patch_length=patch_length,
                patch_stride=patch_stride,
                d_model=width,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                ffn_dim=feed_forward,
                attention_dropout=0.0,
                positional_dropout=dropout,
                path_dropout=dropout,
                ff_dropout=dropout,
                head_dropout=head_dropout,
                loss="mse",
                scaling="std",
                share_embedding=True,
                share_projection=True,
                channel_attention=False,
                norm_type="batchnorm",
                pre_norm=False,
                activation_function="gelu",
                positional_encoding_type="random",
                use_cls_token=False,
                pooling_type=None,
            )
        )
        for module in self.network.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
        nn.init.uniform_(self.network.model.encoder.positional_encoder.position_enc, -POSITION_RANGE, POSITION_RANGE)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        series = x.transpose(1, 2).flatten(0, 1).unsqueeze(2)  # [B N, T, 1]
        padded = torch.cat([series, series[:, -1:].expand(-1, self.padding, -1)], dim=1)
        observed = F.pad(torch.ones_like(series), (0, 0, 0, self.padding))
        y = self.network(past_values=padded, past_observed_mask=observed).prediction_outputs  # [B N, H, 1]
        return y.squeeze(2).unflatten(0, (x.shape[0], -1)).transpose(1, 2)

    def recompute(self, on: bool) -> None:
        """Keep only the input of each encoder layer if `on` is true."""
        for layer in self.network.model.encoder.layers:
            of_class = partial(type(layer).forward, layer)
            layer.forward = partial(_recomputing, layer, of_class) if on else of_class


def _recomputing(layer: nn.Module, forward: Callable, hidden_state: Tensor, output_attentions: bool) -> tuple[Tensor]:
    """An encoder layer's `forward`, without the attention weights, which nothing uses."""
    norms = [module for module in layer.modules() if isinstance(module, nn.BatchNorm1d)]
    return (recomputed(lambda h: forward(hidden_state=h)[0], hidden_state, on=True, norms=norms),)
