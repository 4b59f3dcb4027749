"""Latency or memory over the number of variates, as PDF and PNG."""

from pathlib import Path

from timellama import efficiency_figures, style
from timellama.efficiency_rows import read_sweeps
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    rows = read_sweeps([Path(path) for path in snakemake.input.sweeps], methods=snakemake.params.facts["methods"])
    figure = getattr(efficiency_figures, snakemake.wildcards.efficiency)(rows)
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png))
