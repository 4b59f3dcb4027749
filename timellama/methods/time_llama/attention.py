"""One trainable attention layer instead of the language model's blocks: a control, not a part of the paper.

Tan et al. 2024 (arXiv 2406.16964), "LLM2Attn"; reference BennyTMT/LLMsForTimeSeries, OFA/models/Attention.py: 8 heads,
no biases, a residual and a layer norm after it. The reference drops out 10 % in training; nothing in this model has
dropout, so this layer has none either.
"""

import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-6  # the reference's


class AttentionLayer(nn.Module):
    """H <- LayerNorm(H + Concat(A_1 .. A_K) W^O),  A_k = Softmax(Q_k K_k^T / sqrt(D / K)) V_k."""

    def __init__(self, *, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads is {heads}; it must divide the width {width} of the backbone")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, h: Tensor, *, causal: bool) -> Tensor:
        """h [B, S, D] -> [B, S, D]."""
        q, k, v = (
            part(h).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=causal)  # [B, K, S, D / K]
        return self.norm(h + self.output(attended.transpose(1, 2).flatten(2)))
