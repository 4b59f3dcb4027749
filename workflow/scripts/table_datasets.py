"""The table of the catalogue's data sets, beside the paper's table 6."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports.dataset_table import dataset_table
from timellama.reports.render import markup

with job_log(snakemake.log[0]):
    table = dataset_table(snakemake.params.rows, published=Path(snakemake.input.published))
    markup.write(table, *map(Path, snakemake.output))
