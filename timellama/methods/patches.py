"""Cutting a look-back into overlapping patches, as PatchTST does; GPT4TS and Time-LLM share this.

Reference: yuqinie98/PatchTST, `padding_patch="end"`; DAMO-DI-ML/NeurIPS2023-One-Fits-All, models/GPT4TS.py;
KimMeen/Time-LLM, layers/Embed.py.
"""

import torch
from torch import Tensor

from timellama.core.errors import InputError


def patch_count(*, context: int, length: int, stride: int) -> int:
    """How many patches `cut_patches` makes. Raises InputError if the context is shorter than one patch."""
    if context < length:
        raise InputError(f"context is {context}, shorter than a patch of {length}; shorten patch_length")
    return (context - length) // stride + 2


def cut_patches(x: Tensor, *, length: int, stride: int) -> Tensor:
    """Repeat the last of x [..., T] `stride` times, then cut a patch every `stride` steps: [..., patches, length]."""
    padded = torch.cat([x, x[..., -1:].expand(*x.shape[:-1], stride)], dim=-1)
    return padded.unfold(-1, length, stride)
