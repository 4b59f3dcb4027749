"""A figure, as PDF and PNG, and the remark on it as text."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.reports import registry
from timellama.reports.render import style
from timellama.reports.render.markup import write_files

with job_log(snakemake.log[0]):
    parameters = {key: snakemake.params[key] for key in ("files", "published", "facts")}
    given = registry.context_of_job(snakemake.wildcards.figure, config=snakemake.config, **parameters)
    figure, remark = registry.built(given)
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png), mark=given.facts["mark"])
    write_files({Path(snakemake.output.txt): f"{remark}\n"})
