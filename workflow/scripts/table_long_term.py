"""Table 1: long-term forecasting, ours beside the paper's."""

from pathlib import Path

from timellama import aggregate, markup, tables
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    facts = snakemake.params.facts
    frame = aggregate.collect([Path(path) for path in snakemake.input.metrics], methods=facts["methods"])
    summary = aggregate.with_published(aggregate.summarise(frame), Path(snakemake.input.published))
    table = tables.long_term(
        summary, configuration=facts["configuration"], planned=facts["planned"], generated=facts["generated"]
    )
    markup.write(table, Path(snakemake.output.tex), Path(snakemake.output.md))
