"""What the rules share: the plan of the active configuration, and where each thing lives."""

import dataclasses
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from timellama.build import modules_of
from timellama.errors import InputError
from timellama.plan import make_plan
from timellama.provenance import source_digest

# A mirror may hold everything; downloads are kept apart from outputs, which Snakemake deletes before it makes them anew.
CACHE = "results/cache"
RUN_FOLDER = "results/{task}/{dataset}/{variant}/{identity}"
RUN_FILES = ["metrics.json", "weights.safetensors", "history.csv", "router.csv", "forecasts.npz"]
BACKBONE_FOLDER = "results/backbones/{backbone}/x{blocks}-{weights}"
BACKBONE_FILES = ["backbone.json", "config.json", "blocks.safetensors", "embeddings.safetensors", "tokenizer.json"]


def plan():
    """The plan, with a slip in the configuration told in one message."""
    try:
        return make_plan(config, root=Path(workflow.basedir))
    except InputError as error:
        raise WorkflowError(str(error)) from None


PLAN = plan()
RUNS = PLAN.every_run()
ARTIFACTS = {file.path: file for dataset in PLAN.datasets.values() for file in dataset.files}


wildcard_constraints:
    task="[^/]+",
    dataset="[^/]+",
    variant="[^/]+",
    identity="[^/]+",
    backbone="[^/]+",
    blocks="[0-9]+",
    weights="pretrained|random",
    experiment="[a-z_]+",


def run_of(wildcards):
    """The run that a result folder belongs to; another configuration's folder is no target of this one."""
    folder = "{task}/{dataset}/{variant}/{identity}".format(**wildcards)
    if folder not in RUNS:
        raise WorkflowError(
            f"results/{folder} is no run of configuration {config['name']!r}: name its own with --configfile"
        )
    return RUNS[folder]


def raw_files(wildcards):
    """The published files that a data set is made from."""
    return [f"results/raw/{file.path}" for file in PLAN.datasets[wildcards.dataset].files]


def backbone_files(wildcards):
    """The prepared backbone of a run, where its method has one."""
    backbone = run_of(wildcards).backbone
    if backbone is None:
        return []
    folder = BACKBONE_FOLDER.format(backbone=backbone.name, blocks=backbone.blocks, weights=backbone.weights)
    return [f"{folder}/{name}" for name in BACKBONE_FILES]


def training_threads(wildcards):
    """Snakemake cores of one training, such that -j8 on two cores does not start eight trainings on them."""
    cores, real = workflow.cores or 1, os.cpu_count() or 1
    return max(config["threads"], cores * config["threads"] // real)


def code_of(*modules):
    """The digest of the code behind a step, as a param: Snakemake itself does not look into the package."""
    return source_digest(*modules)


def training_code(wildcards):
    """The digest of the code that a run's number hangs on."""
    return source_digest("timellama.experiment", *modules_of(run_of(wildcards).method))


def metrics_of(experiment):
    """The results that a report is made from."""
    try:
        return [f"results/{run.folder}/metrics.json" for run in PLAN.experiment(experiment)]
    except InputError as error:
        raise WorkflowError(str(error)) from None


def report_facts(experiment):
    """What a report has to know beside the results: the planned cells and how methods are called."""
    shown = ("label", "floor")
    return {
        "configuration": config["name"],
        "planned": PLAN.cells(experiment),
        "methods": {name: {key: entry[key] for key in shown} for name, entry in PLAN.methods.items()},
        "generated": [name for name, entry in PLAN.datasets.items() if entry.generated],
    }


def shown_forecasts(wildcards):
    """The forecasts of the first seed of each method at a data set's first horizon and own look-back."""
    setting = config["experiments"]["long_term"]["datasets"].get(wildcards.dataset)
    if setting is None:
        raise WorkflowError(
            f"configuration {config['name']!r} has no data set {wildcards.dataset!r} under experiments.long_term"
        )
    chosen = {}
    for run in PLAN.experiment("long_term"):
        if (run.dataset, run.context, run.horizon) == (wildcards.dataset, setting["context"], setting["horizons"][0]):
            name = (run.variant, run.backbone and run.backbone.name)
            chosen.setdefault(name, f"results/{run.folder}/forecasts.npz")
    return list(chosen.values())


def every_report():
    """All reports of the active configuration."""
    targets = [f"reports/table_{name}.{ending}" for name in config["experiments"] for ending in ("tex", "md")]
    datasets = config["experiments"].get("long_term", {"datasets": {}})["datasets"]
    targets += [f"reports/figures/forecasts_{name}.{ending}" for name in datasets for ending in ("pdf", "png")]
    return targets
