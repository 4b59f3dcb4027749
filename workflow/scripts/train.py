"""Trains and tests one run."""

import sys
from functools import partial
from pathlib import Path

from timellama.core.jobs.interruption import Interrupted
from timellama.core.jobs.job_log import job_log
from timellama.core.outside import loaded
from timellama.experiments.run import Run
from timellama.training.run import Outputs
from timellama.training.scores.metric_objects import find_metrics
from timellama.training.step_of import step_of

with job_log(snakemake.log[0], progress=snakemake.params.checkpoints):
    run, backbone, choice = Run.from_json(snakemake.params.run), snakemake.input.backbone, snakemake.input.choice
    metrics = {} if run.task == "short-term" else {"metrics": find_metrics(snakemake.params.metrics)}
    carry_out = partial(loaded(step_of(run), of="the step"), **metrics)
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
