"""iTransformer (Liu et al. 2024)."""

from collections.abc import Iterator
from dataclasses import dataclass

from timellama.core.values import Count, Probability
from timellama.methods.method import Method, Sizes, Stack
from timellama.methods.obstacles import Obstacle, Setting, uneven_heads
from timellama.methods.space import DROPOUT
from timellama.methods.transformers import encoder


@dataclass(frozen=True, kw_only=True)
class ITransformerOptions:
    """iTransformer (Liu et al. 2024, arXiv 2310.06625); the published script of ETTh1 at horizons 96 and 192."""

    width: Count = 256
    layers: Count = 2
    heads: Count = 8
    feed_forward: Count = 256
    dropout: Probability = 0.1


def stack(options: ITransformerOptions, sizes: Sizes) -> Stack:
    """Encoder layers over the variates and the features of the calendar."""
    tokens = sizes.variates + sizes.calendar
    return encoder(options, sizes, tokens=tokens, partners=tokens, ends=1)


def obstacles(options: ITransformerOptions, setting: Setting) -> Iterator[Obstacle]:
    """Heads that do not divide the width."""
    return uneven_heads(options, options.width)


METHODS = (
    Method(
        name="itransformer",
        options=ITransformerOptions,
        network="timellama.methods.itransformer.network:ITransformer",
        calendar=True,
        power=2,  # attends over the variates
        stack=stack,
        obstacles=obstacles,
        space={"dropout": DROPOUT},
    ),
)
