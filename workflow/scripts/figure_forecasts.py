"""Forecasts against truth for a few test windows and variates of one data set."""

from pathlib import Path

from timellama import figures, style
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    methods = snakemake.params.facts["methods"]
    runs = [(methods[Path(path).parts[-3]]["label"], Path(path)) for path in snakemake.input]
    figure = figures.forecasts(runs, dataset=snakemake.wildcards.dataset)
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png))
