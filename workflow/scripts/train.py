"""Trains and evaluates one run."""

from pathlib import Path

from timellama.experiment import Outputs, execute
from timellama.joblog import job_log
from timellama.specs import Run

with job_log(snakemake.log[0]):
    files = snakemake.output
    execute(
        Run.from_json(snakemake.params.run),
        series=Path(snakemake.input.series),
        backbone_folder=Path(snakemake.input.backbone[0]).parent if snakemake.input.backbone else None,
        outputs=Outputs(**{name: Path(path) for name, path in files.items()}),
        threads=snakemake.config["threads"],
        source_digest=snakemake.params.code,
    )
