"""GPT4TS: patches of each variate pass through a language model in which only norms and positions are trained.

Zhou et al., NeurIPS 2023 (arXiv 2302.11939), section 3; reference DAMO-DI-ML/NeurIPS2023-One-Fits-All,
Long-term_Forecasting/models/GPT4TS.py. The paper's backbone is the first 6 blocks of GPT-2, whose learned positions
are trained too. Any other backbone of this project works; those with rotary positions have none to train. The
reference leaves GPT-2's dropout of 0.1 on during training; the backbone here has none.
"""

from torch import Tensor, nn

from timellama.backbones.blocks import Backbone
from timellama.methods.forecaster import Forecaster
from timellama.methods.patches import cut_patches, patch_count
from timellama.methods.time_llama.tokens import instance_normalise


class GPT4TS(Forecaster):
    """y = deviation * (W_out Flatten(Blocks(W_in patches(x_norm)))) + mean, for each variate alone.

    Attention and feed-forward weights of the blocks stay frozen, norms and learned positions are trained (section 3.2).
    """

    def __init__(self, *, context: int, horizon: int, backbone: Backbone, patch_length: int, patch_stride: int) -> None:
        """Raises InputError if the context is shorter than one patch."""
        super().__init__()
        self.patch_length, self.patch_stride = patch_length, patch_stride
        patches = patch_count(context=context, length=patch_length, stride=patch_stride)
        self.embed = nn.Linear(patch_length, backbone.width)
        self.backbone = backbone
        for parameter in backbone.norm_parameters():
            # A step of 1e-4 on a weight near 1 is lost in bfloat16, whatever the precision of the frozen weights.
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
        self.head = nn.Linear(patches * backbone.width, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        normal = instance_normalise(x)
        series = normal.values.transpose(1, 2).flatten(0, 1)  # [B N, T]
        patches = cut_patches(series, length=self.patch_length, stride=self.patch_stride)  # [B N, patches, length]
        h = self.backbone(self.embed(patches), causal=True)
        y = self.head(h.flatten(1)).unflatten(0, (x.shape[0], -1))  # [B, N, H]
        return normal.undo(y.transpose(1, 2))
