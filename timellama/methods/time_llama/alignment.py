"""Modality alignment: time-series tokens attend to the prompt (section 3.4, equation 3).

The prompt is a text about the data set and the task, embedded by the language model's own frozen embedding table. It
provides only keys and values and never passes through the blocks, so it adds no tokens to them. Reference: multi-head
attention as in Vaswani et al. 2017.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Alignment(nn.Module):
    """Equation 3, with K heads of D / K each:

        A_k = Softmax(Q_k K_k^T / sqrt(D / K)) V_k,    H <- Proj(H + Concat(A_1 .. A_K) W^O)

    The paper prints A_k without V_k although it defines V_k just above: a misprint. An empty prompt gives nothing to
    attend to: its attention is zero, which leaves H <- Proj(H).
    """

    def __init__(self, *, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads is {heads}; it must divide the width {width} of the backbone")
        self.heads = heads
        self._kept: tuple | None = None  # a prompt, the state of what it was read with, and its keys and values
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.project = nn.Linear(width, width)

    def forward(self, h: Tensor, prompt: Tensor, keep: Tensor | None) -> Tensor:
        """Tokens h [B, N, D] and prompt embeddings [P, D] (or [B, P, D], one prompt per sample) -> [B, N, D].

        `keep` [B, P] is True for the prompt tokens that count, each sample having at least one; None keeps them all.
        """
        if prompt.shape[-2] == 0:
            return self.project(h)
        if prompt.dim() == 2:  # one prompt for all: the batch is one long sample of B N queries
            k, v = self._read_once(prompt)
            attended = F.scaled_dot_product_attention(self._split(self.query(h.flatten(0, 1)[None])), k, v)
        else:
            k, v = self._read(prompt)
            mask = None if keep is None else keep[:, None, None]  # [B, 1, 1, P]
            attended = F.scaled_dot_product_attention(self._split(self.query(h)), k, v, attn_mask=mask)
        attended = attended.transpose(1, 2).flatten(2).view(*h.shape[:2], -1)  # [B, K, N, D / K] -> [B, N, D]
        return self.project(h + self.output(attended))

    def _read(self, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of prompts [B, P, D], each [B, K, P, D / K]."""
        return self._split(self.key(prompt)), self._split(self.value(prompt))

    def _read_once(self, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of one prompt [P, D]; kept in evaluation until something they depend on changes."""
        if self.training or torch.is_grad_enabled():
            return self._read(prompt[None])
        parts = (prompt, self.key.weight, self.value.weight)
        state = (*((part.data_ptr(), part._version) for part in parts), torch.is_autocast_enabled(prompt.device.type))
        if self._kept is None or self._kept[0] is not prompt or self._kept[1] != state:
            self._kept = (prompt, state, self._read(prompt[None]))
        return self._kept[2]

    def train(self, mode: bool = True) -> "Alignment":
        """Also forgets what was kept: torch's fused optimisers change weights but not their version counters."""
        self._kept = None
        return super().train(mode)

    def _split(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, K, S, D / K]."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
