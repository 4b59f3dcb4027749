"""Operations of one forecast at the paper's size: Traffic's 862 variates, look-back 512, horizon 96, one window.

`python -m benchmarks.operations` prints one line per method. Operations are counted on shapes, without weights: the
language model's shapes are those of its published configuration (timellama/cost/backbone_shapes.py).
"""

import dataclasses
from pathlib import Path

from timellama.core.schema import read_yaml
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.flops import count
from timellama.cost.workload import shape_run
from timellama.experiments.matrix import make_matrix
from timellama.experiments.run import Training
from timellama.reports.claims.rules import PAPER_SIZE
from timellama.results.aggregate import describe_backbone

DATASET, HORIZON = "Traffic", 96
ONE = Training(batch_size=1, evaluation_batch_size=1)


def operations(root: Path) -> dict[str, int]:
    """Operations by method of the paper's configuration, with the paper's language model where the method has one."""
    matrix, found = make_matrix(read_yaml(root / "config/paper.yaml"), root=root), {}
    for run in matrix.runs["long_term"]:
        model = describe_backbone(run.backbone and dataclasses.asdict(run.backbone))
        if (run.dataset, run.horizon) != (DATASET, HORIZON) or run.variant in found or model not in ("", PAPER_SIZE):
            continue
        shape = None
        if run.backbone:
            shape = backbone_shape(matrix.backbones[run.backbone.name], blocks=run.backbone.blocks, places=[])
        one = dataclasses.replace(shape_run(run), training=run.training and ONE)
        found[run.variant] = count(one, shape=shape).forecast.flops
    return found


if __name__ == "__main__":
    for name, flops in sorted(operations(Path()).items(), key=lambda item: item[1]):
        print(f"{name:20} {flops / 1e9:12.1f} GFLOP")
