"""Makes one data set's canonical series from its published files."""

from pathlib import Path

from timellama.data.catalogue import load_catalogue
from timellama.data.normalise import normalise
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    normalise(
        load_catalogue(Path("config/datasets.yaml"))[snakemake.wildcards.dataset],
        [Path(file) for file in snakemake.input],
        Path(snakemake.output.series),
        Path(snakemake.output.quirks),
    )
