"""Training steps through torch.compile on a CPU: seconds to compile, cold and from a kept cache, and steps a second.

`python -m benchmarks.compiled_steps --variant time-llama --cache FOLDER` measures one method on ETTh1, H 96, with the
settings of `config/cpu.yaml`, on one thread, and prints a row. Eager and compiled steps alternate in one process. They
are measured in processor time, which other programs affect less; the ratio is that of the medians. A second process
with the same folder shows what the cache saves.
"""

import argparse
import copy
import json
import os
import statistics
import time
from pathlib import Path

ROUNDS = 20  # our choice: pairs of an eager and a compiled step


def main() -> None:
    """Measure and print one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="time-llama")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--cache", type=Path, required=True)
    given = parser.parse_args()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(given.cache.resolve())
    import torch

    from benchmarks.gpu.record import matrix_of
    from timellama.data.series import load_series
    from timellama.data.windows import prepare
    from timellama.training.build import build
    from timellama.training.device import seed_everything
    from timellama.training.steps.compiled import OPTIONS, CompiledForecast
    from timellama.training.steps.step import TrainingStep

    torch.set_num_threads(1)
    planned = matrix_of("cpu", device="cpu").every_run().values()
    wanted = ("ETTh1", "long-term", 96, 0, given.variant)
    run = next(r for r in planned if (r.dataset, r.task, r.horizon, r.seed, r.variant) == wanted and not r.trials)
    series = load_series(given.results / f"data/{run.dataset}/series.npz")
    windows = prepare(series, run.split, context=run.context, horizon=run.horizon, train_percent=100).train
    folder = (
        run.backbone and given.results / f"backbones/{run.backbone.name}/x{run.backbone.blocks}-{run.backbone.weights}"
    )
    seed_everything(run.seed, "cpu")
    model = build(run, backbone_folder=folder).train()
    shared = {"training": run.training, "balance_weight": run.balance_weight, "device": "cpu", "precision": "float32"}
    other = copy.deepcopy(model)
    eager, compiled = TrainingStep(model, **shared), TrainingStep(other, **shared)
    compiled.forecast_by = CompiledForecast(other.forecast, backend="inductor", options=OPTIONS)
    order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0)).split(run.training.batch_size)
    rest = {"learning_rate": run.training.learning_rate, "total_steps": 1000}
    losses, slopes, taken = [], [], ([], [])
    for number in range(1 + ROUNDS):
        x, y = windows.batch(order[number])
        row = []
        for which, step in enumerate((eager, compiled)):
            torch.manual_seed(number)
            clock, processor = time.perf_counter(), time.process_time()
            row.append(step(x, y, step=number + 1, **rest)[0].item())
            if number:
                taken[which].append(time.process_time() - processor)
                continue
            first, first_processor = time.perf_counter() - clock, time.process_time() - processor
            slopes.append(torch.cat([p.grad.flatten() for p in step.model.parameters() if p.grad is not None]))
        losses.append(abs(row[0] - row[1]) / row[0])
    median = [statistics.median(each) for each in taken]
    found = {
        "variant": given.variant,
        "batch": run.training.batch_size,
        "max_steps": run.training.max_steps,
        "first_seconds": round(first, 2),
        "first_processor_seconds": round(first_processor, 2),
        "eager_ms": round(1e3 * median[0], 2),
        "compiled_ms": round(1e3 * median[1], 2),
        "ratio": round(median[0] / median[1], 3),
        "first_gradients_apart": ((slopes[0] - slopes[1]).norm() / slopes[0].norm()).item(),
        "losses_apart": losses,
        "refused": compiled.forecast_by.refused,
        "graph_breaks": sum(torch._dynamo.utils.counters["graph_break"].values()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
