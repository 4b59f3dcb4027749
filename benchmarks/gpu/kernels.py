"""Part `kernels`: how many kernels a training step of ETTh1's shape starts, and how long the GPU is busy in it."""

import time

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.record import Given, arguments, synchronise
from benchmarks.gpu.steps import Step, model_of, subject

STEPS = 3


def main(given: Given) -> None:
    """Record the operations, the kernels, their seconds, and the operators that take the most time."""
    run, parts = subject(given)
    batch = run.training.batch_size
    step = Step(model_of(given, run), run, device=given.device, batch=batch)
    x, y = parts.train.to(given.device).batch(torch.arange(batch, device=given.device))
    for _ in range(3):
        step(x, y)
    synchronise(given.device)
    clock = time.perf_counter()
    for _ in range(STEPS):
        step(x, y)
    synchronise(given.device)
    seconds = (time.perf_counter() - clock) / STEPS
    cuda = given.device == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as found:
        for _ in range(STEPS):
            step(x, y)
        synchronise(given.device)
    events = found.events()
    kernels = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
    busy = sum(event.time_range.elapsed_us() for event in kernels) / STEPS / 1e6
    given.record.add(
        what="a training step",
        batch=run.training.batch_size,
        seconds=seconds,
        operations=sum(event.device_type == torch.autograd.DeviceType.CPU for event in events) / STEPS,
        kernels=len(kernels) / STEPS,
        kernel_seconds=busy,
        busy_share=busy / seconds if cuda else None,
    )
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    for row in sorted(found.key_averages(), key=lambda row: -getattr(row, key))[:10]:
        given.record.add(what="operator", name=row.key, calls=row.count / STEPS, us=getattr(row, key) / STEPS)


if __name__ == "__main__":
    main(arguments("kernels"))
