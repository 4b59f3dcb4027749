"""Calibrates the intervals of a finished run."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.results.forecasts.calibration import calibrate

with job_log(snakemake.log[0]):
    calibrate(
        Path(snakemake.input.metrics).parent,
        scores=Path(snakemake.output.scores),
        widths=Path(snakemake.output.widths),
        threads=snakemake.config["threads"],
        source_digest=snakemake.params.code,
        memory_gb=snakemake.config.get("memory_gb"),
    )
