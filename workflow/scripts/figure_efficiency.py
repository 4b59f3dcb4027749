"""Latency or memory over the number of variates, as PDF and PNG."""

from pathlib import Path

from timellama import report_figures, style
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    figure, remark = report_figures.efficiency_figure(
        snakemake.wildcards.efficiency,
        sweeps=[Path(path) for path in snakemake.input],
        facts=snakemake.params.facts,
    )
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png), remark=remark)
