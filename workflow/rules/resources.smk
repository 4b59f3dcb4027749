"""Resource requests of the jobs for a cluster's scheduler; a local Snakemake ignores memory and minutes by default.

Attempt n requests n times the memory. `timellama/cost/job_limits.py` derives the requests of a training.
"""

from timellama.cost.job_limits import SNAKEMAKE, memory, minutes

GPU = config["device"].startswith("cuda")

# Under workflow/profiles/gpu every job is started through this module, which gives each training its own GPU.
if "local_gpu" in workflow.global_resources:
    shell.prefix(f"exec {sys.executable} -m timellama.core.machine.gpus ")


def sizes(run):
    """What the demands of a run depend on but the run itself does not contain."""
    width = MATRIX.backbones[run.backbone.name].width if run.backbone else None
    return {"rows": MATRIX.datasets[run.dataset].rows, "width": width, "cuda": GPU}


def bounded(run):
    """The demands on memory also depend on how much a run may take."""
    return memory(run, **sizes(run), memory_gb=config.get("memory_gb"))


def training_memory(wildcards, attempt):
    """Megabytes of the machine's memory."""
    run = run_of(wildcards)
    return attempt * (SNAKEMAKE + bounded(run)["host"])


def calibration_memory(wildcards, attempt):
    """As for a training, with the 256 MiB of residuals that are held and 64 MiB that are sorted, twice."""
    return training_memory(wildcards, attempt) + attempt * 400


def training_gpu_memory(wildcards):
    """Megabytes of the GPU's memory. Slurm grants whole GPUs: use this to choose the partition, with `snakemake -n`."""
    run = run_of(wildcards)
    return bounded(run)["device"]


def training_minutes(wildcards):
    """Minutes; a training that is cut off resumes from its checkpoint at the next attempt."""
    run = run_of(wildcards)
    frequency = MATRIX.datasets[run.dataset].frequency
    return minutes(run, **sizes(run), frequency=frequency, threads=config["threads"])


def megabytes(measured):
    """The memory of a job measured at `measured` MB, by attempt, including the Snakemake processes that run it."""
    return lambda wildcards, attempt: attempt * (SNAKEMAKE + measured)


def backbone_memory(wildcards, attempt):
    """Megabytes needed to prepare a backbone, whose blocks are all held in memory.

    Measured: 220 MB for a tiny one, 973 MB for six blocks of SmolLM2-135M with what reads its file. For the others 27 D^2
    parameters per block, as in Gemma, which has the most, at 2 bytes.
    """
    blocks = 54 * MATRIX.backbones[wildcards.backbone].width ** 2 * int(wildcards.blocks) // 1_000_000
    return attempt * (SNAKEMAKE + 1000 + blocks)
