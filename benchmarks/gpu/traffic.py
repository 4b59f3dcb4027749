"""Part `traffic`: training steps of Traffic's shape (862 variates, T 512, H 96) in bfloat16, and the memory they take.

Language models as in part `efficiency`: random weights in the published shapes.
"""

import dataclasses
import gc

import torch

from benchmarks.gpu.efficiency import halved
from benchmarks.gpu.record import Given, arguments, matrix_of, spread, timed
from benchmarks.gpu.steps import Step
from timellama.cost import workload
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.efficiency import is_out_of_memory
from timellama.cost.flops import build_shape, count

BATCHES = (1, 4, 16)
METHODS = ("time-llama", "patchtst", "itransformer", "dlinear", "gpt4ts", "time-llm")


def main(given: Given) -> None:
    """Record growing batches of every method until memory or time runs out."""
    matrix = matrix_of("smoke" if given.tiny else "paper", device=given.device)
    cuda = given.device == "cuda"
    chosen = [sweep.run for sweep in matrix.sweeps.values() if sweep.run.variant in METHODS]
    for run in sorted(chosen, key=lambda run: METHODS.index(run.variant)):
        run = dataclasses.replace(run, variates=21 if given.tiny else 862)
        backbone = run.backbone and f"{run.backbone.name} x{run.backbone.blocks}, random weights"
        row = {"what": "training step", "method": run.variant, "backbone": backbone, "precision": run.precision}
        with given.record.attempt(**row):
            shape = None
            if run.backbone:
                shape = backbone_shape(matrix.backbones[run.backbone.name], blocks=run.backbone.blocks, places=[])
            torch.manual_seed(0)
            model = build_shape(run, shape=shape, device=given.device).train()
            if run.precision == "bfloat16":
                halved(model)
            for batch in BATCHES[:1] if given.tiny else BATCHES:
                if given.left() < 6:
                    given.record.add(**row, batch=batch, status="skipped: no time was left")
                    break
                sized = dataclasses.replace(run, training=dataclasses.replace(run.training, batch_size=batch))
                planned = workload.device_bytes(sized, count(sized, shape=shape), held=1.0)
                try:
                    if cuda:
                        torch.cuda.empty_cache()
                        torch.cuda.reset_peak_memory_stats()
                    step = Step(model, run, device=given.device, batch=batch)
                    x, y = (
                        torch.randn(batch, n, run.variates, device=given.device) for n in (run.context, run.horizon)
                    )
                    taken = timed(lambda: step(x, y), device=given.device, seconds=0.7, most=20, warm_up=1)  # noqa: B023
                    peak = torch.cuda.max_memory_allocated() if cuda else None
                    given.record.add(**row, batch=batch, **spread(taken), peak_bytes=peak, planned_bytes=planned)
                    if sum(taken) / len(taken) > 2:
                        break
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    given.record.add(**row, batch=batch, status="out of memory", planned_bytes=planned)
                    break
        model = step = None
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main(arguments("traffic"))
