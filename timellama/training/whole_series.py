"""One run on M4 of a method that is fitted to each whole training series: nothing is trained, all series are scored.

The scores, the files and their form are those of `timellama.training.short_term`. The forecasts shown follow the
look-back that the other runs of their experiment have, so that figures show all methods over the same values.
"""

import dataclasses
from pathlib import Path

import torch
from torch import nn

from timellama.data.m4.series import load_m4
from timellama.data.m4.whole import WholeSeries
from timellama.data.m4.windows import prepare_m4
from timellama.experiments.m4_runs import require_m4_run
from timellama.experiments.memory import Fit
from timellama.experiments.run import Run
from timellama.training.run import Outputs, Prepared, Scored, carry_out
from timellama.training.scores.evaluation import shown_forecasts
from timellama.training.scores.m4_scores import Reference
from timellama.training.short_term import COLUMN, forecasts, require_same


def run_whole_series(
    run: Run,
    *,
    series: Path,
    backbone_folder: Path | None,
    choice: Path | None = None,
    outputs: Outputs,
    checkpoints: Path,
    threads: int,
    source_digest: str,
    memory_gb: float | None = None,
) -> dict:
    """Forecast all series of one frequency, write the run's files and return the content of `metrics.json`.

    The arguments and the numbers are those of `run_m4_experiment`, and so are the errors raised; `choice` is always
    None, since there is nothing to choose.
    """
    require_m4_run(run)

    def load() -> Prepared:
        data = load_m4(series)
        require_same(run, data, series)
        reference = Reference.of(data, dataset=run.dataset)
        parts = prepare_m4(data, context=run.context, frequency=reference.frequency)
        whole = WholeSeries(data)

        def score(model: nn.Module, device: str, fit: Fit) -> Scored:
            given = {"device": device, "precision": run.precision, "fit": fit}
            forecast, _ = forecasts(model, whole, batch_size=run.evaluation_batch_size, **given)
            shown = shown_forecasts(model, whole, columns=[COLUMN], **given)
            look_back, _ = parts.test.batch(torch.from_numpy(shown["start"]))
            return Scored(
                errors=reference.score(forecast),
                windows=len(forecast),
                router=None,
                shown=shown | {"context": look_back.numpy()},
                of_windows=reference.of_series(forecast),
            )

        return Prepared(parts=dataclasses.replace(parts, test=whole), data_sha256=data.raw_sha256, score=score)

    return carry_out(
        run,
        used=run,
        load=load,
        backbone_folder=backbone_folder,
        outputs=outputs,
        checkpoints=checkpoints,
        threads=threads,
        source_digest=source_digest,
        memory_gb=memory_gb,
    )
