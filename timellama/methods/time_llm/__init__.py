"""Time-LLM (Jin et al. 2024)."""

from collections.abc import Iterator
from dataclasses import dataclass

from timellama.core.values import Count, Probability
from timellama.methods.method import BLOCK, DESCRIPTION, KEPT, VOCABULARY, Method, Sizes, Stack
from timellama.methods.obstacles import Obstacle, Setting, few_positions, long_patch
from timellama.methods.time_llama.lags import LAGS
from timellama.methods.transformers import patch_count


@dataclass(frozen=True, kw_only=True)
class TimeLLMOptions:
    """Time-LLM (Jin et al. 2024, arXiv 2310.01728); the published script of ETTh1."""

    patch_length: Count = 16
    patch_stride: Count = 8
    width: Count = 32  # of a patch embedding, before reprogramming
    features: Count = 128  # width of one attention head, and how many features of the backbone's output the head reads
    heads: Count = 8
    prototypes: Count = 1000  # text prototypes, each a learned mixture of the vocabulary
    dropout: Probability = 0.1


STATISTICS = 100  # our choice: tokens that the statistics of a window add to a prompt


def stack(options: TimeLLMOptions, sizes: Sizes) -> Stack:
    """Every patch of every variate passes through the blocks, after a prompt."""
    tokens = sizes.variates * (patch_count(options, sizes.context) + sizes.words + STATISTICS)
    trained = options.prototypes * VOCABULARY + 3 * options.heads * options.features * sizes.width
    block = BLOCK * sizes.width**2
    return Stack(tokens=tokens, layers=sizes.blocks, parameters=block, kept=KEPT * sizes.width, trained=trained)


def obstacles(options: TimeLLMOptions, setting: Setting) -> Iterator[Obstacle]:
    """A look-back shorter than a patch or than the lags of a prompt, and more features than the language model has."""
    yield from long_patch(options, setting)
    if setting.context < LAGS:
        yield Obstacle(
            reason=f"its prompt names the {LAGS} strongest lags, and the look-back has {setting.context} steps",
            remedy=f"raise context to {LAGS} or more",
        )
    if options.features > setting.width:
        yield Obstacle(
            reason=f"features is {options.features}, above the width of {setting.width} that the language model has",
            remedy=f"lower its option features to {setting.width} or less, or choose a wider language model",
        )
    yield from few_positions(setting.words + patch_count(options, setting.context), setting)


METHODS = (
    Method(
        name="time-llm",
        options=TimeLLMOptions,
        network="timellama.methods.time_llm.network:TimeLLM",
        backbone=True,
        prompt=DESCRIPTION,
        table=True,
        alone=True,
        reads_back=True,  # the statistics that a window's prompt names
        stack=stack,
        obstacles=obstacles,
        assumed="timellama.methods.time_llm.counting:ASSUMED",
    ),
)
