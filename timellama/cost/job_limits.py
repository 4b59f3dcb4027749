"""Resource requests of a training for a scheduler: memory and minutes, only from the run's sizes.

They are bounds to be granted, not predictions: a request that is too small costs a job, and each further attempt adds
the same amount again. The bounds count the libraries, the series, the parameters, and what a forward pass leaves for
the backward pass, and the scoring of a batch. A method's record says how its layers grow. `tests/test_demand.py`
compares the bounds with measured trainings on a CPU.
"""

from collections.abc import Mapping

from timellama.experiments.memory import WHOLE, fit_of, pass_bytes, stack_of, weight_bounds
from timellama.experiments.run import Run, Training
from timellama.experiments.work import windows_of, work_of

SNAKEMAKE = (
    400  # MB of the two Snakemake processes of a job on a cluster. Measured: 193 for one that plans config/paper.yaml
)
COPIES = 3 * 8  # bytes per number of the series: as read, scaled, and one in transit
LIBRARIES = 450  # MB. Measured: 418 at the end of a training on ETTh1 without a language model
SCORED = 64  # bytes per forecast value of a batch: forecast, truth, difference and scores, in float32 and float64
CUDA_LIBRARIES = 4000  # MB of the machine's memory; our choice, not measured
CUDA_CONTEXT = 1000  # MB of the GPU's memory, with what the allocator leaves unused; our choice, not measured
# Operations per second. One of two threads reached 2e11 on an idle AMD EPYC and a tenth of it beside eight others. A
# GPU: our choice, below a tenth of the 312e12 in bfloat16 that the data sheet of an A100 gives.
CPU_RATE, CUDA_RATE = 2e10, 2e13
START = 30  # our choice, minutes: imports, a cold shared disk, the writing of results
# Our choice, minutes: many clusters refuse more than a day, and a training that is cut off resumes from its checkpoint
# at the next attempt.
LONGEST = 24 * 60


def memory(run: Run, *, rows: int, width: int | None, cuda: bool, memory_gb: float | None = None) -> Mapping[str, int]:
    """Megabytes: `host` of the machine and `device` of its GPU, 0 without `cuda`. `rows` are those of the series.

    `memory_gb` is what the run may take where it computes: the part of a batch that passes at once is cut to it.
    """
    frozen, trained = weight_bounds(run, width=width)
    fit = fit_of(run, width=width, memory=memory_gb * 1e9) if memory_gb else WHOLE
    passes = pass_bytes(run, width=width, fit=fit)
    passes += (fit.forecast_windows or run.evaluation_batch_size) * run.horizon * run.variates * SCORED
    series = rows * run.columns * COPIES
    if cuda:
        # The weights pass through the machine's memory: as in the file, and as sent to the GPU.
        host, device = 2 * frozen + trained + series, frozen + trained + passes
        return {"host": CUDA_LIBRARIES + host // 10**6, "device": CUDA_CONTEXT + device // 10**6}
    return {"host": LIBRARIES + (frozen + trained + passes + series) // 10**6, "device": 0}


def minutes(run: Run, *, rows: int, frequency: str, width: int | None, cuda: bool, threads: int) -> int:
    """Minutes of the training and its test on all windows, without early stopping, at most LONGEST."""
    of, training = stack_of(run, width=width), run.training or Training()
    work = work_of(run, windows_of(run, rows=rows, frequency=frequency))
    forecasts = (work.validation_batches + work.test_batches) * training.evaluation_batch_size
    in_training = stack_of(run, width=width, variates=training.drawn_of(run.variates))
    # A backward pass is twice the work of a forward pass.
    seen = 3 * work.steps * training.batch_size * in_training.tokens + forecasts * of.tokens
    operations = 2 * seen * of.layers * of.parameters
    seconds = operations / (CUDA_RATE if cuda else CPU_RATE * threads)
    return min(START + round(seconds / 60), LONGEST)
