"""What a bench runs: turns a data set, sizes and methods into a configuration of the workflow that can be edited."""

import json
from collections.abc import Sequence

from timellama.data.splits import Split, train_rows

# Our choice: the paper's method with and without its language model, its closest rivals, and two linear methods. The
# untrained floors are added in every table.
METHODS = ("time-llama", "time-llama-none", "patchtst", "itransformer", "dlinear", "rlinear")
# The language model that needs neither a GPU nor an account, as in config/config.yaml.
LANGUAGE_MODEL, BLOCKS = "SmolLM2-135M", 6
RANK = 8  # paper, table 7
LONGEST = 512  # paper, section 4.1: its look-back
SHARE = 4  # our choice: a look-back leaves three quarters of the training rows for windows to begin at
EPOCHS = 100  # our choice: more passes than the budget allows, so that the budget ends a training
VALIDATIONS = 8  # our choice: at least, so that the best point is not far from one; as in config/cpu.yaml
VALIDATION_WINDOWS = 1024  # our choice: a longer validation part is thinned to this many, evenly spaced
PATIENCE = 8  # our choice: all of the validations of a short budget

TEXT = """# yaml-language-server: $schema={schema}
# Written by `timellama bench`. You may edit it: the same command then runs it as it stands.
name: {name}
device: auto
precision: float32
threads: 1
seeds: {seeds}
backbones:
  - {{name: {model}, blocks: {blocks}, rank: {rank}}}
# Every trained method sees as many series (a window of one variate) in place of its authors' epochs, and is validated
# {validations} times at least. All other settings are published ones, tuned for none of the methods.
training:
  max_series: {series}
  epochs: {epochs}
  validations_per_epoch: 1
  least_validations: {validations}
  validation_windows: {validation_windows}
  patience: {patience}
overrides:
  # As in config/cpu.yaml: the published rate and batch need many more steps than a short budget has.
  patchtst: {{training: {{learning_rate: 0.001, batch_size: 32, schedule: cosine}}}}
reports: ["timellama.own_data.leaderboard:LEADERBOARD"]
experiments:
  long_term:
    datasets:
      {dataset}: {{context: {context}, horizons: [{horizon}]}}
    methods: [{methods}]
"""


def context_of(split: Split, *, rows: int) -> int:
    """The look-back for a data set: the paper's, or a quarter of the training rows if those are few."""
    return max(1, min(LONGEST, train_rows(split, rows=rows) // SHARE))


def configuration_text(
    dataset: str,
    *,
    context: int,
    horizon: int,
    methods: Sequence[str],
    seeds: Sequence[int],
    series: int,
    schema: str,
) -> str:
    """The configuration as YAML; `series` is how many each training sees, `schema` its schema's path for editors."""
    return TEXT.format(
        name=f"bench-{dataset}",
        schema=schema,
        seeds=list(seeds),
        model=LANGUAGE_MODEL,
        blocks=BLOCKS,
        rank=RANK,
        validations=VALIDATIONS,
        series=series,
        epochs=EPOCHS,
        validation_windows=VALIDATION_WINDOWS,
        patience=PATIENCE,
        dataset=json.dumps(dataset),  # YAML takes 2024 for a number, and on for true
        context=context,
        horizon=horizon,
        methods=", ".join(methods),
    )
