"""The table of time, memory and operations."""

import dataclasses
from pathlib import Path

from timellama import failures, markup
from timellama.efficiency_rows import read_sweeps
from timellama.efficiency_table import efficiency
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    facts, published = snakemake.params.facts, Path(snakemake.input.published)
    paths, remark = [Path(path) for path in snakemake.input if path != snakemake.input.published], facts["remark"]
    if paths or not remark:
        rows = read_sweeps(paths, methods=facts["methods"])
        table = efficiency(rows, configuration=facts["configuration"], published=published)
        table = dataclasses.replace(table, caption=f"{table.caption} {remark}".strip())
    else:
        table = failures.without_results("efficiency", text=remark)
    markup.write(table, *map(Path, snakemake.output))
