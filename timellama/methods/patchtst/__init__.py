"""PatchTST (Nie et al. 2023)."""

from collections.abc import Iterator
from dataclasses import dataclass

from timellama.core.values import Count, Probability
from timellama.methods.method import Method, Sizes, Stack
from timellama.methods.obstacles import Obstacle, Setting, long_patch, uneven_heads
from timellama.methods.space import DROPOUT
from timellama.methods.transformers import encoder, patch_count


@dataclass(frozen=True, kw_only=True)
class PatchTSTOptions:
    """PatchTST/64 (Nie et al. 2023, arXiv 2211.14730), appendix A.1.4 and the published scripts."""

    patch_length: Count = 16
    patch_stride: Count = 8
    width: Count = 128
    layers: Count = 3
    heads: Count = 16
    feed_forward: Count = 256
    dropout: Probability = 0.2
    head_dropout: Probability = 0.0


def stack(options: PatchTSTOptions, sizes: Sizes) -> Stack:
    """Encoder layers over the patches of each variate."""
    patches = patch_count(options, sizes.context)
    return encoder(options, sizes, tokens=sizes.variates * patches, partners=patches, ends=patches)


def obstacles(options: PatchTSTOptions, setting: Setting) -> Iterator[Obstacle]:
    """A patch that is longer than the look-back, and heads that do not divide the width."""
    yield from long_patch(options, setting)
    yield from uneven_heads(options, options.width)


METHODS = (
    Method(
        name="patchtst",
        options=PatchTSTOptions,
        network="timellama.methods.patchtst.network:PatchTST",
        alone=True,
        batch_statistics=True,
        stack=stack,
        obstacles=obstacles,
        space={"dropout": DROPOUT},
    ),
)
