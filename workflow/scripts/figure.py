"""One figure, as PDF and PNG."""

from pathlib import Path

from timellama.core.job_log import job_log
from timellama.reports import report_figures
from timellama.reports.render import style

with job_log(snakemake.log[0]):
    facts, published = snakemake.params.facts, snakemake.input.get("published")
    files = snakemake.input.files
    paths = [Path(path) for path in ([files] if isinstance(files, str) else files)]
    figure = report_figures.figure(
        facts["figure"],
        files=paths,
        published=Path(published) if published else None,
        methods=facts["methods"],
        dataset=facts["dataset"],
    )
    remark = f"{facts['remark']} {report_figures.origin(facts['figure'], paths)}".strip()
    style.save(figure, Path(snakemake.output.pdf), Path(snakemake.output.png), remark=remark)
