"""Our errors beside the paper's, cell by cell, as PDF and PNG."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports.figures import paper_vs_ours as paper_figure
from timellama.reports.render import style

with job_log(snakemake.log[0]):
    facts = snakemake.params.facts
    files = {name: [Path(path) for path in paths] for name, paths in facts["files"].items()}
    published = Path(snakemake.input.published[0]).parent
    parts = paper_figure.read_parts(files, published=published, methods=facts["methods"])
    figure, remark = paper_figure.paper_vs_ours(parts), paper_figure.remark(parts, facts=facts)
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png), remark=remark)
