"""RLinear, DLinear and their parts: hand-computed values, parameter counts, independence of variates."""

import pytest
import torch

from tests.refusal import refused
from timellama.methods.dlinear.network import DLinear, moving_average
from timellama.methods.rlinear.network import RLinear


def test_rlinear_matches_a_hand_computed_forecast():
    model = RLinear(context=2, horizon=1)
    with torch.no_grad():
        model.linear.weight.copy_(torch.tensor([[1.0, 3]]))
        model.linear.bias.fill_(0.5)
    x = torch.tensor([10.0, 14])[None, :, None]  # mean 12, deviation 2: normalised -1, 1
    assert model(x).item() == pytest.approx((-1 + 3 + 0.5) * 2 + 12, abs=1e-4)


def test_moving_average_repeats_the_edges():
    x = torch.tensor([3.0, 0, 0, 6])[None, None]
    assert torch.equal(moving_average(x, 3), torch.tensor([2.0, 1, 2, 4])[None, None])
    assert torch.equal(moving_average(x, 1), x)
    assert torch.allclose(moving_average(x, 5), torch.tensor([9.0, 12, 15, 18])[None, None] / 5)


def test_dlinear_matches_a_hand_computed_forecast():
    model = DLinear(context=3, horizon=2, variates=1, kernel=3, individual=False)
    with torch.no_grad():
        model.remainder[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 1]]))
        model.trend[0].weight.copy_(torch.tensor([[0.0, 10, 0], [0, 0, 100]]))
        model.remainder[0].bias.copy_(torch.tensor([0.25, 0]))
        model.trend[0].bias.copy_(torch.tensor([0, 0.5]))
    x = torch.tensor([3.0, 0, 6])[None, :, None]  # trend 2, 3, 4; remainder 1, -3, 2
    assert torch.allclose(model(x).flatten(), torch.tensor([1 + 0.25 + 30, 2 + 400 + 0.5]))


def test_untrained_dlinear_forecasts_the_mean_of_the_look_back():
    model = DLinear(context=48, horizon=5, variates=3, kernel=25, individual=False)
    torch.nn.init.zeros_(model.remainder[0].bias), torch.nn.init.zeros_(model.trend[0].bias)
    x = torch.randn(2, 48, 3)
    assert torch.allclose(model(x), x.mean(1, keepdim=True).expand(-1, 5, -1), atol=1e-5)


@pytest.mark.parametrize("individual", [False, True])
def test_dlinear_forecasts_levels_in_the_thousands_identically_under_autocast(individual):
    model = DLinear(context=12, horizon=4, variates=2, kernel=5, individual=individual)
    x = 5000 + torch.randn(3, 12, 2)
    expected = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model(x), expected)


def test_individual_layers_equal_shared_ones_with_the_same_weights():
    shared = DLinear(context=16, horizon=4, variates=3, kernel=5, individual=False)
    single = DLinear(context=16, horizon=4, variates=3, kernel=5, individual=True)
    for layer in single.remainder:
        layer.load_state_dict(shared.remainder[0].state_dict())
    for layer in single.trend:
        layer.load_state_dict(shared.trend[0].state_dict())
    x = torch.randn(2, 16, 3)
    assert torch.allclose(shared(x), single(x), atol=1e-6)
    torch.nn.init.zeros_(single.trend[1].weight)
    changed = (shared(x) - single(x)).abs().amax((0, 1)) > 1e-3
    assert changed.tolist() == [False, True, False]


def test_parameter_counts_in_the_published_settings(checks):
    assert checks.trained_count(RLinear(context=336, horizon=96)) == 336 * 96 + 96
    assert (
        checks.trained_count(DLinear(context=336, horizon=96, variates=7, kernel=25, individual=False))
        == 2 * (336 + 1) * 96
    )
    individual = DLinear(context=336, horizon=96, variates=7, kernel=25, individual=True)
    assert checks.trained_count(individual) == 7 * 2 * (336 + 1) * 96
    # arXiv 2205.13504, table 8 (look-back 96, horizon 720 on Electricity): 139.7K parameters.
    efficiency = DLinear(context=96, horizon=720, variates=321, kernel=25, individual=False)
    assert checks.trained_count(efficiency) == 2 * (96 + 1) * 720 == 139_680


@pytest.mark.parametrize("individual", [False, True])
def test_dlinear_keeps_variates_independent_and_ignores_the_batch(individual, checks):
    model = DLinear(context=32, horizon=6, variates=4, kernel=25, individual=individual)
    x = torch.randn(5, 32, 4)
    assert model(x).shape == (5, 6, 4)
    assert checks.variates_that_change(model, x) == {0}
    checks.forecasts_ignore_the_batch(model, x)
    checks.gradient_reaches(model, x)


def test_rlinear_keeps_variates_independent_and_their_scale(checks):
    model = RLinear(context=32, horizon=6)
    x = torch.randn(5, 32, 4)
    assert model(x).shape == (5, 6, 4)
    assert checks.variates_that_change(model, x) == {0}
    checks.forecasts_keep_scale(model, x, tolerance=1e-4)
    checks.forecasts_ignore_the_batch(model, x)
    checks.gradient_reaches(model, x)


@pytest.mark.parametrize("kernel", [0, 24, -1])
def test_a_kernel_without_a_middle_is_refused(kernel):
    with refused("kernel", kernel, 25):
        DLinear(context=32, horizon=6, variates=4, kernel=kernel, individual=False)


def test_individual_layers_refuse_another_number_of_variates():
    model = DLinear(context=32, horizon=6, variates=4, kernel=25, individual=True)
    with refused("x", 3, "variates", 4):
        model(torch.randn(1, 32, 3))
