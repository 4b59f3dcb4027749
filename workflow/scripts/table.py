"""The table of one experiment, as LaTeX, Markdown and HTML."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports import report_tables
from timellama.reports.render import markup

with job_log(snakemake.log[0]):
    published = snakemake.input.get("published")
    table = report_tables.table(
        snakemake.wildcards.experiment,
        metrics=[Path(path) for path in snakemake.input.metrics],
        published=Path(published) if published else None,
        facts=snakemake.params.facts,
    )
    markup.write(table, *map(Path, snakemake.output))
