"""What a run is: the frozen specifications that everything else is built from.

A `Run` holds all that changes its number and nothing that does not, so its digest names its result: two runs that
differ in any setting never share a folder. Machine facts (device found, versions, commit) are provenance and are
written beside the number instead. Nothing heavier than the standard library is imported, so planning needs neither data
nor torch.

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
from typing import Any

from timellama.data.splits import Split

RANDOM_SEED = 0  # our choice: one control for all seeds of a run, as there is one pretrained model
DIGEST_LENGTH = 10  # our choice: 40 bits keep the chance of a collision among 10 000 runs below 1 in 10 000


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a method is trained. Values that a method's authors published are in `config/methods.yaml`."""

    learning_rate: float = 1e-3  # paper, table 7
    batch_size: int = 16  # paper, table 7
    epochs: int = 20  # paper, table 7
    max_steps: int | None = None  # a budget on top of `epochs`; none in the paper
    schedule: str = "cosine"  # open in the paper; see `timellama.training.train.learning_rate` for the others
    validations_per_epoch: int = 4  # our choice: the best point on ETTh1 comes within the first epoch
    least_validations: int = 8  # our choice: a budget shorter than an epoch still gets points to choose from
    validation_windows: int | None = None  # None: every window; else that many, evenly spaced. Not of the test part
    patience: int = 10  # open in the paper; validations without a better loss before training stops
    clip_norm: float = 1.0  # our choice: the usual value for fine-tuning a Transformer
    router_clip_norm: float = 1.0  # our choice: apart from the rest, or the balance loss crowds out the forecast loss
    loss: str = "mse"  # "smape" on M4 (paper, eq. 4)
    evaluation_batch_size: int = 64  # our choice: changes the metrics by rounding only


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

    rank: int = 8  # r: table 7 (section 4.3 also says 4, for Llama-3.2 1B)
    heads: int = 8  # K: table 7; also the heads of `blocks` "attention"
    active: int = 4  # n: table 7
    token_embedding: str = "linear"  # or "mlp"; the depth of TSEmb (eq. 2) is open: one layer is the least that fits it
    alignment: str = "cross-attention"  # eq. 3; "none" (Time-LlaMA-1) or "prefix" (Time-LlaMA-2)
    adapter: str = "dynamic"  # eq. 1; "none" (-3), "static" (-4), "adalora" (-5), "moelora" (-6)
    # LoRA experts a module of "moelora", open: experts of rank 2, as in liuqidong07/MOELoRA-peft@2d9efa4e (16 / 8).
    mixture_experts: int = 4
    # Open; or "straight-through", "scaled". Literal means that the forecast loss never reaches the router.
    gate_gradient: str = "literal"
    balance_weight: float = 0.01  # lambda_lb, open; keeps the router from collapsing without ruling the gradient
    router_activation: str = "tanh"  # g in eq. 10, open; bounded, since |h| of 950 after block 3 saturates a softmax
    pooling: str = "last"  # section 3.5; or "mean", "max", "first"
    attention: str = "causal"  # open; or "bidirectional". Causal is what the pretrained blocks know
    positions: str = "backbone"  # open; or "none"
    prompt: str = "descriptive"  # figure 1: a description of the data set; others in timellama/experiments/prompts.py
    blocks: str = "pretrained"  # or "attention", "none" in their place: controls of arXiv 2406.16964
    column_order: int = 0  # 0: the file's; else the seed of a permutation, since "last token" means the last column
    train_backbone: bool = False  # the paper freezes it; trained with random weights it is such a control too


@dataclass(frozen=True, kw_only=True)
class DLinearOptions:
    """DLinear (Zeng et al. 2023, arXiv 2205.13504)."""

    kernel: int = 25  # cure-lab/LTSF-Linear, models/DLinear.py
    individual: bool = False  # the published scripts' setting


@dataclass(frozen=True, kw_only=True)
class PatchTSTOptions:
    """PatchTST/64 (Nie et al. 2023, arXiv 2211.14730), appendix A.1.4 and the published scripts."""

    patch_length: int = 16
    patch_stride: int = 8
    width: int = 128
    layers: int = 3
    heads: int = 16
    feed_forward: int = 256
    dropout: float = 0.2
    head_dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ITransformerOptions:
    """iTransformer (Liu et al. 2024, arXiv 2310.06625); the published script of ETTh1 at horizons 96 and 192."""

    width: int = 256
    layers: int = 2
    heads: int = 8
    feed_forward: int = 256
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class TimesNetOptions:
    """TimesNet (Wu et al. 2023, arXiv 2210.02186); the published script of ETTh1."""

    width: int = 16
    feed_forward: int = 32
    layers: int = 2
    periods: int = 5  # k: how many periods a block looks at
    kernels: int = 6  # kernels of an Inception block, of sizes 1, 3, .. 11
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class GPT4TSOptions:
    """GPT4TS (Zhou et al. 2023, arXiv 2302.11939); patches of the published script of ETTh1."""

    patch_length: int = 16
    patch_stride: int = 8


@dataclass(frozen=True, kw_only=True)
class TimeLLMOptions:
    """Time-LLM (Jin et al. 2024, arXiv 2310.01728); the published script of ETTh1."""

    patch_length: int = 16
    patch_stride: int = 8
    width: int = 32  # of a patch embedding, before reprogramming
    features: int = 128  # width of one attention head, and how many features of the backbone's output the head reads
    heads: int = 8
    prototypes: int = 1000  # text prototypes, each a learned mixture of the vocabulary
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class RLinearOptions:
    """RLinear (Li et al. 2023, arXiv 2305.10721): instance norm and one linear layer; nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class SeasonalNaiveOptions:
    """Repeats the last season; trains nothing."""


@dataclass(frozen=True, kw_only=True)
class HourOfDayMeanOptions:
    """The mean of the last `days` seasons, position by position; trains nothing."""

    days: int = 7  # the last week


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
