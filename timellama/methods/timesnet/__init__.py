"""TimesNet (Wu et al. 2023)."""

from collections.abc import Iterator
from dataclasses import dataclass

from timellama.core.values import Count, Probability
from timellama.methods.method import Method, Sizes, Stack
from timellama.methods.obstacles import Obstacle, Setting


@dataclass(frozen=True, kw_only=True)
class TimesNetOptions:
    """TimesNet (Wu et al. 2023, arXiv 2210.02186); the published script of ETTh1."""

    width: Count = 16
    feed_forward: Count = 32
    layers: Count = 2
    periods: Count = 5  # k: how many periods a block looks at
    kernels: Count = 6  # kernels of an Inception block, of sizes 1, 3, .. 11
    dropout: Probability = 0.1


INCEPTION = sum((2 * i + 1) ** 2 for i in range(6))  # positions in the six kernels


def stack(options: TimesNetOptions, sizes: Sizes) -> Stack:
    """Two-dimensional convolutions over the steps, for each of the periods."""
    parameters = 2 * INCEPTION * options.width * options.feed_forward
    kept = 2 * options.periods * (options.kernels + 2) * max(options.width, options.feed_forward)
    tokens, layers = sizes.context + sizes.horizon, options.layers
    trained = layers * parameters + sizes.calendar * options.width
    return Stack(tokens=tokens, layers=layers, parameters=parameters, kept=kept, trained=trained)


def obstacles(options: TimesNetOptions, setting: Setting) -> Iterator[Obstacle]:
    """More periods than T + H steps have frequencies, and an odd width."""
    steps = setting.context + setting.horizon
    if options.periods > steps // 2:
        yield Obstacle(
            reason=f"periods is {options.periods}, and the {steps} steps of a window have {steps // 2} frequencies",
            remedy=f"lower its option periods to {steps // 2} or less, or raise context",
        )
    if options.width % 2:
        yield Obstacle(
            reason=f"sine and cosine positions come in pairs, and the width is {options.width}",
            remedy="set its option width to an even number",
        )


METHODS = (
    Method(
        name="timesnet",
        options=TimesNetOptions,
        network="timellama.methods.timesnet.network:TimesNet",
        calendar=True,
        reads_back=True,  # the periods
        # All variates share one embedding: what its convolutions cost depends on the periods, which N does not change.
        power=0,
        stack=stack,
        obstacles=obstacles,
        assumed="timellama.methods.timesnet.counting:ASSUMED",
    ),
)
