"""What stands in for the choices of TimesNet when operations are counted without numbers."""

from typing import Any

import torch
from torch import Tensor


def fixed_periods(block: Any, h: Tensor) -> Tensor:
    """The k longest periods for every sample; they change a pass by no more than a few per cent."""
    spectrum = torch.fft.rfft(h, dim=1).abs().mean(dim=2)[:, 1:]
    weights = spectrum[:, : block.periods].softmax(dim=1)
    total = h
    for rank in range(block.periods):
        total = total + weights[:, rank, None, None] * block._at_period(h, h.shape[1] // (rank + 1))
    return total


ASSUMED = {"timellama.methods.timesnet.network.TimesBlock.forward": fixed_periods}
