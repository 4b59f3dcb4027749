"""Part `compiled`: a training step of ETTh1's shape through torch.compile: seconds to compile, speed, losses."""

import copy
import time

import torch

from benchmarks.gpu.record import Given, arguments, spread, synchronise, timed
from benchmarks.gpu.steps import COMPARED, Step, model_of, subject
from timellama.training.steps.compiled import OPTIONS, CompiledForecast


def main(given: Given) -> None:
    """Record the compiled step and the eager one."""
    run, parts = subject(given)
    windows = parts.train.to(given.device)
    model = model_of(given, run)
    untouched = copy.deepcopy(model)
    draw = torch.Generator().manual_seed(0)
    batch = run.training.batch_size
    order = [torch.randint(len(parts.train), (batch,), generator=draw).to(given.device) for _ in range(COMPARED)]
    eager = Step(model, run, device=given.device, batch=batch)
    losses = [eager(*windows.batch(indices)).item() for indices in order]
    step = Step(untouched, run, device=given.device, batch=batch)
    step.step.forecast_by = CompiledForecast(untouched.forecast, backend="inductor", options=OPTIONS)
    clock = time.perf_counter()
    other = [step(*windows.batch(order[0])).item()]
    synchronise(given.device)
    first = time.perf_counter() - clock
    other += [step(*windows.batch(indices)).item() for indices in order[1:]]
    apart = max(abs(a - b) / abs(a) for a, b in zip(losses, other, strict=True))
    for how, call in (("eager", eager), ("compiled", step)):
        taken = timed(lambda: call(*windows.batch(order[0])), device=given.device, seconds=1.0, most=100)  # noqa: B023
        extra = {"first_seconds": first, "losses_apart": apart} if how == "compiled" else {}
        given.record.add(what="step", how=how, batch=batch, precision=run.precision, **extra, **spread(taken))


if __name__ == "__main__":
    main(arguments("compiled"))
