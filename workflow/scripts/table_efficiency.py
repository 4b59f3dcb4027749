"""The table of time, memory and operations."""

from pathlib import Path

from timellama import markup
from timellama.efficiency_rows import read_sweeps
from timellama.efficiency_table import efficiency
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    facts = snakemake.params.facts
    rows = read_sweeps([Path(path) for path in snakemake.input.sweeps], methods=facts["methods"])
    table = efficiency(rows, configuration=facts["configuration"], published=Path(snakemake.input.published))
    markup.write(table, Path(snakemake.output.tex), Path(snakemake.output.md))
