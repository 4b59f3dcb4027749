"""The validation loss by which weights are chosen, and what routers choose meanwhile (paper, section 4.3).

A sum over all windows, divided once; the test part is never among them.
"""

from timellama.data.windows import SplitWindows
from timellama.experiments.memory import WHOLE, Fit
from timellama.experiments.run import Training
from timellama.methods.forecaster import Forecaster
from timellama.training.scores.predictions import predictions, spread, with_choices
from timellama.training.steps.masking import masked_loss, observed
from timellama.training.steps.step import LOSSES


def validate(
    model: Forecaster,
    windows: SplitWindows,
    *,
    training: Training,
    device: str,
    precision: str,
    fit: Fit = WHOLE,
) -> tuple[float, list[dict]]:
    """Mean loss over the validation windows, each counted once, and the router's choices for `ROUTER_HISTORY`.

    If targets are missing, the mean is over the observed ones, and windows without any are left out.
    """
    total, count, statistics = 0.0, 0, None
    indices = spread(len(windows), training.validation_windows)
    if windows.masked:
        known = windows.with_targets(alone=False)
        indices = known[spread(len(known), training.validation_windows)]
    batch_size = training.evaluation_batch_size
    for chosen, forecast, y, routings in predictions(
        model, windows, indices=indices, batch_size=batch_size, device=device, precision=precision, fit=fit
    ):
        if windows.masked:
            total += masked_loss(LOSSES[training.loss], forecast.double(), y.double(), over=1).item()
            count += int(observed(y))
        else:
            total += LOSSES[training.loss](forecast.double(), y.double()).item() * len(chosen)
            count += len(chosen)
        statistics = with_choices(statistics, model, routings)
    summary = statistics.summary() if statistics else {"selection_rate": [], "modules": []}
    rows = [
        {"block": block, "module": module, "selection_rate": rate, "entropy": summary["entropy"][block]}
        for block, rates in enumerate(summary["selection_rate"])
        for module, rate in zip(summary["modules"], rates, strict=True)
    ]
    return total / count, rows
