"""Measures one method and backbone at every number of variates and batch size."""

from pathlib import Path

from timellama.efficiency_specs import Sweep
from timellama.efficiency_sweep import measure_sweep
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    backbone = snakemake.input.get("backbone")
    measure_sweep(
        Sweep.from_json(snakemake.params.sweep),
        backbone_folder=Path(backbone[0]).parent if backbone else None,
        output=Path(snakemake.output[0]),
        source_digest=snakemake.params.code,
    )
