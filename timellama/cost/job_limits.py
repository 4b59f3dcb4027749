"""What a training asks of a scheduler: memory and minutes, from the run's sizes alone.

They are bounds to be granted, not predictions: asking for too little costs a job, and each further attempt asks for as
much again. What is counted: the libraries, the series, the parameters, and what a forward pass leaves for the backward
pass. Sizes of a language model that its catalogue entry does not hold are the largest of the catalogue's, Gemma's: a
block has 27 D^2 parameters (26.25) and a feed-forward width of 8 D. `tests/test_demand.py` holds the bounds against
measured trainings on a CPU. Nothing was measured on CUDA.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from timellama.experiments.run import Run, Training
from timellama.experiments.work import windows_of, work_of

BLOCK = 27  # parameters of a block of a language model, in D^2: Gemma-2B's configuration, rounded up
KEPT = (
    10 + 4 * 8
)  # numbers that a block keeps of a token, in D: 10 D around the attention, 4 around 8 D of feed-forward
ALIGNMENT = 5  # square layers of the cross-attention, timellama/methods/time_llama/alignment.py
MODULES = 7  # LoRA modules of a block at most, each between widths of 8 D at most
VOCABULARY = 128_256  # tokens, Llama-3.2's; Gemma has twice as many, and gets them at its second attempt
LETTERS = 3  # our choice: of a prompt to a token at least; the tokenizers here make about 4
STATISTICS = 100  # our choice: tokens that the statistics of a window add to a prompt
# Bytes of a trained parameter: value, gradient, Adam's two moments, the best value so far, and in a checkpoint that is
# being written value, moments and best value again; all float32.
TRAINED = 9 * 4
SNAKEMAKE = (
    400  # MB of the two Snakemakes that carry a job on a cluster. Measured: 193 of one that plans config/paper.yaml
)
COPIES = 3 * 8  # bytes of a number of the series: as read, scaled, and one on the way
LIBRARIES = 450  # MB. Measured: 418 at the end of a training on ETTh1 without a language model
CUDA_LIBRARIES = 4000  # MB of the machine's memory; our choice, not measured
CUDA_CONTEXT = 1000  # MB of the GPU's memory, with what the allocator leaves unused; our choice, not measured
# Operations a second. A thread of two did 2e11 on an unladen AMD EPYC and a tenth of it with eight others beside it.
# A GPU: our choice, below a tenth of the 312e12 in bfloat16 that the data sheet of an A100 names.
CPU_RATE, CUDA_RATE = 2e10, 2e13
START = 30  # our choice, minutes: imports, a cold shared disk, the writing of results
# Our choice, minutes: more than a day is refused by many clusters, and a training that is cut off goes on from its
# checkpoint at the next attempt.
LONGEST = 24 * 60
INCEPTION = sum((2 * i + 1) ** 2 for i in range(6))  # places of TimesNet's six kernels


@dataclass(frozen=True)
class Shape:
    """A method as a stack of layers: `tokens` a window, `layers`, and of each layer parameters and kept numbers."""

    tokens: int
    layers: int
    parameters: int
    kept: int
    trained: int  # parameters of the whole model that are trained


def shape(run: Run, *, width: int | None) -> Shape:
    """What of a run's method grows with its sizes. `width` is D of its language model.

    A method that is not listed has one layer from the look-back to the horizon, or none.
    """
    options, variates = run.options, run.variates
    words = len(run.prompt or "") // LETTERS
    patches = (run.context - options.patch_length) // options.patch_stride + 2 if "patch" in str(options) else 0
    if run.method == "time-llama":
        blocks = run.backbone.blocks
        tokens = variates + (words if options.alignment == "prefix" else 0)
        lora = MODULES * blocks * options.rank * (1 + 8) * width
        trained = ALIGNMENT * width**2 + (run.context + run.horizon) * width + lora
        trained += BLOCK * width**2 * blocks if options.train_backbone else 0
        return Shape(tokens, blocks, BLOCK * width**2, KEPT * width, trained)
    if run.method == "time-llm":
        tokens = variates * (patches + words + STATISTICS)
        trained = options.prototypes * VOCABULARY + 3 * options.heads * options.features * width
        return Shape(tokens, run.backbone.blocks, BLOCK * width**2, KEPT * width, trained)
    if run.method == "gpt4ts":
        trained = (options.patch_length + patches * run.horizon) * width
        return Shape(variates * patches, run.backbone.blocks, BLOCK * width**2, KEPT * width, trained)
    if run.method in ("patchtst", "itransformer"):
        partners = patches if run.method == "patchtst" else variates
        parameters = 4 * options.width**2 + 2 * options.width * options.feed_forward
        kept = 10 * options.width + 4 * options.feed_forward + 4 * options.heads * partners
        ends = (run.context + (patches or 1) * run.horizon) * options.width
        return Shape(variates * (patches or 1), options.layers, parameters, kept, options.layers * parameters + ends)
    if run.method == "timesnet":
        parameters = 2 * INCEPTION * options.width * options.feed_forward
        kept = 2 * options.periods * (options.kernels + 2) * max(options.width, options.feed_forward)
        return Shape(run.context + run.horizon, options.layers, parameters, kept, options.layers * parameters)
    return Shape(variates, 1, run.context * run.horizon, run.context + run.horizon, 2 * run.context * run.horizon)


def memory(run: Run, *, rows: int, width: int | None, cuda: bool) -> Mapping[str, int]:
    """Megabytes: `host` of the machine and `device` of its GPU, 0 without `cuda`. `rows` are those of the series."""
    of, training = shape(run, width=width), run.training or Training(batch_size=0)
    number = 2 if run.precision == "bfloat16" else 4
    frozen = of.layers * of.parameters * number if run.backbone else 0
    if run.method == "time-llm":
        frozen += VOCABULARY * width * number
    trained = TRAINED * of.trained
    passes = max(training.batch_size * of.layers, training.evaluation_batch_size) * of.tokens * of.kept * number
    series = rows * run.variates * COPIES
    if cuda:
        # The weights pass through the machine's memory: as the file has them, and as the GPU gets them.
        host, device = 2 * frozen + trained + series, frozen + trained + passes
        return {"host": CUDA_LIBRARIES + host // 10**6, "device": CUDA_CONTEXT + device // 10**6}
    return {"host": LIBRARIES + (frozen + trained + passes + series) // 10**6, "device": 0}


def minutes(run: Run, *, rows: int, frequency: str, width: int | None, cuda: bool, threads: int) -> int:
    """Minutes of the training and its test, at most LONGEST: of all windows, as without early stopping."""
    of, training = shape(run, width=width), run.training or Training()
    work = work_of(run, windows_of(run, rows=rows, frequency=frequency))
    forecasts = (work.validation_batches + work.test_batches) * training.evaluation_batch_size
    # A backward pass is twice the work of a forward pass.
    seen = 3 * work.steps * training.batch_size + forecasts
    operations = 2 * seen * of.tokens * of.layers * of.parameters
    seconds = operations / (CUDA_RATE if cuda else CPU_RATE * threads)
    return min(START + round(seconds / 60), LONGEST)
