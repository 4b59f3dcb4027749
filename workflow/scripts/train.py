"""Trains and tests one run."""

import sys
from functools import partial
from pathlib import Path

from timellama.core.interruption import Interrupted
from timellama.core.job_log import job_log
from timellama.experiments.run import Run
from timellama.training.metric_objects import find_metrics
from timellama.training.run import Outputs, run_experiment
from timellama.training.short_term import run_m4_experiment

with job_log(snakemake.log[0], progress=snakemake.params.checkpoints):
    run, backbone, choice = Run.from_json(snakemake.params.run), snakemake.input.backbone, snakemake.input.choice
    measured = partial(run_experiment, metrics=find_metrics(snakemake.params.metrics))
    carry_out = run_m4_experiment if run.task == "short-term" else measured
    try:
        carry_out(
            run,
            series=Path(snakemake.input.series),
            choice=Path(choice[0]) if choice else None,
            backbone_folder=Path(backbone[0]).parent if backbone else None,
            outputs=Outputs(**{name: Path(path) for name, path in snakemake.output.items()}),
            checkpoints=Path(snakemake.params.checkpoints),
            threads=snakemake.config["threads"],
            source_digest=snakemake.params.code,
            memory_gb=snakemake.config.get("memory_gb"),
        )
    except Interrupted as stop:
        print(f"{stop}: {run.folder} goes on from its last checkpoint when it is started again", file=sys.stderr)
        raise
