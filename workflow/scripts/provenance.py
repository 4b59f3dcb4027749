"""The index of where every number in the reports came from."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.reports import provenance_index

with job_log(snakemake.log[0]):
    index = provenance_index.make(snakemake.params.reports, configuration=snakemake.params.configuration)
    provenance_index.write(index, Path(snakemake.output[0]))
