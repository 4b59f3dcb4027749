"""A table's LaTeX as PDF."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.reports.render import table_pdf

with job_log(snakemake.log[0]):
    table_pdf.compiled(Path(snakemake.input[0]), Path(snakemake.output[0]))
