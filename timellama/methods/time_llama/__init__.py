"""Time-LlaMA (arXiv 2502.13725, section 3), one module per part of the model; `network.py` is the forward pass.

There is no public reference implementation.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

from timellama.core.values import ADDED, Count, Flag, NotNegative, Positive, Whole
from timellama.methods.method import BLOCK, DESCRIPTION, KEPT, Method, Sizes, Stack
from timellama.methods.obstacles import Obstacle, Setting, few_positions
from timellama.methods.space import Choices, Interval
from timellama.methods.time_llama.prompts import PromptName, prompt_kind

ALIGNMENT = 5  # square layers of the cross-attention, `alignment.py`
LEAST_STEPS = 3  # of AdaLoRA: one to measure the importance, one to prune, one to continue training
# Options that change what is computed, but not how much.
COSTLESS = ("active", "column_order", "gate_gradient", "pooling", "router_activation", "balance_weight")
MODULES = 7  # the most LoRA modules of a block, each between widths of at most 8 D


@dataclass(frozen=True, kw_only=True)
class TimeLlamaOptions:
    """Options of Time-LlaMA (paper, section 3); defaults are the paper's or our answer to an open question."""

    rank: Count = 8  # r: table 7 (section 4.3 also says 4, for Llama-3.2 1B)
    heads: Count = 8  # K: table 7; also the heads of `blocks` "attention"
    active: Count = 4  # n: table 7
    # TSEmb (eq. 2): the paper calls it an MLP; its depth is open, and an MLP has at least two layers
    token_embedding: Literal["linear", "mlp"] = "mlp"
    # factor on the aligned tokens before the blocks; 1 as in the paper, which has no such factor
    token_scale: Annotated[Positive, ADDED] = 1.0
    # open; "uniform" is torch's, "zero" makes the untrained forecast the mean of the look-back
    head_init: Annotated[Literal["uniform", "zero"], ADDED] = "uniform"
    # eq. 3; "none" is Time-LlaMA-1, "prefix" is Time-LlaMA-2
    alignment: Literal["cross-attention", "none", "prefix"] = "cross-attention"
    # eq. 1; "static" is Time-LlaMA-4, "none" -3, "adalora" -5, "moelora" -6
    adapter: Literal["dynamic", "static", "none", "adalora", "moelora"] = "dynamic"
    # LoRA experts per module of "moelora", open: experts of rank 2, as in liuqidong07/MOELoRA-peft@2d9efa4e (16 / 8).
    mixture_experts: Count = 4
    # open; literal means that the forecast loss never reaches the router
    gate_gradient: Literal["literal", "straight-through", "scaled"] = "literal"
    balance_weight: NotNegative = 0.01  # lambda_lb, open; prevents router collapse without dominating the gradient
    # g in eq. 10, open; bounded, since |h| of a pooled token, 173 after block 3, saturates a softmax
    router_activation: Literal["tanh", "gelu", "relu", "identity"] = "tanh"
    pooling: Literal["last", "mean", "max", "first"] = "last"  # section 3.5
    attention: Literal["causal", "bidirectional"] = "causal"  # open; causal is what the pretrained blocks know
    positions: Literal["backbone", "none"] = "backbone"  # open
    # figure 1: a description of the data set; the others are in timellama/methods/time_llama/prompts.py
    prompt: PromptName = DESCRIPTION
    blocks: Literal["pretrained", "attention", "none"] = "pretrained"  # the others are controls of arXiv 2406.16964
    column_order: Whole = 0  # 0: the file's; else the seed of a permutation, since "last token" means the last column
    train_backbone: Flag = False  # the paper freezes it; trained with random weights it is such a control too


def stack(options: TimeLlamaOptions, sizes: Sizes) -> Stack:
    """One token per variate passes through the blocks."""
    width, blocks = sizes.width, sizes.blocks
    lora = MODULES * blocks * options.rank * (1 + 8) * width
    trained = ALIGNMENT * width**2 + (sizes.context + sizes.horizon) * width + lora
    trained += width**2 if options.token_embedding == "mlp" else 0
    trained += BLOCK * width**2 * blocks if options.train_backbone else 0
    tokens = sizes.variates + (sizes.words if options.alignment == "prefix" else 0)
    return Stack(tokens=tokens, layers=blocks, parameters=BLOCK * width**2, kept=KEPT * width, trained=trained)


def obstacles(options: TimeLlamaOptions, setting: Setting) -> Iterator[Obstacle]:
    """Options that contradict each other, and those that do not fit the language model, the look-back or the budget."""
    attends = options.alignment == "cross-attention" or options.blocks == "attention"
    if attends and setting.width % options.heads:
        yield Obstacle(
            reason=f"{options.heads} heads do not divide the width of {setting.width} that the language model has",
            remedy="change its option heads to a divisor of the width",
        )
    if options.adapter == "dynamic" and options.active > setting.modules:
        yield Obstacle(
            reason=f"active is {options.active}, and a block of the language model has {setting.modules} modules",
            remedy=f"lower its option active to {setting.modules} or less",
        )
    if options.adapter == "moelora" and options.rank % options.mixture_experts:
        yield Obstacle(
            reason=f"{options.mixture_experts} experts do not divide the rank {options.rank}",
            remedy="change its option mixture_experts, or the rank under backbones",
        )
    if options.adapter == "adalora" and setting.steps is not None and setting.steps < LEAST_STEPS:
        yield Obstacle(
            reason=f"AdaLoRA needs {LEAST_STEPS} steps of training, and the budget has {setting.steps}",
            remedy="raise max_steps of its training",
        )
    if options.blocks != "pretrained" and (options.adapter, options.positions, options.train_backbone) != (
        "none",
        "none",
        False,
    ):
        yield Obstacle(
            reason=f"blocks is {options.blocks}, which leaves nothing to adapt, to give positions or to train",
            remedy="set its options adapter and positions to none and train_backbone to false",
        )
    yield from _of_prompt(options, setting)
    if options.blocks == "pretrained" and options.positions == "backbone":
        prefix = setting.words if options.alignment == "prefix" else 0
        yield from few_positions(prefix + setting.variates, setting)


def _of_prompt(options: TimeLlamaOptions, setting: Setting) -> Iterator[Obstacle]:
    if options.alignment == "none":
        return
    kind, prefix = prompt_kind(options.prompt), options.alignment == "prefix"
    if prefix and options.blocks == "none":
        yield Obstacle(
            reason="alignment is prefix and blocks is none: a prefix acts in the blocks",
            remedy="set one of its options alignment and blocks to another value",
        )
    if prefix and kind.extra:
        yield Obstacle(
            reason=f"alignment is prefix, and prompts of the kind {options.prompt} differ in length from sample to "
            "sample",
            remedy="set its option prompt or alignment to another value",
        )
    if setting.context < kind.least_context:
        yield Obstacle(
            reason=f"a prompt of the kind {options.prompt} needs {kind.least_context} steps, and the look-back has "
            f"{setting.context}",
            remedy=f"raise context to {kind.least_context} or more",
        )


def prompt(options: TimeLlamaOptions) -> str | None:
    """The kind of prompt that is aligned with or stands before the tokens."""
    return None if options.alignment == "none" else options.prompt


def has_prompts_of_samples(options: TimeLlamaOptions) -> bool:
    """Whether each sample has its own prompt, whose words depend on its numbers."""
    kind = prompt(options)
    return kind is not None and prompt_kind(kind).extra > 0


def equal_cost(options: TimeLlamaOptions) -> TimeLlamaOptions:
    """The options without those that cost nothing. A prompt that adds nothing to its text costs what any other does."""
    same = (*COSTLESS, *(() if prompt_kind(options.prompt).extra else ("prompt",)))
    return replace(options, **{field.name: field.default for field in fields(options) if field.name in same})


def parts(options: TimeLlamaOptions) -> tuple:
    """What is adapted, aligned and trained."""
    return options.adapter, options.alignment, options.blocks, options.train_backbone


METHODS = (
    Method(
        name="time-llama",
        options=TimeLlamaOptions,
        network="timellama.methods.time_llama.network:TimeLlama",
        backbone=True,
        prompt=prompt,
        reads_back=has_prompts_of_samples,
        balance_weight="balance_weight",
        column_order="column_order",
        power=2,  # attends over the variates
        stack=stack,
        equal_cost=equal_cost,
        parts=parts,
        obstacles=obstacles,
        # from the paper's to where the blocks add a tenth of their output (docs/depth)
        space={
            "token_scale": Interval(low=1.0, high=300.0, logarithmic=True),
            "token_embedding": Choices(values=("mlp", "linear")),
        },
    ),
)
