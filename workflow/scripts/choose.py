"""Chooses among the trials of a search."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.training.choice import choose

with job_log(snakemake.log[0]):
    choose([Path(path) for path in snakemake.input], out=Path(snakemake.output[0]))
