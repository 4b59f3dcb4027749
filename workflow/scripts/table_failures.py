"""Which runs have no result, why, and the command that runs each alone."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports import failures

with job_log(snakemake.log[0]):
    failures.write(
        [failures.Failure(**fields) for fields in snakemake.params.failures],
        *map(Path, snakemake.output),
        configuration=snakemake.params.configuration,
        planned=snakemake.params.planned,
    )
