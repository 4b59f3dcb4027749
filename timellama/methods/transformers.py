"""How Transformer encoders over patches or variates grow, for the records of several methods."""

from typing import Protocol

from timellama.methods.method import Sizes, Stack


class Patches(Protocol):
    """Options of a method that cuts the look-back into patches."""

    patch_length: int
    patch_stride: int


class Encoder(Protocol):
    """Options of a Transformer encoder."""

    width: int
    layers: int
    heads: int
    feed_forward: int


def patch_count(options: Patches, context: int) -> int:
    """Patches of a look-back of T steps, one of them padded."""
    return (context - options.patch_length) // options.patch_stride + 2


def encoder(options: Encoder, sizes: Sizes, *, tokens: int, partners: int, ends: int) -> Stack:
    """`tokens` per window that each attend to `partners`; `ends` of them feed one row of the head."""
    parameters = 4 * options.width**2 + 2 * options.width * options.feed_forward
    kept = 10 * options.width + 4 * options.feed_forward + 4 * options.heads * partners
    trained = options.layers * parameters + (sizes.context + ends * sizes.horizon) * options.width
    return Stack(tokens=tokens, layers=options.layers, parameters=parameters, kept=kept, trained=trained)
