"""Makes one data set's canonical series from its published files."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_datasets

with job_log(snakemake.log[0]):
    normalise(
        load_datasets()[snakemake.wildcards.dataset],
        [Path(file) for file in snakemake.input],
        Path(snakemake.output.series),
        Path(snakemake.output.quirks),
    )
