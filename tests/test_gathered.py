"""Numbers gathered in one array are the numbers added, and a training keeps its memory."""

import subprocess
import sys

import pytest
import torch

from timellama.training.gathered import FIRST, Gathered

# Sizes like those of DLinear on ETTm1 at horizon 720. With a tensor kept from each batch, this process grew by 470 MB.
SCRIPT = """
import torch
from timellama.data.windows import SplitWindows
from timellama.methods.dlinear.network import DLinear
from timellama.training.scores.evaluation import evaluate


def test(batches):
    model = DLinear(context=512, horizon=720, variates=7, kernel=25, individual=False)
    windows = SplitWindows(rows=torch.randn(1231 + 8 * batches, 7), context=512, horizon=720)
    evaluate(model, windows, columns=list("abcdefg"), batch_size=8, device="cpu", precision="float32")


def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


torch.set_num_threads(1)
test(20)
before = peak()
test(800)
print(peak() - before)
"""


def test_what_was_added_is_kept_in_order_and_type():
    batches = [torch.randn(count, 3, dtype=torch.float64) for count in (1, FIRST, 0, 2 * FIRST, 5)]
    gathered = Gathered()
    assert not gathered and gathered.values.shape == (0,)
    for batch in batches:
        gathered.add(batch)
    assert len(gathered) == 3 * FIRST + 6 and torch.equal(gathered.values, torch.cat(batches))
    assert gathered.values.dtype == torch.float64


def test_adding_continues_from_given_values():
    gathered = Gathered(torch.tensor([1.0, 2.0]))
    gathered.add(torch.tensor([3.0]))
    assert gathered.values.tolist() == [1.0, 2.0, 3.0]
    empty = Gathered(torch.empty(0))
    empty.add(torch.ones(1, dtype=torch.bfloat16))
    assert empty.values.dtype == torch.bfloat16


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_batches():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 30  # MB
