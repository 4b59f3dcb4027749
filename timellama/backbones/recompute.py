"""Layers that are recomputed in the backward pass instead of being kept (Chen et al. 2016, arXiv 1604.06174).

Random draws of the first pass, such as a dropout mask, are repeated in the second, so gradients are the same to the bit
if the kernels are deterministic.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Recomputing(nn.Module):
    """A module with layers that `recomputed` calls: `recomputes` is its `on`."""

    recomputes = False


def recomputed(
    layer: Callable[[Tensor], Tensor], h: Tensor, *, on: bool, norms: Sequence[nn.BatchNorm1d] = ()
) -> Tensor:
    """layer(h), of which only h is kept if `on` is true and gradients are enabled.

    `norms` are the layer's batch norms; they update their running statistics in the first pass only.
    """
    if not (on and torch.is_grad_enabled()):
        return layer(h)

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), _statistics_kept(norms)

    return checkpoint(layer, h, use_reentrant=False, context_fn=contexts)


@contextmanager
def _statistics_kept(norms: Sequence[nn.BatchNorm1d]) -> Iterator[None]:
    """Let batch norms normalise by their batch and leave their running statistics unchanged."""
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # the weight of the new batch
    try:
        yield
    finally:
        for norm, (momentum, counted) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(counted)
