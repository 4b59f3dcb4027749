"""What one measurement counts, against hand-computed numbers. Times are never compared."""

import dataclasses
import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from tests import made_up
from timellama.cost import efficiency
from timellama.cost.efficiency import adapter_numbers, operations, percentile
from timellama.experiments.sweep import Cell
from timellama.methods.dlinear import DLinearOptions
from timellama.methods.forecaster import Forecaster, as_forecaster
from timellama.methods.naive import SeasonalNaiveOptions
from timellama.training.build import build


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A small matmul, since its rate is not under test."""
    monkeypatch.setattr(efficiency, "MATMUL_SIZE", 64)


@pytest.fixture
def cell(sample_run):
    sizes = {"context": 48, "horizon": 12, "variates": 3}
    run = made_up.small(sample_run, task="efficiency", options=DLinearOptions(), **sizes)
    return Cell(run=run, batch_size=2, threads=1, seconds=1, longest_call=60, train=True, backbone_folder=None)


def test_the_percentile_is_the_nearest_rank():
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.95) == 95
    assert percentile(values[:20], 0.95) == 99, "the 19th of 81 .. 100"
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3, "the largest of fewer than 20 values"
    assert percentile([7.0], 0.95) == 7


def test_operations_of_a_linear_layer_match_a_hand_computed_count():
    layer, x = nn.Linear(5, 7), torch.randn(11, 5)
    flops, uncounted = operations(lambda: layer(x))
    assert flops == 2 * 11 * 5 * 7 and uncounted == {}


def test_operations_of_in_place_products_match_a_hand_computed_count():
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    flops, uncounted = operations(lambda: torch.zeros(3, 7).addmm_(a, b))
    assert flops == 2 * 3 * 5 * 7 and uncounted == {}
    flops, uncounted = operations(lambda: torch.zeros(2, 3, 7).baddbmm_(a.expand(2, 3, 5), b.expand(2, 5, 7)))
    assert flops == 2 * 2 * 3 * 5 * 7 and uncounted == {}


@pytest.mark.parametrize("guard", [torch.inference_mode, torch.enable_grad])
def test_operations_of_attention_match_a_hand_computed_count(guard):
    q, k, v = torch.randn(2, 4, 6, 8), torch.randn(2, 4, 10, 8), torch.randn(2, 4, 10, 8)

    def call():
        with guard():
            nn.functional.scaled_dot_product_attention(q, k, v)

    flops, uncounted = operations(call)
    products = 2 * (2 * 4) * (6 * 8 * 10) * 2  # batch and heads, then Q K^T and scores V
    assert flops == products
    assert set(uncounted) <= {"_softmax", "_safe_softmax"}


def test_uncounted_operations_are_listed_but_not_those_that_only_move_data():
    norm, x = nn.LayerNorm(8), torch.randn(3, 8)

    def call():
        y = torch.cat([norm(x).T.reshape(3, 8), x]).clone() * 2 + 1
        torch.fft.rfft(y)
        return y.softmax(dim=1)

    flops, uncounted = operations(call)
    assert flops == 0
    assert uncounted == {"native_layer_norm": 1, "_fft_r2c": 1, "_softmax": 1}


def test_a_fused_encoder_layer_does_not_hide_its_products():
    width, tokens = 16, 5
    layer = nn.TransformerEncoderLayer(width, 4, 32, batch_first=True).eval()
    x = torch.randn(1, tokens, width)

    def call():
        with torch.inference_mode():
            layer(x)

    projections = 2 * tokens * (4 * width * width + 2 * width * 32)
    attention = 2 * tokens * tokens * width * 2
    flops, uncounted = operations(call)
    assert flops == projections + attention
    assert "_transformer_encoder_layer_fwd" not in uncounted
    assert torch.backends.mha.get_fastpath_enabled(), "restored"


def test_the_number_of_adapter_parameters_matches_a_hand_computed_count():
    class Adapted(Forecaster):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(6, 6)
            self.lora = nn.ModuleList(nn.Linear(6, 2, bias=False) for _ in range(3))
            self.lora[2].requires_grad_(False)

        def adapter_parameters(self):
            return list(self.lora.parameters())

    assert adapter_numbers(Adapted()) == 2 * 6 * 2
    assert adapter_numbers(as_forecaster(nn.Linear(6, 6))) is None


# Two blocks of the tiny GPT-2, rank 2: Q, K, V and O between widths of 32, U and D between 32 and 128.
@pytest.mark.parametrize(("adapter", "numbers"), [("static", 2 * 2 * (4 * (32 + 32) + 2 * (32 + 128))), ("none", 0)])
def test_the_adapter_parameters_of_time_llama_match_a_hand_computed_count(tiny, run_of, adapter, numbers):
    run = run_of("time-llama", rank=2, adapter=adapter)
    assert adapter_numbers(build(run, backbone_folder=tiny)) == numbers


def test_a_cell_reports_every_stage(cell):
    stages = []
    efficiency.measure(cell, stages.append)
    told = {key: value for stage in stages for key, value in stage.items()}
    weights = 2 * (48 + 1) * 12
    assert told["parameters"] == {"total": weights, "trainable": weights, "adapters": None}
    assert told["flops"] == 2 * (2 * 3) * 48 * 12 * 2, "two layers, for each of 6 series"
    assert told["forward"]["calls"] >= 3 and told["training"]["calls"] >= 3
    assert told["forward"]["peak"] >= told["forward"]["now"] > 0
    assert told["matmul_flops_per_second"] > 0
    assert json.loads(json.dumps(told)) == told


def test_a_training_step_changes_the_weights(cell):
    model = Forecaster()
    model.layer = nn.Linear(48, 12)
    model.forward = lambda x: model.layer(x.transpose(1, 2)).transpose(1, 2)
    before = model.layer.weight.detach().clone()
    efficiency.training_call(cell, model, torch.randn(2, 48, 3), torch.randn(2, 12, 3), device="cpu")()
    assert not torch.equal(before, model.layer.weight)


def test_no_further_call_follows_one_that_is_too_long(cell):
    stages = []
    efficiency.measure(dataclasses.replace(cell, longest_call=1e-12), stages.append)
    assert [next(iter(stage)) for stage in stages] == ["device", "forward"]
    assert stages[1]["forward"]["seconds"] is None and stages[1]["forward"]["calls"] == 0


def test_a_method_that_trains_nothing_has_no_training_step(cell):
    run = dataclasses.replace(cell.run, method="seasonal-naive", options=SeasonalNaiveOptions(), training=None)
    stages = []
    efficiency.measure(dataclasses.replace(cell, run=run), stages.append)
    assert not any("training" in stage for stage in stages) and len(stages) == 3


PEAK_AFTER_A_RESET = """
import torch
from timellama.cost import efficiency
efficiency.reset_peak("cpu")
block = torch.ones(50_000_000)
high = efficiency.memory("cpu")["peak"]
del block
efficiency.reset_peak("cpu")
print(high - efficiency.memory("cpu")["peak"])
"""


def test_the_peak_can_be_reset():
    # In a separate process, as every sweep is: an earlier test may have told the allocator to keep memory.
    command = [sys.executable, "-c", PEAK_AFTER_A_RESET]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 150_000_000, "200 MB were released"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_running_out_of_memory_is_distinguished_from_other_errors(error, expected):
    assert efficiency.is_out_of_memory(error) is expected


def test_the_process_reports_impossible_options(cell):
    run = dataclasses.replace(cell.run, options=DLinearOptions(kernel=4))
    given = dataclasses.replace(cell, run=run).to_json()
    command = [sys.executable, "-m", "timellama.cost.efficiency"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert "kernel" in json.loads(line)["impossible"]
