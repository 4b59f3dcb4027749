"""Latency or memory over the number of variates, as PDF and PNG."""

from pathlib import Path

from timellama import efficiency_figures, style, tables
from timellama.efficiency_rows import read_sweeps
from timellama.joblog import job_log

with job_log(snakemake.log[0]):
    facts, paths, name = (
        snakemake.params.facts,
        [Path(path) for path in snakemake.input],
        snakemake.wildcards.efficiency,
    )
    remark = facts["remark"]
    if paths or not remark:
        rows = read_sweeps(paths, methods=facts["methods"])
        figure = getattr(efficiency_figures, name)(rows)
        commits = {row["commit"] for row in rows}
        remark += f" {tables.describe_commits(commits)}" if len(commits) > 1 else ""
    else:
        figure = style.blank(f"{name}: no sweep has a result")
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png), remark=remark.strip())
