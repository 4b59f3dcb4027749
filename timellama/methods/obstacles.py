"""Why a method cannot be run at some sizes: what its constructor would refuse, reported before anything is built.

Only the standard library is imported: planning collects each method's obstacles (`Method.obstacles`) and leaves out
the runs that have one, each with its reason. The constructors keep their own checks, for whoever calls them directly;
a test compares the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What an obstacle depends on besides a method's options.

    context T, horizon H, variates N; words: of the prompt, each at least one token; steps: the most that training
    takes, None if that is unknown or nothing is trained. Of the language model, 0 or None without one: width D, modules
    that LoRA can be put on, and positions, the tokens that it has room for, None if that is unknown.
    """

    context: int
    horizon: int
    variates: int
    words: int = 0
    steps: int | None = None
    width: int = 0
    modules: int = 0
    positions: int | None = None


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why a run is impossible: a plain sentence without its full stop, and what to change."""

    reason: str
    remedy: str


class Patches(Protocol):
    """Options of a method that cuts the look-back into patches."""

    patch_length: int


class Heads(Protocol):
    """Options of a method with its own attention."""

    width: int
    heads: int


def none(options: Any, setting: Setting) -> Iterator[Obstacle]:
    """No obstacle at any size: the default of a method."""
    yield from ()


def long_patch(options: Patches, setting: Setting) -> Iterator[Obstacle]:
    """A patch that is longer than the look-back."""
    if options.patch_length > setting.context:
        yield Obstacle(
            reason=f"a patch of {options.patch_length} steps is longer than the look-back of {setting.context}",
            remedy="lower its option patch_length, or raise context",
        )


def uneven_heads(options: Heads, width: int) -> Iterator[Obstacle]:
    """A `width` that the heads do not divide."""
    if width % options.heads:
        yield Obstacle(
            reason=f"{options.heads} heads do not divide a width of {width}",
            remedy="change its option heads to a divisor of the width",
        )


def few_positions(tokens: int, setting: Setting) -> Iterator[Obstacle]:
    """A language model that has no room for this many tokens."""
    if setting.positions is not None and tokens > setting.positions:
        yield Obstacle(
            reason=f"the language model has room for {setting.positions} tokens, and a window takes {tokens} or more",
            remedy="choose a language model with more positions under backbones",
        )
