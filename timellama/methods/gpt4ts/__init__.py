"""GPT4TS (Zhou et al. 2023)."""

from collections.abc import Iterator
from dataclasses import dataclass

from timellama.core.values import Count
from timellama.methods.method import BLOCK, KEPT, Method, Sizes, Stack
from timellama.methods.obstacles import Obstacle, Setting, few_positions, long_patch
from timellama.methods.transformers import patch_count


@dataclass(frozen=True, kw_only=True)
class GPT4TSOptions:
    """GPT4TS (Zhou et al. 2023, arXiv 2302.11939); patches of the published script of ETTh1."""

    patch_length: Count = 16
    patch_stride: Count = 8


def stack(options: GPT4TSOptions, sizes: Sizes) -> Stack:
    """Every patch of every variate passes through the blocks."""
    patches = patch_count(options, sizes.context)
    trained = (options.patch_length + patches * sizes.horizon) * sizes.width
    block = BLOCK * sizes.width**2
    tokens = sizes.variates * patches
    return Stack(tokens=tokens, layers=sizes.blocks, parameters=block, kept=KEPT * sizes.width, trained=trained)


def obstacles(options: GPT4TSOptions, setting: Setting) -> Iterator[Obstacle]:
    """A patch that is longer than the look-back, and more patches than the language model has positions."""
    yield from long_patch(options, setting)
    yield from few_positions(patch_count(options, setting.context), setting)


METHODS = (
    Method(
        name="gpt4ts",
        options=GPT4TSOptions,
        network="timellama.methods.gpt4ts.network:GPT4TS",
        backbone=True,
        alone=True,
        stack=stack,
        obstacles=obstacles,
    ),
)
