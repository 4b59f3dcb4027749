"""A table, as LaTeX, Markdown, HTML and CSV."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.reports import registry
from timellama.reports.render import files

with job_log(snakemake.log[0]):
    parameters = {key: snakemake.params[key] for key in ("files", "published", "facts")}
    table = registry.built(registry.context_of_job(snakemake.wildcards.table, config=snakemake.config, **parameters))
    files.write(table, *map(Path, snakemake.output))
