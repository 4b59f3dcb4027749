"""Tries what comes from outside the package once, on a few random windows, before hours are spent on it.

A forecast [B, H, 1] would be broadcast against the truth [B, H, N], train to the end and give a number that means
nothing; a metric that fails would fail after the training. What the trial draws or changes is restored.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from timellama.core.errors import InputError
from timellama.core.outside import failure, is_own
from timellama.experiments.run import Run
from timellama.methods.forecaster import Forecast, Forecaster
from timellama.methods.method import LibraryMethod, Method
from timellama.methods.registry import method_of
from timellama.training.precision import autocast
from timellama.training.scores.metric_objects import Metric
from timellama.training.steps.checkpoint import generator_states, restore_generators

WINDOWS = 2  # our choice: the fewest that distinguish a batch from a window
BATCHES = (3, 1)  # our choice: windows of the batches that metrics are tried on; the last one of a test may hold one


def try_network(model: Forecaster, run: Run, *, device: str) -> None:
    """Forecast two random windows, in training mode and in evaluation mode.

    The package's own networks are not tried, unless they come from another library.

    Raises InputError if that fails, if the forecast is not a tensor [B, H, N], and if nothing can be trained.
    """
    method = method_of(run.method)
    if is_own(method.network) and not isinstance(method, LibraryMethod):
        return
    said = f"method {run.method!r}"
    if run.training and not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(
            f"{said} has no parameter to train; give it one, or name a {Method.__module__}.Method with trains=False"
        )
    behind = f" + C {len(run.calendar)}" if run.calendar else ""
    on = f"x [B {WINDOWS}, T {run.context}, N {run.variates}{behind}]"
    x = torch.randn(WINDOWS, run.context, run.columns, generator=torch.Generator().manual_seed(0)).to(device)
    with _untouched(model), autocast(device, run.precision):
        for mode in (True, False):
            try:
                made = model.train(mode).forecast(x)
            except Exception as error:  # whatever the network raises
                raise InputError(f"{said} cannot forecast {on}: {failure(error)}; correct its forward") from error
            _check(made, run, said, on)


def _check(made: Any, run: Run, said: str, on: str) -> None:
    if not isinstance(made, Forecast):
        raise InputError(f"{said}: its `forecast` returns {_kind(made)}, but must return a {Forecast.__name__}")
    shape, values = (WINDOWS, run.horizon, run.variates), made.values
    if not isinstance(values, Tensor) or values.shape != shape or not values.is_floating_point():
        raise InputError(
            f"{said} gives {_kind(values)} for {on}, but a forecast is a tensor of floats "
            f"[B {WINDOWS}, H {run.horizon}, N {run.variates}]; return only that from its forward"
        )
    if run.training and not values.requires_grad:
        raise InputError(f"{said}: its forecast carries no gradient; remove what detaches it, such as no_grad")


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Restore the generators, the buffers and the mode afterwards."""
    drawn, mode = generator_states(), model.training
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in model.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])
        model.train(mode)
        restore_generators(drawn)


def try_metrics(metrics: Mapping[str, Metric], *, horizon: int, variates: int, masked: bool = False) -> None:
    """Score random forecasts of three windows and of one by each user-supplied metric, by place.

    masked: whether targets may be missing, for which a metric has to score each value by itself. Raises InputError if
    that fails, if the scores are not a finite tensor [B, ...], and if the metric changes its inputs, on which others
    are scored.
    """
    draw = torch.Generator().manual_seed(0)
    for place, metric in metrics.items():
        sizes = set()
        for windows in BATCHES:
            given = [torch.randn(windows, horizon, variates, generator=draw, dtype=torch.float64) for _ in range(2)]
            sizes.add(_scores_a_window(place, metric.function, *given))
            if masked:
                _require_a_score_a_value(place, metric.function, *given)
        if len(sizes) > 1:
            raise InputError(
                f"metrics: {place} gives {sorted(sizes)} scores per window in batches of different sizes; {RETURN}"
            )


RETURN = "return a tensor [B, ...] with equally many scores for every window, such as [B] or [B, H, N]"


def _scores_a_window(place: str, function: Callable[[Any, Any], Any], forecast: Tensor, truth: Tensor) -> int:
    """How many scores a window has."""
    windows, horizon, variates = forecast.shape
    said, before = f"metrics: {place}", (forecast.clone(), truth.clone())
    on = f"two float64 tensors [B {windows}, H {horizon}, N {variates}]"
    try:
        scores = function(forecast, truth)
    except Exception as error:  # whatever the function raises
        raise InputError(
            f"{said} cannot score {on}: {failure(error)}; its function takes forecast and truth, and must {RETURN}"
        ) from error
    if not isinstance(scores, Tensor) or scores.is_complex() or not scores.ndim or len(scores) != windows:
        raise InputError(f"{said} gives {_kind(scores)} for {on}; {RETURN}")
    if not torch.isfinite(scores).all():
        raise InputError(
            f"{said} gives scores that are not finite for {on} of random numbers, some below 0; correct what divides "
            "by zero or takes a root or a logarithm"
        )
    if not (torch.equal(forecast, before[0]) and torch.equal(truth, before[1])):
        raise InputError(f"{said} changes the tensors that it is given; work on a copy, with operations without `_`")
    return scores.numel() // windows


def _require_a_score_a_value(place: str, function: Callable[[Any, Any], Any], forecast: Tensor, truth: Tensor) -> None:
    """Raise InputError unless every value has a score that no missing value of the truth changes."""
    before = function(forecast, truth)
    missing = torch.zeros_like(truth, dtype=torch.bool)
    missing[0, 0, 0] = True
    after = function(forecast, truth.masked_fill(missing, torch.nan))
    if before.shape != truth.shape or not torch.equal(before[~missing], after[~missing]):
        raise InputError(
            f"metrics: {place} gives scores {list(before.shape)} of a truth {list(truth.shape)}, but the data set has "
            "missing targets, which must not count; return a tensor [B, H, N] whose every score depends on only one "
            "value, or fill the data set (--fill)"
        )


def _kind(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"
