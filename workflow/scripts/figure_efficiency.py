"""Latency or memory over the number of variates, as PDF and PNG."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports import report_figures
from timellama.reports.render import style

with job_log(snakemake.log[0]):
    figure, remark = report_figures.efficiency_figure(
        snakemake.wildcards.efficiency,
        sweeps=[Path(path) for path in snakemake.input],
        facts=snakemake.params.facts,
    )
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png), remark=remark)
