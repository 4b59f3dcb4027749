"""The paper's claims with effects and verdicts, as LaTeX, Markdown and HTML."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports.claims import table as claims_table
from timellama.reports.render import markup

with job_log(snakemake.log[0]):
    facts = snakemake.params.facts
    files = {name: [Path(path) for path in paths] for name, paths in facts["files"].items()}
    table = claims_table.of_files(files, published=Path(snakemake.input.published[0]).parent, facts=facts)
    markup.write(table, *map(Path, snakemake.output))
