"""Part `training`: whole runs of ETTh1, H 96, as the workflow makes them, several at once on one GPU.

Time-LlaMA with three seeds, once more in bfloat16, and PatchTST, with the settings of `config/cpu.yaml`. Their errors
are compared with those of the kept reference, which a CPU computed. The runs of seed 0 are repeated with their steps as
a CUDA graph.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.record import ROOT, Given, arguments, matrix_of
from timellama.experiments.compiling import GRAPH, OFF

KEPT = ("mse", "mae", "n_windows", "steps", "best_step", "validation_loss", "peak_memory_bytes")


def runs(given: Given) -> list:
    """The runs, on the given device."""
    from timellama.experiments.run import Run

    name, dataset = ("smoke", "Synthetic") if given.tiny else ("cpu", "ETTh1")
    planned = matrix_of(name, device=given.device).experiment("long_term")
    chosen: list[Run] = []
    for run in planned:
        if run.dataset == dataset and run.task == "long-term" and run.variant in ("time-llama", "patchtst"):
            first = (run.horizon, run.backbone.blocks if run.backbone else 6) == (24 if given.tiny else 96, 6)
            if (first or given.tiny) and run.seed < (3 if run.variant == "time-llama" else 1):
                chosen.append(run)
    first = {run.variant: run for run in reversed(chosen) if run.seed == 0}
    halved = dataclasses.replace(first["time-llama"], precision="bfloat16")
    return [*chosen, halved, *(dataclasses.replace(run, compiled=GRAPH) for run in (*first.values(), halved))]


def carried_out(text: str, results: Path, out: Path) -> None:
    """Carry out one run in this process; its files are written under `out`."""
    from timellama.experiments.run import Run
    from timellama.training.run import Outputs, run_experiment

    run = Run.from_json(text)
    folder = out / run.folder
    folder.mkdir(parents=True, exist_ok=True)
    backbone = run.backbone and results / f"backbones/{run.backbone.name}/x{run.backbone.blocks}-{run.backbone.weights}"
    run_experiment(
        run,
        series=results / f"data/{run.dataset}/series.npz",
        backbone_folder=backbone,
        outputs=Outputs(
            metrics=folder / "metrics.json",
            weights=folder / "weights.safetensors",
            history=folder / "history.csv",
            router=folder / "router.csv",
            forecasts=folder / "forecasts.npz",
            windows=folder / "windows.npz",
        ),
        checkpoints=out / "checkpoints" / run.folder,
        threads=2,
        source_digest="",
    )


def main(given: Given) -> None:
    """Start all runs at once, wait for them, record their numbers."""
    scratch = Path(os.environ.get("TMPDIR", "/tmp")) / f"gpu-check-{os.getpid()}"
    begun, processes = time.monotonic(), []
    for run in runs(given):
        command = [sys.executable, "-m", "benchmarks.gpu.training", "--run", run.to_json()]
        command += [str(given.results), str(scratch)]
        processes.append((run, subprocess.Popen(command, cwd=ROOT)))
    for run, process in processes:
        row = {"what": "run", "method": run.variant, "seed": run.seed, "precision": run.precision}
        row |= {"compiled": run.compiled}
        with given.record.attempt(**row):
            process.wait(timeout=max(given.left(), 1))
            metrics = json.loads((scratch / run.folder / "metrics.json").read_text(encoding="utf-8"))
            seconds = metrics["seconds"]
            made = metrics["provenance"].get("compiled", {"steps": OFF})
            if given.device == "cuda" and made["steps"] != run.compiled:
                raise RuntimeError(f"the steps were eager: {made['reason']}")
            row |= {name: metrics[name] for name in KEPT}
            row |= {f"{name}_seconds": seconds[name] for name in ("train", "evaluate", "total")}
            given.record.add(**row, dataset=run.dataset, horizon=run.horizon, run=json.loads(run.to_json()))
    for _, process in processes:
        process.kill()
    given.record.add(what="together", runs=len(processes), seconds=time.monotonic() - begun)


if __name__ == "__main__":
    if sys.argv[1] == "--run":
        carried_out(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(arguments("training"))
