"""How a run is made to fit into the memory that it may use, from its sizes alone.

A method that forecasts each variate alone can process any number of series (a window of one variate) at a time: a
training step splits its batch into parts and adds up their gradients, so the result is the same within rounding. A
method that reads all variates at once, or normalises over its batch, recomputes its layers in the backward pass instead
of keeping them (Chen et al. 2016, arXiv 1604.06174): the result is the same to the bit. It forecasts fewer windows at a
time.

Bounds, not predictions: what a pass keeps comes from the method's own record (`Stack`), with 4 bytes per number.
"""

from dataclasses import dataclass

from timellama.experiments.run import Run
from timellama.methods.method import VOCABULARY, Sizes, Stack
from timellama.methods.registry import method_of

LETTERS = 3  # our choice: of a prompt per token, at least; with the tokenizers here it is about 4
# Bytes per trained parameter: value, gradient, Adam's two moments, the best value so far, and, in a checkpoint that is
# being written, value, moments and best value again; all float32.
TRAINED = 9 * 4
NUMBER = 4  # bytes of a number that a pass keeps: autocast keeps some in 2 and some in 4
INPUT = 10  # a layer keeps at least this many times its input: `KEPT` has 10 D around the attention alone


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How much passes through a model at once; None: all of a batch.

    step_series: series of a training step. forecast_series: series of a forecast. forecast_windows: windows of a
    forecast. recompute: whether layers are recomputed in the backward pass.
    """

    step_series: int | None = None
    forecast_series: int | None = None
    forecast_windows: int | None = None
    recompute: bool = False


WHOLE = Fit()


def in_words(fit: Fit) -> str:
    """The fit as a run's log shows it."""
    said = {
        "series in a step of training": fit.step_series,
        "series in a forecast": fit.forecast_series,
        "windows in a forecast": fit.forecast_windows,
    }
    parts = [f"at most {count} {what} at once" for what, count in said.items() if count]
    return ", ".join([*parts, *(["layers computed again in the backward pass"] if fit.recompute else [])])


def stack_of(run: Run, *, width: int | None, variates: int | None = None) -> Stack:
    """The layers of a run's method at its sizes, or at another number of variates. `width` is D of its language
    model."""
    sizes = Sizes(
        context=run.context,
        horizon=run.horizon,
        variates=variates or run.variates,
        calendar=len(run.calendar),
        words=len(run.prompt or "") // LETTERS,
        blocks=run.backbone.blocks if run.backbone else 0,
        width=width or 0,
    )
    return method_of(run.method).stack_at(run.options, sizes)


def weight_bounds(run: Run, *, width: int | None) -> tuple[int, int]:
    """Upper bounds on the bytes of the frozen weights, and of all that is kept of the trained ones."""
    of = stack_of(run, width=width)
    number = 2 if run.precision == "bfloat16" else 4
    frozen = of.layers * of.parameters * number if run.backbone else 0
    if method_of(run.method).table:
        frozen += VOCABULARY * width * number
    return frozen, TRAINED * of.trained


def pass_bytes(run: Run, *, width: int | None, fit: Fit) -> int:
    """Bytes that the larger of a training step and a forecast keeps besides the weights."""
    return max(_step_bytes(run, width, fit), _forecast_bytes(run, width, fit))


def fit_of(run: Run, *, width: int | None, memory: float, weights: int | None = None) -> Fit:
    """What passes at once if the run may use `memory` bytes: at least one series or window, however small `memory` is.

    `weights` are the bytes that the weights and what is kept of them take, if they are known.
    """
    free = max(0.0, memory - (sum(weight_bounds(run, width=width)) if weights is None else weights))
    method = method_of(run.method)
    cuts_step, cuts_forecast = _step_bytes(run, width, WHOLE) > free, _forecast_bytes(run, width, WHOLE) > free
    alone = method.forecasts_alone(run.options)
    in_parts = alone and not method.batch_statistics

    def fitting(bytes_of_one: int) -> int:
        return max(1, int(free // bytes_of_one))

    step = _step_bytes(run, width, Fit(step_series=1))
    series, window = (_forecast_bytes(run, width, one) for one in (Fit(forecast_series=1), Fit(forecast_windows=1)))
    return Fit(
        step_series=fitting(step) if cuts_step and in_parts else None,
        forecast_series=fitting(series) if cuts_forecast and alone else None,
        forecast_windows=fitting(window) if cuts_forecast and not alone else None,
        recompute=cuts_step and not in_parts,
    )


def _step_bytes(run: Run, width: int | None, fit: Fit) -> int:
    if run.training is None:
        return 0
    if fit.step_series:
        of = stack_of(run, width=width, variates=1)
        return fit.step_series * of.tokens * of.layers * of.kept * NUMBER
    of = stack_of(run, width=width, variates=run.training.drawn_of(run.variates))
    layer = run.training.batch_size * of.tokens * of.kept * NUMBER
    return layer + of.layers * layer // INPUT if fit.recompute else of.layers * layer


def _forecast_bytes(run: Run, width: int | None, fit: Fit) -> int:
    if fit.forecast_series:
        of, count = stack_of(run, width=width, variates=1), fit.forecast_series
    else:
        of, count = stack_of(run, width=width), fit.forecast_windows or run.evaluation_batch_size
    return count * of.tokens * of.kept * NUMBER
