"""What a run is: the frozen specifications that everything else is built from.

A `Run` holds all that changes its number and nothing that does not, so its digest names its result: two runs that
differ in any setting never share a folder. Machine facts (device found, versions, commit) are provenance and are
written beside the number instead. This module needs neither data nor torch, and nor does planning. The annotations
of `Training` and of the options are what configurations are checked against.

Letters, used everywhere: B batch, T context (look-back), H horizon, N variates, D width, r rank, E experts (LoRA
modules a block), L blocks, P prompt tokens.

Defaults live here and only here. Where the paper (arXiv 2502.13725; ACL 2025 SRW, 2025.acl-srw.90) leaves a question
open, the field's comment says so and gives our reason; `docs/open_questions.md` lists them all.
"""

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from timellama.core.values import Count, Flag, NotNegative, Positive, Probability, Whole
from timellama.data.splits import Split

RANDOM_SEED = 0  # our choice: one control for all seeds of a run, as there is one pretrained model
DIGEST_LENGTH = 10  # our choice: 40 bits keep the chance of a collision among 10 000 runs below 1 in 10 000


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a method is trained. Values that a method's authors published are in `config/methods.yaml`."""

    learning_rate: Positive = 1e-3  # paper, table 7
    batch_size: Count = 16  # paper, table 7
    epochs: Count = 20  # paper, table 7
    max_steps: Count | None = None  # a budget on top of `epochs`; none in the paper
    # open in the paper; `timellama.training.train.learning_rate` says what each is
    schedule: Literal["cosine", "halving", "early-halving", "delayed-decay", "constant"] = "cosine"
    validations_per_epoch: Count = 4  # our choice: the best point on ETTh1 comes within the first epoch
    least_validations: Count = 8  # our choice: a budget shorter than an epoch still gets points to choose from
    validation_windows: Count | None = None  # None: every window; else that many, evenly spaced. Not of the test part
    patience: Count = 10  # open in the paper; validations without a better loss before training stops
    clip_norm: Positive = 1.0  # our choice: the usual value for fine-tuning a Transformer
    # our choice: apart from the rest, or the balance loss crowds out the forecast loss
    router_clip_norm: Positive = 1.0
    loss: Literal["mse", "smape"] = "mse"  # "smape" on M4 (paper, eq. 4)
    evaluation_batch_size: Count = 64  # our choice: changes the metrics by rounding only


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The first `blocks` blocks of a language model. `pin` fixes its weights: a SHA-256, a hub revision or a seed."""

    name: str
    blocks: int
    pin: str
    weights: str = "pretrained"  # or "random": the same architecture, freshly initialised with RANDOM_SEED


@dataclass(frozen=True, kw_only=True)
class TimeLlamaOptions:
    """Options of Time-LlaMA (paper, section 3); defaults are the paper's or our answer to an open question."""

    rank: Count = 8  # r: table 7 (section 4.3 also says 4, for Llama-3.2 1B)
    heads: Count = 8  # K: table 7; also the heads of `blocks` "attention"
    active: Count = 4  # n: table 7
    # the depth of TSEmb (eq. 2) is open: one layer is the least that fits it
    token_embedding: Literal["linear", "mlp"] = "linear"
    # eq. 3; "none" is Time-LlaMA-1, "prefix" is Time-LlaMA-2
    alignment: Literal["cross-attention", "none", "prefix"] = "cross-attention"
    # eq. 1; "static" is Time-LlaMA-4, "none" -3, "adalora" -5, "moelora" -6
    adapter: Literal["dynamic", "static", "none", "adalora", "moelora"] = "dynamic"
    # LoRA experts a module of "moelora", open: experts of rank 2, as in liuqidong07/MOELoRA-peft@2d9efa4e (16 / 8).
    mixture_experts: Count = 4
    # open; literal means that the forecast loss never reaches the router
    gate_gradient: Literal["literal", "straight-through", "scaled"] = "literal"
    balance_weight: NotNegative = 0.01  # lambda_lb, open; keeps the router from collapsing without ruling the gradient
    # g in eq. 10, open; bounded, since |h| of 950 after block 3 saturates a softmax
    router_activation: Literal["tanh", "gelu", "relu", "identity"] = "tanh"
    pooling: Literal["last", "mean", "max", "first"] = "last"  # section 3.5
    attention: Literal["causal", "bidirectional"] = "causal"  # open; causal is what the pretrained blocks know
    positions: Literal["backbone", "none"] = "backbone"  # open
    # figure 1: a description of the data set; the others are in timellama/experiments/prompts.py
    prompt: Literal["descriptive", "generic", "empty", "other", "shuffled", "random", "statistics"] = "descriptive"
    blocks: Literal["pretrained", "attention", "none"] = "pretrained"  # the others are controls of arXiv 2406.16964
    column_order: Whole = 0  # 0: the file's; else the seed of a permutation, since "last token" means the last column
    train_backbone: Flag = False  # the paper freezes it; trained with random weights it is such a control too


@dataclass(frozen=True, kw_only=True)
class DLinearOptions:
    """DLinear (Zeng et al. 2023, arXiv 2205.13504)."""

    kernel: Count = 25  # cure-lab/LTSF-Linear, models/DLinear.py
    individual: Flag = False  # the published scripts' setting


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


@dataclass(frozen=True, kw_only=True)
class ITransformerOptions:
    """iTransformer (Liu et al. 2024, arXiv 2310.06625); the published script of ETTh1 at horizons 96 and 192."""

    width: Count = 256
    layers: Count = 2
    heads: Count = 8
    feed_forward: Count = 256
    dropout: Probability = 0.1


@dataclass(frozen=True, kw_only=True)
class TimesNetOptions:
    """TimesNet (Wu et al. 2023, arXiv 2210.02186); the published script of ETTh1."""

    width: Count = 16
    feed_forward: Count = 32
    layers: Count = 2
    periods: Count = 5  # k: how many periods a block looks at
    kernels: Count = 6  # kernels of an Inception block, of sizes 1, 3, .. 11
    dropout: Probability = 0.1


@dataclass(frozen=True, kw_only=True)
class GPT4TSOptions:
    """GPT4TS (Zhou et al. 2023, arXiv 2302.11939); patches of the published script of ETTh1."""

    patch_length: Count = 16
    patch_stride: Count = 8


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


@dataclass(frozen=True, kw_only=True)
class RLinearOptions:
    """RLinear (Li et al. 2023, arXiv 2305.10721): instance norm and one linear layer; nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class SeasonalNaiveOptions:
    """Repeats the last season; trains nothing."""


@dataclass(frozen=True, kw_only=True)
class HourOfDayMeanOptions:
    """The mean of the last `days` seasons, position by position; trains nothing."""

    days: Count = 7  # the last week


OPTIONS = {
    "time-llama": TimeLlamaOptions,
    "time-llm": TimeLLMOptions,
    "gpt4ts": GPT4TSOptions,
    "patchtst": PatchTSTOptions,
    "dlinear": DLinearOptions,
    "timesnet": TimesNetOptions,
    "itransformer": ITransformerOptions,
    "rlinear": RLinearOptions,
    "seasonal-naive": SeasonalNaiveOptions,
    "hour-of-day-mean": HourOfDayMeanOptions,
}
WITH_BACKBONE = ("time-llama", "time-llm", "gpt4ts")
WITH_PROMPT = ("time-llama", "time-llm")
TRAINS_NOTHING = ("seasonal-naive", "hour-of-day-mean")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training and its test: everything that changes the number.

    `variant` is the name shown in tables (a key of `config/methods.yaml`); `method` is the code that runs.
    """

    task: str
    dataset: str
    data_sha256: str | None
    split: Split
    season: int  # steps of one season: a day in hourly data
    variates: int
    context: int
    horizon: int
    train_percent: int
    variant: str
    method: str
    options: Any
    training: Training | None
    backbone: Backbone | None
    prompt: str | None
    seed: int
    precision: str
    device: str

    @functools.cached_property  # planning asks for the folder of each run many times
    def digest(self) -> str:
        """Hexadecimal digest of every field."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:DIGEST_LENGTH]

    @property
    def identity(self) -> str:
        """Readable first, unique last, for example `H96-T512-s0-SmolLM2-135M-x6-1f2e3d4c5b`."""
        parts = [f"H{self.horizon}", f"T{self.context}", f"s{self.seed}"]
        if self.backbone:
            parts.append(f"{self.backbone.name}-x{self.backbone.blocks}")
        return "-".join([*parts, self.digest])

    @property
    def folder(self) -> str:
        """Where the result lives below `results/`."""
        return f"{self.task}/{self.dataset}/{self.variant}/{self.identity}"

    @property
    def balance_weight(self) -> float:
        """What training multiplies a router's balance loss by; 0 for a method without routers."""
        return getattr(self.options, "balance_weight", 0.0)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no white space."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Run":
        """The inverse of `to_json`."""
        fields = json.loads(text)
        fields["split"] = Split(**fields["split"])
        fields["options"] = OPTIONS[fields["method"]](**fields["options"])
        fields["training"] = fields["training"] and Training(**fields["training"])
        fields["backbone"] = fields["backbone"] and Backbone(**fields["backbone"])
        return cls(**fields)
