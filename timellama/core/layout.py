"""Where results live: the one place that defines their paths.

A pattern with fields in braces is a path of the workflow, which fills them in as wildcards. `within` fills in a
pattern for a folder of results that may have another name. A run's folder and a sweep's are `Run.folder` and
`Sweep.folder`: `task/dataset/variant/identity` and `efficiency/variant/identity`.
"""

from pathlib import Path
from typing import Protocol

RESULTS = "results"
CACHE = f"{RESULTS}/cache"  # what was fetched, by SHA-256; Snakemake deletes outputs, but never these
BFLOAT16 = f"{CACHE}/bfloat16.json"  # how much faster than float32 a processor multiplies it
COMPILED = f"{CACHE}/compiled"  # what torch.compile made, by the content that it was made from
CACHED = f"{CACHE}/{{sha256}}"
RAW_FOLDER = f"{RESULTS}/raw"
RAW = f"{RAW_FOLDER}/{{path}}"
SERIES = f"{RESULTS}/data/{{dataset}}/series.npz"
QUIRKS = f"{RESULTS}/data/{{dataset}}/quirks.json"
BACKBONE = f"{RESULTS}/backbones/{{backbone}}/x{{blocks}}-{{weights}}"
# The files of a prepared language model; timellama/backbones/catalogue.py says what is in them.
RECORD, CONFIG, BLOCKS, EMBEDDINGS, TOKENIZER = BACKBONE_FILES = (
    "backbone.json",
    "config.json",
    "blocks.safetensors",
    "embeddings.safetensors",
    "tokenizer.json",
)

IDENTITY = "{task}/{dataset}/{variant}/{identity}"
RUN = f"{RESULTS}/{IDENTITY}"
METRICS = "metrics.json"  # of a run; the last of its files to be written
WEIGHTS = "weights.safetensors"
HISTORY = "history.csv"
ROUTER = "router.csv"
FORECASTS = "forecasts.npz"
WINDOWS = "windows.npz"  # the errors of each test window
INTERVALS = "intervals.json"  # how often intervals around a run's forecasts hold the truth, from a separate step
INTERVAL_WIDTHS = "intervals.npz"
CHECKPOINTS = f"{RESULTS}/checkpoints/{IDENTITY}"
CHOICE = f"{RESULTS}/choices/{IDENTITY}.json"  # which trial the searched runs of a cell use
SWEEP = f"{RESULTS}/efficiency/{{variant}}/{{identity}}.json"

LOGS = f"{RESULTS}/logs"
FETCH_LOG = f"{LOGS}/fetch/{{path}}.log"
NORMALISE_LOG = f"{LOGS}/normalise/{{dataset}}.log"
BACKBONE_LOG = f"{LOGS}/backbone/{{backbone}}-x{{blocks}}-{{weights}}.log"
TRAIN_LOG = f"{LOGS}/train/{IDENTITY}.log"
CALIBRATE_LOG = f"{LOGS}/calibrate/{IDENTITY}.log"
CHOICE_LOG = f"{LOGS}/choice/{IDENTITY}.log"
SWEEP_LOG = f"{LOGS}/efficiency/{{variant}}/{{identity}}.log"
BENCHMARK = f"{RESULTS}/benchmarks/{IDENTITY}.tsv"
SWEEP_BENCHMARK = f"{RESULTS}/benchmarks/efficiency/{{variant}}/{{identity}}.tsv"


class Model(Protocol):
    """What identifies a prepared language model; `experiments.run.Backbone` is one."""

    name: str
    blocks: int
    weights: str


def within(results: Path, pattern: str, **fields: str) -> Path:
    """The path of a pattern in the folder `results`."""
    return results / pattern.removeprefix(f"{RESULTS}/").format(**fields)


def metrics_of(folder: str) -> str:
    """The numbers of the run in `folder`."""
    return f"{RESULTS}/{folder}/{METRICS}"


def intervals_of(folder: str) -> str:
    """The scores of the intervals of the run in `folder`."""
    return f"{RESULTS}/{folder}/{INTERVALS}"


def choice_of(place: str) -> str:
    """The choice behind the searched runs of `Run.choice`."""
    return f"{RESULTS}/choices/{place}.json"


def sweep_of(folder: str) -> str:
    """The numbers of the sweep in `folder`."""
    return f"{RESULTS}/{folder}.json"


def log_of(result: str) -> str:
    """The log of the job behind the numbers in `result`, a path from `metrics_of`, `intervals_of` or `sweep_of`."""
    name = result.removeprefix(f"{RESULTS}/")
    for file, step in ((METRICS, "train"), (INTERVALS, "calibrate")):
        if name.endswith(f"/{file}"):
            return f"{LOGS}/{step}/{name.removesuffix(f'/{file}')}.log"
    return f"{LOGS}/{name.removesuffix('.json')}.log"


def benchmark_of(folder: str) -> str:
    """What Snakemake measured while the run in `folder` was trained."""
    return f"{RESULTS}/benchmarks/{folder}.tsv"


def checkpoints_of(result: str) -> str:
    """The folder of checkpoints behind the numbers in `result`; for a sweep, a folder that never exists."""
    return f"{RESULTS}/checkpoints/{Path(result.removeprefix(f'{RESULTS}/')).parent}"


def backbone_folder(model: Model) -> str:
    """The folder of a prepared language model."""
    return BACKBONE.format(backbone=model.name, blocks=model.blocks, weights=model.weights)
