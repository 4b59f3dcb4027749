"""The abstract of the run: what was run, on what, how long, what came out, and where it all is."""

from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.reports import run_page
from timellama.reports.render.markup import write_files

with job_log(snakemake.log[0]):
    facts = snakemake.params.facts | {"remark": snakemake.params.remark}
    place = Path(snakemake.output[0])
    text = run_page.page(
        {name: [Path(path) for path in paths] for name, paths in snakemake.params.files.items()},
        planned=snakemake.params.planned,
        settings=snakemake.params.settings,
        reports=[Path(path) for path in snakemake.params.reports if Path(path) != place],
        place=place,
        published=Path(snakemake.input.published[0]).parent,
        facts=facts,
    )
    write_files({place: text})
