"""The table of time, memory and operations."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports import report_tables
from timellama.reports.render import markup

with job_log(snakemake.log[0]):
    published = snakemake.input.published
    table = report_tables.efficiency_table(
        [Path(path) for path in snakemake.input if path != published],
        published=Path(published),
        facts=snakemake.params.facts,
    )
    markup.write(table, *map(Path, snakemake.output))
