"""Brings one published file: from a mirror, from its public address, or out of an archive."""

import os
from pathlib import Path

from timellama.core.jobs.job_log import job_log
from timellama.data.fetch.sources import Artifact, fetch, mirrors_from

with job_log(snakemake.log[0]):
    fetch(
        Artifact(**snakemake.params.artifact),
        Path(snakemake.output[0]),
        mirrors=mirrors_from(os.environ, snakemake.config.get("mirrors", [])),
        cache=Path(snakemake.params.cache),
    )
