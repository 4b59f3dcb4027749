"""Part `efficiency`: the paper's claim at the paper's size, forecasts of Traffic's shape (862 variates, T 512, H 96).

The language models have random weights in the shape of Llama-2-7B, first 8 blocks, and Llama-3.2-1B, first 6, built on
the device: weights do not change how long a product takes. Settings are those of `config/paper.yaml`. A method that
forecasts each variate separately and does not fit in memory forecasts in chunks of variates, and its row says so.
"""

import dataclasses
import gc
import statistics

import torch
from torch import Tensor, nn

from benchmarks.gpu.machine import MATMUL, matmul_rate
from benchmarks.gpu.record import Given, arguments, matrix_of, spread, timed
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.efficiency import is_out_of_memory, operations
from timellama.cost.flops import build_shape
from timellama.methods.registry import method_of
from timellama.training.precision import autocast
from timellama.training.scores.predictions import forecast_of

BATCHES = (1, 4, 16, 64, 256)
CHUNKS = (431, 216, 108, 54, 27)  # of 862 variates
LONGEST = 3.0  # our choice, seconds: after a call that takes longer, no larger batch is tried
ORDER = ("time-llama", "patchtst", "time-llm", "time-llama-4", "time-llama-3", "itransformer", "gpt4ts", "dlinear")


def halved(model: nn.Module) -> nn.Module:
    """The frozen weights in bfloat16, as a run of that precision loads them."""
    for name in ("backbone", "embedding_table"):
        part = getattr(model, name, None)
        if isinstance(part, nn.Module):
            part.to(torch.bfloat16)
        elif isinstance(part, Tensor):
            setattr(model, name, part.to(torch.bfloat16))
    return model


def call_of(model: nn.Module, x: Tensor, given: Given, run, series: int | None):
    """A call that forecasts x [B, T, N] as evaluation does, at most `series` of its B N series at a time."""

    def call() -> None:
        with torch.inference_mode(), autocast(given.device, run.precision):
            forecast_of(model, x, series=series)

    return call


def measure(
    given: Given, run, model: nn.Module, batch: int, row: dict, peak: float, *, series: int | None = None
) -> float:
    """Record one batch size and return the seconds of a call. Raises what torch raises if memory runs out."""
    cuda = given.device == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    x = torch.randn(batch, run.context, run.variates, device=given.device)
    call = call_of(model, x, given, run, series)
    flops, _ = operations(call)
    taken = timed(call, device=given.device, seconds=0.2 if given.tiny else 1.0, most=30, warm_up=1)
    seconds = statistics.median(taken)
    given.record.add(
        **row,
        batch=batch,
        **spread(taken),
        samples_per_second=batch / seconds,
        gflop=flops / 1e9,
        share_of_peak=flops / seconds / peak,
        peak_bytes=torch.cuda.max_memory_allocated() if cuda else None,
    )
    return seconds


def measure_all(given: Given, run, model: nn.Module, row: dict, peak: float) -> None:
    """Record growing batches until memory or time runs out; in chunks of variates if batch 1 does not fit whole."""
    for batch in BATCHES[:2] if given.tiny else BATCHES:
        if given.left() < 10:
            given.record.add(**row, batch=batch, status="skipped: no time was left")
            return
        try:
            if measure(given, run, model, batch, row, peak) > LONGEST:
                return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            del error
            gc.collect()
            given.record.add(**row, batch=batch, status="out of memory")
            if batch > 1 or not method_of(run.method).forecasts_alone(run.options):
                return
            for size in CHUNKS:
                try:
                    measure(given, run, model, 1, row | {"chunk": size}, peak, series=size)
                    return
                except Exception as inner:
                    if not is_out_of_memory(inner):
                        raise


def main(given: Given) -> None:
    """Record every method and language model, the two methods of the claim first."""
    matrix = matrix_of("smoke" if given.tiny else "paper", device=given.device)
    peak = matmul_rate(given.device, torch.bfloat16, size=256 if given.tiny else MATMUL)
    sweeps = sorted(
        matrix.sweeps.values(),
        key=lambda sweep: ORDER.index(sweep.run.variant) if sweep.run.variant in ORDER else len(ORDER),
    )
    for sweep in sweeps:
        run = sweep.run
        if run.variant not in ORDER:
            continue
        run = dataclasses.replace(run, variates=21 if given.tiny else 862)
        backbone = run.backbone and f"{run.backbone.name} x{run.backbone.blocks}, random weights"
        row = {"what": "forecast", "method": run.variant, "backbone": backbone, "variates": run.variates}
        row |= {"precision": run.precision}
        with given.record.attempt(**row):
            if given.left() < 10:
                given.record.add(**row, status="skipped: no time was left")
                continue
            shape = None
            if run.backbone:
                shape = backbone_shape(matrix.backbones[run.backbone.name], blocks=run.backbone.blocks, places=[])
            torch.manual_seed(0)
            model = build_shape(run, shape=shape, device=given.device).eval()
            if run.precision == "bfloat16":
                halved(model)
            measure_all(given, run, model, row, peak)
        model = None
        gc.collect()
        if given.device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main(arguments("efficiency"))
