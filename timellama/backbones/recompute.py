"""Layers that are computed again in the backward pass in place of being kept (Chen et al. 2016, arXiv 1604.06174).

What is drawn in the first pass, such as a dropout mask, is drawn alike in the second, so gradients are the same to the
bit where a kernel repeats itself.
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
    """layer(h), of which only h is kept where it is `on` and a gradient is wanted.

    `norms` are the layer's batch norms, which take up the statistics of the first pass alone.
    """
    if not (on and torch.is_grad_enabled()):
        return layer(h)

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), _statistics_kept(norms)

    return checkpoint(layer, h, use_reentrant=False, context_fn=contexts)


@contextmanager
def _statistics_kept(norms: Sequence[nn.BatchNorm1d]) -> Iterator[None]:
    """Batch norms normalise by their batch, and leave their running statistics as they are."""
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # what the new batch weighs
    try:
        yield
    finally:
        for norm, (momentum, counted) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(counted)
