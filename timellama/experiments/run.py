"""What a run is: the frozen specifications that everything else is built from.

A `Run` holds all that changes its number and nothing that does not, so its digest names its result: two runs that
differ in any setting never share a folder. Machine facts (device found, versions, commit) are provenance and are
written beside the number instead. This module needs neither data nor torch, nor does planning. Configurations are
checked against the annotations of `Training` and of the options.

Letters, used everywhere: B batch, T context (look-back), H horizon, N variates, D width, r rank, E experts (LoRA
modules per block), L blocks, P prompt tokens.

Defaults live here and only here. Where the paper (arXiv 2502.13725; ACL 2025 SRW, 2025.acl-srw.90) leaves a question
open, the field's comment says so and gives our reason; `docs/open_questions.md` lists them all.
"""

import dataclasses
import functools
import hashlib
import json
import math
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from timellama.core.values import ADDED, Count, NotNegative, Positive, named_fields
from timellama.data.splits import Split
from timellama.methods.registry import method_of

RANDOM_SEED = 0  # our choice: one control for all seeds of a run, as there is one pretrained model
DIGEST_LENGTH = 10  # our choice: 40 bits keep the chance of a collision among 10 000 runs below 1 in 10 000


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The most steps of a training: per epoch, in total, and from one validation to the next."""

    per_epoch: int
    total: int
    between_validations: int


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a method is trained. Values that a method's authors published are in `config/methods.yaml`."""

    learning_rate: Positive = 1e-3  # paper, table 7
    batch_size: Count = 16  # paper, table 7
    epochs: Count = 20  # paper, table 7
    max_steps: Count | None = None  # a budget on top of `epochs`; none in the paper
    # open in the paper; `timellama.training.steps.schedule.learning_rate` says what each is
    schedule: Literal["cosine", "halving", "early-halving", "delayed-decay", "constant"] = "cosine"
    validations_per_epoch: Count = 4  # our choice: the best point on ETTh1 comes within the first epoch
    least_validations: Count = 8  # our choice: a budget shorter than an epoch still gets points to choose from
    validation_windows: Count | None = None  # None: every window; else that many, evenly spaced. Not for the test part
    patience: Count = 10  # open in the paper; validations without a better loss before training stops
    clip_norm: Positive = 1.0  # our choice: the usual value for fine-tuning a Transformer
    # our choice: clipped separately, or the balance loss crowds out the forecast loss
    router_clip_norm: Positive = 1.0
    loss: Literal["mse", "smape"] = "mse"  # "smape" on M4 (paper, eq. 4)
    evaluation_batch_size: Count = 64  # our choice: changes the metrics by rounding only
    # decoupled from the gradient (Loshchilov and Hutter 2019, arXiv 1711.05101); none in the paper
    weight_decay: Annotated[NotNegative, ADDED] = 0.0
    # "variates": an epoch has every variate of every window, and a batch consists of single series, as KimMeen/Time-LLM
    # trains (data_provider/data_loader.py). Then `batch_size` counts series.
    sampling: Annotated[Literal["windows", "variates"], ADDED] = "windows"
    # a budget of series seen, where a window of N variates is N series; on top of `epochs`. Ours, none in the paper
    max_series: Annotated[Count | None, ADDED] = None

    def drawn_of(self, variates: int) -> int:
        """How many of N variates come with each entry of a batch."""
        return 1 if self.sampling == "variates" else variates

    def steps(self, *, windows: int, variates: int) -> Steps:
        """The steps for this many training windows of N variates; the last batch of an epoch may be smaller."""
        series = self.drawn_of(variates)
        per_epoch = math.ceil(windows * variates // series / self.batch_size)
        seen = math.ceil(self.max_series / (self.batch_size * series)) if self.max_series else sys.maxsize
        total = min(self.epochs * per_epoch, self.max_steps or sys.maxsize, seen)
        often = (per_epoch // self.validations_per_epoch, total // self.least_validations)
        return Steps(per_epoch=per_epoch, total=total, between_validations=max(1, min(often)))


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """The first `blocks` blocks of a language model. `pin` fixes its weights: a SHA-256, a hub revision or a seed."""

    name: str
    blocks: int
    pin: str
    weights: str = "pretrained"  # or "random": the same architecture, freshly initialised with RANDOM_SEED


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
    # The folders of the trials among which `training` and `options` are chosen by validation loss when the run is
    # trained; until then the two are those of the first trial. Empty: the two are final.
    trials: Annotated[tuple[str, ...], ADDED] = ()
    # How the data set's file is read and repaired, as `Dataset.reading_text` gives it; None: nothing was chosen.
    reading: Annotated[str | None, ADDED] = None
    # The C features of the calendar that follow the N variates of x, as `timellama.data.catalogue.calendar` names them;
    # only for a method that reads them.
    calendar: Annotated[tuple[str, ...], ADDED] = ()
    # How training steps are compiled: "off", "graph" or "inductor", as `timellama.experiments.compiling` says.
    compiled: Annotated[str, ADDED] = "off"

    @functools.cached_property  # planning reads the folder of each run many times
    def digest(self) -> str:
        """Hexadecimal digest of every field, except those that were added later and are at their default."""
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
    def choice(self) -> str:
        """Where, below `results/choices/`, a searched run's chosen trial is recorded; the same for all its seeds."""
        return dataclasses.replace(self, seed=0).folder

    def settled(self, *, options: dict[str, Any], training: dict[str, Any]) -> "Run":
        """A searched run with the settings that were chosen for it, as `named_fields` gives them."""
        made = method_of(self.method).options_from(options)
        return dataclasses.replace(self, options=made, training=Training(**training), trials=())

    @property
    def zone(self) -> str | None:
        """The zone whose clocks the calendar follows; None if the timestamps are used as they are."""
        return json.loads(self.reading or "{}").get("zone")

    @property
    def columns(self) -> int:
        """N + C: the variates of x and the features of the calendar after them."""
        return self.variates + len(self.calendar)

    @property
    def evaluation_batch_size(self) -> int:
        """Windows per batch of forecasts; the default for a method that trains nothing."""
        return (self.training or Training()).evaluation_batch_size

    @property
    def grid(self) -> str | None:
        """The frequency of the rows of a data set whose missing cells stay missing; None for any other."""
        reading = json.loads(self.reading or "{}")
        return reading["frequency"] if "missing" in reading else None

    @property
    def balance_weight(self) -> float:
        """What training multiplies a router's balance loss by; 0 for a method without routers."""
        return method_of(self.method).weight_of_balance(self.options)

    @property
    def column_order(self) -> int:
        """The seed of the order in which the variates are read; 0 for the file's order."""
        return method_of(self.method).order_of_columns(self.options)

    @property
    def prompt_kind(self) -> str | None:
        """The name of the kind of prompt that the method reads; None if it reads none."""
        return method_of(self.method).prompt_kind(self.options)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no white space."""
        return json.dumps(named_fields(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Run":
        """The inverse of `to_json`."""
        fields = json.loads(text)
        fields["split"] = Split(**fields["split"])
        fields["options"] = method_of(fields["method"]).options_from(fields["options"])
        fields["training"] = fields["training"] and Training(**fields["training"])
        fields["backbone"] = fields["backbone"] and Backbone(**fields["backbone"])
        fields |= {name: tuple(fields.get(name, ())) for name in ("trials", "calendar")}
        return cls(**fields)
