"""Time-LLM (Jin et al. 2024)."""

from dataclasses import dataclass

from timellama.core.values import Count, Probability
from timellama.methods.method import BLOCK, KEPT, VOCABULARY, Method, Sizes, Stack
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
    """Every patch of every variate behind a prompt, through the blocks."""
    tokens = sizes.variates * (patch_count(options, sizes.context) + sizes.words + STATISTICS)
    trained = options.prototypes * VOCABULARY + 3 * options.heads * options.features * sizes.width
    block = BLOCK * sizes.width**2
    return Stack(tokens=tokens, layers=sizes.blocks, parameters=block, kept=KEPT * sizes.width, trained=trained)


METHODS = (
    Method(
        name="time-llm",
        options=TimeLLMOptions,
        network="timellama.methods.time_llm.network:TimeLLM",
        backbone=True,
        prompt=True,
        table=True,
        alone=True,
        stack=stack,
        assumed="timellama.methods.time_llm.counting:ASSUMED",
    ),
)
