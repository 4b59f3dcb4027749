"""What config/gpu.yaml and config/paper.yaml promise: equal budgets in series, and bounded memory.

The hours of config/gpu.yaml are in docs/scaling.md; `timellama plan` takes minutes to compute them, so no test does.
"""

import pytest
import yaml

from timellama.cost import workload
from timellama.cost.backbone_shapes import backbone_shape
from timellama.cost.flops import count
from timellama.experiments.matrix import make_matrix
from timellama.experiments.memory import WHOLE


@pytest.fixture(scope="module")
def planned(root):
    return {
        name: make_matrix(yaml.safe_load((root / f"config/{name}.yaml").read_text(encoding="utf-8")), root=root)
        for name in ("gpu", "paper")
    }


def test_every_trained_method_sees_the_same_number_of_series_per_data_set(planned):
    budgets = {}
    for run in planned["gpu"].runs["long_term"]:
        if run.training:
            assert run.training.max_series and not run.training.max_steps
            budgets.setdefault(run.dataset, set()).add(run.training.max_series)
            steps = run.training.steps(windows=10**6, variates=run.variates)  # of a series so long that no epoch ends
            series = run.training.batch_size * (1 if run.training.sampling == "variates" else run.variates)
            assert 0 <= steps.total * series - run.training.max_series < series, "except for the last batch"
    assert budgets == {
        **{name: {150_000} for name in ("ETTh1", "ETTm1", "Weather")},
        **{"ECL": {300_000}, "Traffic": {600_000}},
    }


def test_gpu_and_paper_have_the_same_cells_and_methods(planned):
    """In every experiment; they differ in language models and budgets."""
    for name in planned["paper"].runs:
        assert planned["gpu"].cells(name) == planned["paper"].cells(name)


def test_only_time_llama_and_its_variants_run_on_the_larger_model(planned):
    on = {}
    for run in planned["gpu"].runs["long_term"]:
        if run.backbone:
            on.setdefault(run.method, set()).add((run.backbone.name, run.backbone.blocks))
    assert on["time-llama"] == {("Llama-2-7B", 8), ("Llama-3.2-1B", 6)}
    assert on["time-llm"] == on["gpt4ts"] == {("Llama-3.2-1B", 6)}


@pytest.mark.parametrize("method", ["time-llama", "time-llm", "gpt4ts", "patchtst", "itransformer", "timesnet"])
@pytest.mark.parametrize(("name", "limit"), [("gpu", 17e9), ("paper", 24e9)])
def test_the_largest_data_set_fits_into_the_memory_of_a_run(planned, name, limit, method):
    matrix = planned[name]
    assert matrix.config["memory_gb"] * 1e9 == limit
    runs = [
        run for run in matrix.runs["long_term"] if (run.dataset, run.horizon, run.method) == ("Traffic", 720, method)
    ]
    for run in {workload.shape_run(run) for run in runs}:
        shape = run.backbone and backbone_shape(
            matrix.backbones[run.backbone.name], blocks=run.backbone.blocks, places=[]
        )
        costs = count(run, shape=shape, memory=limit)
        least, most = workload.device_bytes(run, costs, held=1.0)
        assert 0 < least <= most <= limit
        assert costs.fit == WHOLE or costs.whole_bytes > max(costs.step.bytes, costs.forecast.bytes)
