"""Fetches a language model and prepares its first blocks."""

import os
from pathlib import Path

from timellama.backbones.catalogue import BackboneEntry, fetch_backbone, prepare
from timellama.core.jobs.job_log import job_log
from timellama.data.fetch.sources import mirrors_from
from timellama.experiments.run import RANDOM_SEED

with job_log(snakemake.log[0]):
    entry = BackboneEntry(**snakemake.params.entry)
    blocks, weights, cache = int(snakemake.wildcards.blocks), snakemake.wildcards.weights, Path(snakemake.params.cache)
    source = fetch_backbone(
        entry,
        blocks=blocks,
        weights=weights,
        folder=cache / "backbones" / entry.name,
        mirrors=mirrors_from(os.environ, snakemake.config.get("mirrors", [])),
        cache=cache,
        progress=True,
    )
    folder = Path(snakemake.output[0]).parent
    prepare(
        entry, blocks=blocks, source=source, folder=folder, random_seed=None if weights == "pretrained" else RANDOM_SEED
    )
