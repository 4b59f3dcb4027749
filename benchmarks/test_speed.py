"""Measures the goals of docs/benchmarks.md: the two sides of each ratio alternate in one process. Asserts nothing.

`python -m pytest benchmarks -q`. The inputs are random numbers of the shapes of ETTh1 (7 variates) and Traffic (862).
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PatchTSTConfig, PatchTSTForPrediction

from benchmarks.conftest import THREADS
from timellama.cost.efficiency import STEPS, operations
from timellama.data.windows import SplitWindows
from timellama.experiments.run import Training
from timellama.methods.patchtst import PatchTSTOptions
from timellama.methods.time_llama import TimeLlamaOptions
from timellama.training.precision import autocast
from timellama.training.scores.evaluation import evaluate
from timellama.training.steps.step import TrainingStep

CONTEXT, HORIZON = 512, 96
ETT, TRAFFIC = 7, 862
ETTH1_TEST_WINDOWS = 2785  # 2880 test rows, horizon 96
PEAK_SIZE = 2048  # large enough for a CPU to reach its peak rate
PROFILED_STEPS = 10  # our choice: a second or two, so that no single step counts much
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm")


def random_input(batch: int, variates: int) -> Tensor:
    """x [B, T, N]."""
    return torch.randn(batch, CONTEXT, variates, generator=torch.Generator().manual_seed(0))


def forecasting(model: nn.Module, x: Tensor, *, precision: str = "float32") -> Callable[[], Tensor]:
    """A call that forecasts without gradients; it has been called once already."""

    def call() -> Tensor:
        with torch.inference_mode(), autocast("cpu", precision):
            return model(x)

    call()
    return call


def training_step(
    model: nn.Module, batch: int, *, variates: int = ETT, precision: str = "float32"
) -> Callable[[], None]:
    """A call that makes one training step as timellama/training/train.py does; it has been called twice already."""
    x, training = random_input(batch, variates), Training()
    y = torch.randn(batch, HORIZON, variates)
    weight = TimeLlamaOptions().balance_weight
    make = TrainingStep(model.train(), training=training, balance_weight=weight, device="cpu", precision=precision)

    def step() -> None:
        make(x, y, learning_rate=training.learning_rate, step=1, total_steps=STEPS)

    for _ in range(2):
        step()
    return step


def fresh(code: str, folder: Path) -> float:
    """Run `code` in a fresh interpreter, with the prepared folder as its argument -> the number it prints."""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, text=True, capture_output=True)
    return float(done.stdout)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_throughput_over_patchtst(make, interleaved, record, precision):
    """transformers' own PatchTST stays in float32, in which it was the faster one; its bfloat16 is measured below."""
    options = PatchTSTOptions()
    config = PatchTSTConfig(
        num_input_channels=TRAFFIC,
        context_length=CONTEXT,
        prediction_length=HORIZON,
        patch_length=options.patch_length,
        patch_stride=options.patch_stride,
        d_model=options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        ffn_dim=options.feed_forward,
    )
    x, model = random_input(4, TRAFFIC), PatchTSTForPrediction(config).eval()

    def patchtst(precision: str = "float32") -> None:
        with torch.inference_mode(), autocast("cpu", precision):
            model(past_values=x)

    own = make("time-llama", variates=TRAFFIC, precision=precision)
    ours, other = interleaved(forecasting(own, x, precision=precision), patchtst, rounds=3)
    begun = time.perf_counter()
    patchtst("bfloat16")
    halved = time.perf_counter() - begun
    what = f"samples a second in {precision} over transformers' PatchTST in float32, 862 variates, batch 4"
    record(what, other / ours, "x", ">= 7" if precision == "bfloat16" else ">= 3.5", patchtst_in_bfloat16=halved)


@pytest.mark.parametrize("method", ["gpt4ts", "time-llm", "time-llama"])
def test_training_step_in_bfloat16(make, interleaved, record, method):
    """Both precisions on one thread, like trainings that run side by side; 4 windows of 7 variates."""
    torch.set_num_threads(1)
    halved, full = (
        training_step(make(method, variates=ETT, precision=precision), 4, precision=precision)
        for precision in ("bfloat16", "float32")
    )
    ours, other = interleaved(halved, full, rounds=3)
    torch.set_num_threads(THREADS)
    record(f"training step of {method} in float32 over bfloat16, one thread, batch 4", other / ours, "x", ">= 3")


def test_three_seeds_in_one_process(make, interleaved, record):
    """An upper bound for stacking the tokens of three seeds: one step of three batches shares more than they would."""
    torch.set_num_threads(1)
    single, stacked = (training_step(make("time-llama", variates=ETT), batch) for batch in (16, 48))
    ours, other = interleaved(stacked, single, rounds=10)
    torch.set_num_threads(THREADS)
    record("three steps of batch 16 over one of batch 48, one thread, 7 variates", 3 * other / ours, "x", ">= 1.5")


def test_throughput_over_time_llm(make, interleaved, record):
    x, time_llm = random_input(1, TRAFFIC), make("time-llm", variates=TRAFFIC)
    forecasting(time_llm, random_input(1, 1))  # leaves what it computes once for all forecasts untimed
    ours = forecasting(make("time-llama", variates=TRAFFIC), x)

    def other() -> None:
        with torch.inference_mode():
            time_llm(x)

    seconds, theirs = interleaved(ours, other, rounds=1)
    record("samples a second over our Time-LLM, 862 variates, batch 1", theirs / seconds, "x", ">= 150")


def test_share_of_the_matmul_peak(make, interleaved, record):
    model, x = make("time-llama", variates=TRAFFIC), random_input(4, TRAFFIC)
    left, right = torch.randn(PEAK_SIZE, PEAK_SIZE), torch.randn(PEAK_SIZE, PEAK_SIZE)
    call = forecasting(model, x)
    with torch.no_grad():
        count, _ = operations(lambda: model(x))
    ours, other = interleaved(call, lambda: left @ right, rounds=7)
    rate, peak = count / ours, 2 * PEAK_SIZE**3 / other
    details = {"gigaflops": rate / 1e9, "peak_gigaflops": peak / 1e9}
    record("share of the matmul peak, 862 variates, batch 4", 100 * rate / peak, "%", ">= 75", **details)


def test_dynamic_lora_over_frozen_in_inference(make, interleaved, record):
    x = random_input(32, ETT)
    calls = [forecasting(make("time-llama", variates=ETT, adapter=adapter), x) for adapter in ("dynamic", "none")]
    ours, other = interleaved(*calls, rounds=30)
    record("dynamic LoRA over frozen blocks, inference, batch 32, 7 variates", ours / other, "x", "<= 1.08")


def test_dynamic_lora_over_frozen_in_training(make, interleaved, record):
    steps = [training_step(make("time-llama", variates=ETT, adapter=adapter), 16) for adapter in ("dynamic", "none")]
    ours, other = interleaved(*steps, rounds=20)
    record("dynamic LoRA over frozen blocks, training, batch 16, 7 variates", ours / other, "x", "<= 1.12")


def test_training_step_over_its_bound(make, interleaved, record):
    """The bound is the frozen linears' products only, forward and for the gradient of their input."""
    model, rows = make("time-llama", variates=ETT), 16 * ETT
    matrices = [torch.randn(size) for _ in model.backbone.layers for size in model.backbone.sizes().values()]
    inputs = {size: torch.randn(rows, size) for matrix in matrices for size in matrix.shape}

    def bound() -> None:
        with torch.inference_mode():
            for matrix in matrices:
                inputs[matrix.shape[0]] @ matrix
            for matrix in reversed(matrices):
                inputs[matrix.shape[1]] @ matrix.T

    bound()
    ours, other = interleaved(training_step(model, 16), bound, rounds=20)
    record("training step over its matmul bound, batch 16, 7 variates", ours / other, "x", "<= 1.5")


def test_share_of_matrix_products(benchmark, make, record):
    """The share of a step's processor time in matrix products, with the sums that add those of LoRA."""
    step, shares = training_step(make("time-llama", variates=ETT), 16), []

    def profiled() -> None:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
            for _ in range(PROFILED_STEPS):
                step()
        times = {event.key: event.self_cpu_time_total for event in found.key_averages()}
        shares.append(100 * sum(times.get(name, 0) for name in PRODUCTS) / sum(times.values()))

    benchmark.pedantic(profiled, rounds=3, iterations=1)
    record("matrix products in a training step's processor time, batch 16", statistics.median(shares), "%", "no goal")


LOADING = """
import sys, time
start = time.perf_counter()
from pathlib import Path
import torch
after_torch = time.perf_counter()
from timellama.backbones.prepared import prompt_rows
from timellama.backbones.blocks import load_backbone
load_backbone(Path(sys.argv[1]), dtype=torch.float32)
prompt_rows(Path(sys.argv[1]), "Oil temperature, hourly.")
print(time.perf_counter() - {since})
"""


def test_loading(benchmark, folder, record):
    """In a fresh process, with its imports; the time without torch's own import is reported as well."""
    whole, beyond_torch = [], []

    def load() -> None:
        whole.append(fresh(LOADING.format(since="start"), folder))
        beyond_torch.append(fresh(LOADING.format(since="after_torch"), folder))

    benchmark.pedantic(load, rounds=3, warmup_rounds=1, iterations=1)
    record("loading backbone and prompt, beyond torch's import", statistics.median(beyond_torch[1:]), "s", "<= 1.5")
    record("loading backbone and prompt, in a fresh process", statistics.median(whole[1:]), "s", "<= 1.5")


MEMORY = """
import inspect, sys, dataclasses
from pathlib import Path
import torch
from timellama.backbones.prepared import prompt_rows
from timellama.backbones.blocks import load_backbone
from timellama.methods.time_llama.network import TimeLlama
from timellama.methods.time_llama import TimeLlamaOptions
torch.set_num_threads(2)
folder = Path(sys.argv[1])
options = dataclasses.asdict(TimeLlamaOptions())
options = {name: options[name] for name in inspect.signature(TimeLlama).parameters if name in options}
options |= {"backbone": load_backbone(folder, dtype=torch.float32), "prompt": prompt_rows(folder, "Hourly. " * 30)}
model = TimeLlama(context=512, horizon=96, **options).eval()
Path("/proc/self/clear_refs").write_text("5")  # from here on, the peak is a new one
with torch.inference_mode():
    for _ in range(3):
        model(torch.randn(1, 512, 862))
[line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(line.split()[1]) * 1024 / 1e6)
"""


def test_resident_memory(benchmark, folder, record):
    """The peak resident memory of a process that forecasts, without the temporary peak of loading."""
    found = []
    benchmark.pedantic(lambda: found.append(fresh(MEMORY, folder)), rounds=3, iterations=1)
    record("resident memory, 862 variates, batch 1", max(found), "MB", "<= 450")


def test_evaluation(benchmark, make, record):
    model = make("time-llama", variates=ETT)
    rows = torch.randn(CONTEXT + HORIZON - 1 + ETTH1_TEST_WINDOWS, ETT, generator=torch.Generator().manual_seed(0))
    windows, seconds = SplitWindows(rows=rows, context=CONTEXT, horizon=HORIZON), []

    def test() -> None:
        start = time.perf_counter()
        evaluate(
            model,
            windows,
            columns=[f"random {n}" for n in range(ETT)],
            batch_size=Training().evaluation_batch_size,
            device="cpu",
            precision="float32",
        )
        seconds.append(time.perf_counter() - start)

    benchmark.pedantic(test, rounds=3, iterations=1)
    record("evaluation of 2785 windows of 7 variates", statistics.median(seconds), "s", "<= 7", windows=len(windows))
