"""What a configuration may hold (`config/*.yaml`): the models behind `config/schema/config.json`.

`timellama.experiments.matrix` turns a configuration into runs. It looks up the names of data sets, methods and language
models in the catalogues.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from timellama.core.schema import Model, broken
from timellama.core.values import (
    AsWritten,
    Count,
    Distinct,
    Flag,
    Maybe,
    Percent,
    Positive,
    Scalar,
    Several,
    SeveralDistinct,
    Share,
    Text,
)
from timellama.experiments.compiling import Compile
from timellama.experiments.run import Backbone, Training

MOST_SEED = 2**32 - 1  # NumPy's generators take no larger seed

Seed = Annotated[int, Field(strict=True, ge=0, le=MOST_SEED)]
Seeds = SeveralDistinct[Seed]
Context = Annotated[Count, Field(description="T: steps of look-back.")]
Horizons = Annotated[SeveralDistinct[Count], Field(description="H: steps to forecast, one run each.")]
ReportPlace = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$")]
Precision = Literal["auto", "float32", "bfloat16"]
# Python's YAML reads a bare `off` and `on` as false and true, as YAML 1.1 specifies.
CompileSetting = Annotated[
    Compile,
    BeforeValidator(lambda value: {False: "off", True: "on"}[value] if isinstance(value, bool) else value),
]
Methods = Annotated[SeveralDistinct[str], Field(description="Methods (keys of config/methods.yaml).")]


class LanguageModel(Model):
    """A language model, cut to its first blocks."""

    name: str = Field(description="A key of config/backbones.yaml.")
    blocks: Count = Field(description="L: how many of its first blocks are used.")
    rank: Count = Field(description="r: the rank of the LoRA modules.")
    weights: Literal["pretrained", "random"] = Field(
        Backbone.weights, description="Random is a control with the same architecture."
    )


LanguageModels = Several[LanguageModel]


class DatasetOverride(Model):
    """Settings of one method on one data set."""

    options: dict[str, Scalar] = Field(default_factory=dict, description="Options of this method on this data set.")
    training: AsWritten[Training] = Field(
        default_factory=dict, description="Training settings of this method on this data set."
    )


class Override(Model):
    """Settings of one method."""

    backbones: Maybe[LanguageModels] = Field(
        None, description="Language models of this method and of its variants, instead of those for all."
    )

    options: dict[str, Scalar] = Field(default_factory=dict, description="Options of this method.")
    training: AsWritten[Training] = Field(default_factory=dict, description="Training settings of this method.")
    precision: Maybe[Precision] = Field(None, description="Instead of the configuration's.")
    compile: Maybe[CompileSetting] = Field(None, description="Instead of the configuration's.")
    datasets: dict[str, DatasetOverride] = Field(
        default_factory=dict, description="Settings of this method on individual data sets."
    )


Overrides = dict[str, Override]


class DatasetSetting(Model):
    """The sizes at which a data set is forecast."""

    context: Context
    horizons: Horizons
    seeds: Maybe[Seeds] = Field(None, description="Instead of the experiment's seeds.")
    training: AsWritten[Training] = Field(
        default_factory=dict,
        description="Training settings of all methods on this data set; they override those of the configuration, and "
        "`overrides` override them.",
    )
    calendar: Maybe[Flag] = Field(
        None,
        description="Whether methods that read the calendar get features of the timestamps; if not set, the data "
        "set's entry decides.",
    )


class SingleRun(Model):
    """Runs of one method on one data set, in addition to the grid."""

    dataset: str = Field(description="A key of config/datasets.yaml.")
    method: str = Field(description="A key of config/methods.yaml.")
    context: Context
    horizons: Horizons
    seeds: Maybe[Seeds] = Field(None, description="Instead of the experiment's seeds.")


class Experiment(Model):
    """A grid of data sets, horizons and methods, which makes one report."""

    datasets: dict[str, DatasetSetting] = Field(
        min_length=1, description="Data sets (keys of config/datasets.yaml) with context and horizons."
    )
    methods: Methods
    not_run: Distinct[str] = Field(
        (), description="Methods that are too heavy for this configuration; the table has their columns, with dashes."
    )
    train_percent: Percent = Field(
        100, description="Share of the training rows, in per cent; 5 for the paper's few-shot tables."
    )
    seeds: Maybe[Seeds] = Field(None, description="Instead of the configuration's seeds.")
    backbones: Maybe[LanguageModels] = Field(None, description="Instead of the configuration's backbones.")
    overrides: Overrides = Field(default_factory=dict, description="They override those of the configuration.")
    also: tuple[SingleRun, ...] = Field((), description="Single runs besides the grid, for example another look-back.")


class Search(Experiment):
    """A grid whose trained methods also run with searched settings, each with the same search effort."""

    trials: Count = Field(description="Settings that are tried for each method, on the first seed; at most 64.")
    samples: Count = Field(description="Training windows that each trial, and each searched run, sees.")
    validations: Count = Field(
        description="The fewest validations during a trial, besides the one before its first step."
    )
    validation_windows: Count = Field(
        description="Validation windows of each trial, evenly spaced; the same for all methods."
    )


class Efficiency(Model):
    """What is measured for the report on time, memory and operations."""

    settings_of: str = Field(
        description="The data set (a key of config/datasets.yaml) whose published settings each method uses."
    )
    context: Context
    horizon: Count = Field(description="H: steps to forecast.")
    variates: SeveralDistinct[Count] = Field(
        description="N: each value is measured with each batch size. The inputs are random, so any number will do."
    )
    batch_sizes: SeveralDistinct[Count] = Field(description="B: samples that are forecast at once.")
    methods: Methods
    backbones: Maybe[LanguageModels] = Field(None, description="Instead of the configuration's backbones.")
    threads: Count = Field(
        description="Threads of the measured process, which runs alone; at most the cores of the machine."
    )
    seconds: AsWritten[Positive] = Field(
        description="How long forecasts, and then training steps, are repeated. Each is measured at least three times."
    )
    longest_call: AsWritten[Positive] = Field(
        description="Seconds. A cell whose single forecast or training step is predicted to take longer is not run."
    )
    memory_share: AsWritten[Share] = Field(
        description="Share of the free memory that a measured process may fill; a cell that is predicted to need more "
        "is not run."
    )


class Experiments(Model):
    """What is run. Each key is the name of a report."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    long_term: Maybe[Experiment] = Field(None, description="Table 1, long-term forecasting.")
    short_term: Maybe[Experiment] = Field(None, description="Table 2, M4.")
    few_shot: Maybe[Experiment] = Field(None, description="Table 3, on a share of the training rows.")
    backbones: Maybe[Experiment] = Field(None, description="Table 4, several language models.")
    backbones_few_shot: Maybe[Experiment] = Field(None, description="Table 4, on a share of the training rows.")
    ablation: Maybe[Experiment] = Field(None, description="Table 5, the six variants.")
    active_loras: Maybe[Experiment] = Field(None, description="Figures 2 and 3, n active modules of a block.")
    router: Maybe[Experiment] = Field(None, description="Pooling, gate gradient and column order.")
    prompts: Maybe[Experiment] = Field(None, description="What the prompt says.")
    depth: Maybe[Experiment] = Field(None, description="How many blocks, as many entries of `backbones`.")
    tokens: Maybe[Experiment] = Field(None, description="The depth of TSEmb, and the size of the tokens.")
    schedules: Maybe[Experiment] = Field(None, description="This configuration's budgets beside published schedules.")
    search: Maybe[Search] = Field(None, description="Published settings beside searched ones.")
    llm_value: Maybe[Experiment] = Field(None, description="What the language model is worth.")
    attention: Maybe[Experiment] = Field(None, description="Attention between variate tokens.")
    efficiency: Maybe[Efficiency] = Field(None, description="Time, memory and operations over the number of variates.")

    @model_validator(mode="after")
    def _has_one(self) -> "Experiments":
        if not self.model_fields_set:
            raise broken(((), {}, "must have at least 1 entry; add an experiment"))
        return self


class Configuration(Model):
    """A configuration of the workflow."""

    name: str = Field(
        pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="The name of this configuration in tables and captions."
    )
    mirrors: tuple[Text, ...] = Field(
        (),
        description="Folders or base addresses that are tried for a file before its public address; those of the "
        "environment variable TIMELLAMA_MIRROR come first.",
    )
    device: str = Field(
        pattern="^(auto|cpu|cuda(:[0-9]+)?)$", description="Where training runs; auto uses CUDA if it is available."
    )
    precision: Precision = Field(
        description="float32, or bfloat16 for autocast with the frozen weights kept in bfloat16. auto uses bfloat16 "
        "if the machine that plans multiplies it faster: on CUDA, on a CPU with AMX, or on one with AVX512-BF16 "
        "that a short measurement finds faster. On a CPU without AVX512, products of bfloat16 are computed in float32 "
        "and rounded, which takes longer than float32. On a cluster, set the precision, since every node plans for "
        "itself."
    )
    compile: CompileSetting = Field(
        "off",
        description="Whether training steps are compiled: on CUDA as one CUDA graph, on a CPU by torch.compile, "
        "which needs a C++ compiler. auto compiles where the plan predicts that it saves time, and never on a CPU. "
        "Errors differ from those of eager steps by rounding, so the two are different runs. A method that cannot be "
        "compiled is trained eagerly.",
    )
    threads: Count = Field(
        description="Threads of one training. Several one-thread trainings side by side beat one with several threads."
    )
    memory_gb: Maybe[Positive] = Field(
        None,
        description="GB of 10^9 bytes that one training may use where it computes; if not set, 85 % of a GPU, or on a "
        "CPU half of the machine's memory times the share of the cores that its threads are. What does not fit is "
        "computed in parts, or recomputed in the backward pass, with the same result within rounding.",
    )
    seeds: Seeds = Field(description="Every trained method runs once with each seed.")
    backbones: Maybe[LanguageModels] = Field(
        None, description="Language models of the methods that use one; required if such a method is run."
    )
    authors_backbones: Flag = Field(
        False,
        description="Whether a method whose entry names its authors' language model runs on that one, in experiments "
        "without their own `backbones`.",
    )
    training: AsWritten[Training] = Field(
        default_factory=dict,
        description="Training settings for all methods; they override the published ones of config/methods.yaml.",
    )
    overrides: Overrides = Field(
        default_factory=dict,
        description="Settings of single methods (keys of config/methods.yaml); they override everything else.",
    )
    methods: dict[str, dict] = Field(
        default_factory=dict,
        description="Methods of this configuration, written like entries of config/methods.yaml, which they override. "
        "`method` may be `module:Name` of a network or Method in your own module.",
    )
    metrics: Distinct[Text] = Field(
        (),
        description="User-supplied metrics of the forecasting tables, each as module:OBJECT or the name of an entry "
        "point of the group timellama.metrics. Finished runs are retrained when this list or a definition changes.",
    )
    reports: Distinct[ReportPlace] = Field(
        (),
        description="Reports besides those of the project, each as module:NAME of a timellama.reports.report.Report "
        "in your own module.",
    )
    intervals: Flag = Field(
        False,
        description="Whether the runs of `long_term` get prediction intervals and `reports/table_intervals`: one more "
        "step per run, which takes as long as its test and one validation. No run is retrained for it.",
    )
    experiments: Experiments = Field(description="What is run; the key names the report.")

    @model_validator(mode="after")
    def _has_runs_for_intervals(self) -> "Configuration":
        if self.intervals and self.experiments.long_term is None:
            rule = "must be false where there is no experiment `long_term`, whose runs get them; add it, or remove this"
            raise broken((("intervals",), True, rule))
        return self
