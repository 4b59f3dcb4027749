"""Modality alignment: time-series tokens look at the prompt (section 3.4, equation 3).

The prompt is a text about the data set and the task, embedded by the language model's own frozen embedding table. It
gives keys and values only and never passes through the blocks, so it adds no tokens to them. Reference: multi-head
attention as in Vaswani et al. 2017.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Alignment(nn.Module):
    """Equation 3, with K heads of D / K each:

        A_k = Softmax(Q_k K_k^T / sqrt(D / K)) V_k,    H <- Proj(H + Concat(A_1 .. A_K) W^O)

    The paper prints A_k without V_k although it defines V_k just above: a misprint. An empty prompt gives nothing to
    look at: its attention is zero, which leaves H <- Proj(H).
    """

    def __init__(self, *, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads is {heads}; it must divide the width {width} of the backbone")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.project = nn.Linear(width, width)

    def forward(self, h: Tensor, prompt: Tensor, keep: Tensor | None) -> Tensor:
        """Tokens h [B, N, D] and prompt embeddings [P, D] (or [B, P, D], one prompt a sample) -> [B, N, D].

        `keep` [B, P] is True for the prompt tokens that count, each sample having at least one; None keeps them all.
        """
        prompt = prompt if prompt.dim() == 3 else prompt[None]
        if prompt.shape[1] == 0:
            return self.project(h)
        q, k, v = self._split(self.query(h)), self._split(self.key(prompt)), self._split(self.value(prompt))
        batch = h.shape[0]
        k, v = k.expand(batch, -1, -1, -1), v.expand(batch, -1, -1, -1)
        mask = None if keep is None else keep[:, None, None]  # [B, 1, 1, P]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # [B, K, N, D / K]
        return self.project(h + self.output(attended.transpose(1, 2).flatten(2)))

    def _split(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, K, S, D / K]."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
