"""Measures one method and backbone at every number of variates and batch size."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.cost.efficiency_sweep import measure_sweep
from timellama.experiments.sweep import Sweep

with job_log(snakemake.log[0]):
    backbone = snakemake.input.get("backbone")
    measure_sweep(
        Sweep.from_json(snakemake.params.sweep),
        backbone_folder=Path(backbone[0]).parent if backbone else None,
        output=Path(snakemake.output[0]),
        source_digest=snakemake.params.code,
    )
