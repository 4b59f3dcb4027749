"""Part `calibration`: what `timellama plan` predicts here, compared with what the runs of part `training` took."""

import json

from benchmarks.gpu.record import Given, Record, arguments, matrix_of
from timellama.cost import workload
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.flops import count
from timellama.cost.timing import calibrate
from timellama.experiments.compiling import OFF
from timellama.experiments.run import Run
from timellama.experiments.work import windows_of, work_of

MEMORY = 60 << 30  # bytes that a timed model may take


def main(given: Given) -> None:
    """Predict the seconds and memory of every run that part `training` finished."""
    matrix = matrix_of("smoke" if given.tiny else "cpu", device=given.device)
    finished = [row for row in Record.read(given.out) if row["part"] == "training" and row["what"] == "run"]
    # Seconds are predicted for eager steps only.
    finished = [row for row in finished if "error" not in row and row["compiled"] == OFF]
    shapes, backbones, of_run = {}, {}, []
    for row in finished:
        run = Run.from_json(json.dumps(row["run"]))
        shape = workload.shape_run(run)
        of_run.append((row, run, shape))
        if shape in shapes:
            continue
        chosen = shape.backbone
        backbones[shape] = (
            backbone_shape(matrix.backbones[chosen.name], blocks=chosen.blocks, places=[]) if chosen else None
        )
        shapes[shape] = count(shape, shape=backbones[shape])
    speed = calibrate(shapes, backbones, threads=2, device=given.device, memory=MEMORY, on_progress=print)
    for row, run, shape in of_run:
        dataset, costs = matrix.datasets[run.dataset], shapes[shape]
        work = work_of(run, windows_of(run, rows=dataset.rows, frequency=dataset.frequency))
        seconds = workload.run_seconds(run, work, costs, speed, overhead=0.0)
        least, most = workload.device_bytes(run, costs, held=1.0)
        share = row["steps"] / work.steps  # patience ends a training before the planned steps
        given.record.add(
            what="plan",
            method=run.variant,
            seed=run.seed,
            precision=run.precision,
            predicted_train_seconds=(seconds.training + seconds.validation) * share,
            measured_train_seconds=row["train_seconds"],
            predicted_evaluate_seconds=seconds.test,
            measured_evaluate_seconds=row["evaluate_seconds"],
            predicted_least_bytes=least,
            predicted_most_bytes=most,
            measured_bytes=row["peak_memory_bytes"],
        )


if __name__ == "__main__":
    main(arguments("calibration"))
