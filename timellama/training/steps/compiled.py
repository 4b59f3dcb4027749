"""Steps of training that are compiled: as one CUDA graph, or with a forward pass that torch.compile made.

`Run.compiled` says which, decided when the plan was made (`timellama.experiments.compiling`). What cannot be compiled
runs eagerly, and the log and the run's provenance say why.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from timellama.core.layout import COMPILED
from timellama.experiments.compiling import GRAPH, INDUCTOR, OFF, require_compiler
from timellama.methods.forecaster import Forecast
from timellama.training.precision import widens
from timellama.training.steps.graph import CudaRecorder, GraphStep
from timellama.training.steps.step import TrainingStep

log = logging.getLogger(__name__)

CACHE = "TORCHINDUCTOR_CACHE_DIR"  # torch's variable
NAMED = os.environ.get(CACHE)  # by the user; read here, since torch writes its own default into it later
OPTIONS = {"fallback_random": True}  # dropout masks are those of eager steps


def as_compiled(step: TrainingStep, kind: str, *, batch: int) -> "TrainingStep | GraphStep":
    """The step in the form `kind` (off, graph or inductor); `batch` is how many entries a full batch has.

    Raises InputError if torch.compile would find no C++ compiler, and ValueError for another kind.
    """
    if kind == OFF:
        return step
    if kind == GRAPH:
        return GraphStep(step, batch=batch, recorder=CudaRecorder(step.device) if torch.cuda.is_available() else None)
    if kind == INDUCTOR:
        never = widens(step.device, step.precision)
        if not never:
            require_compiler()
            # Shared by all runs of a folder of results.
            os.environ[CACHE] = NAMED or str(Path(COMPILED).resolve())
        step.forecast_by = forecast = CompiledForecast(step.model.forecast, backend=INDUCTOR, options=OPTIONS)
        if never:
            forecast.refuse("bfloat16 needs a torch dispatch mode on this CPU, and torch compiles nothing under one")
        return step
    raise ValueError(f"compiled is {kind!r}; it must be {OFF}, {GRAPH} or {INDUCTOR}")


class CompiledForecast:
    """A forward pass through torch.compile for inputs of the first shape that it gets; others pass eagerly.

    So the last, smaller batch of an epoch costs no second compilation.
    """

    def __init__(self, forecast: Callable[[Tensor], Forecast], *, backend: str, options: dict | None = None):
        self.eager = forecast
        self.compiled = torch.compile(forecast, dynamic=False, backend=backend, options=options)
        self.shape: torch.Size | None = None
        self.refused: str | None = None

    def __call__(self, x: Tensor) -> Forecast:
        """x [B, T, N + C] to the forecast and what comes with it."""
        self.shape = self.shape or x.shape
        if self.refused or x.shape != self.shape:
            return self.eager(x)
        try:
            return self.compiled(x)
        except torch._dynamo.exc.TorchDynamoException as error:  # nothing has been computed yet
            self.refuse(f"torch.compile: {type(error).__name__}: {str(error).strip().splitlines()[0]}")
            return self.eager(x)

    def refuse(self, reason: str) -> None:
        """Pass everything eagerly from now on; the log and `how` give the reason."""
        self.refused = reason
        log.warning("steps of training are made eagerly: %s", reason)


def how(step: "TrainingStep | GraphStep") -> dict[str, str]:
    """How the steps were actually made, for the provenance of a run: `steps`, and a `reason` if they were eager."""
    if isinstance(step, GraphStep):
        return step.how()
    forecast = step.forecast_by
    if not isinstance(forecast, CompiledForecast):
        return {"steps": OFF}
    return {"steps": OFF, "reason": forecast.refused} if forecast.refused else {"steps": INDUCTOR}
