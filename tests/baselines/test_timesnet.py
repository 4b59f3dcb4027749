"""TimesNet: periods of known waves, hand-computed folding, the block's equations sample by sample, parameter counts."""

import math

import pytest
import torch

from tests.refusal import refused
from timellama.methods.timesnet.network import Inception, TimesBlock, TimesNet, sinusoids, strongest_periods

SMALL = {"width": 4, "feed_forward": 6, "layers": 2, "periods": 3, "kernels": 2, "dropout": 0.1}


def small() -> TimesNet:
    return TimesNet(context=24, horizon=8, variates=3, calendar=0, **SMALL).eval()


def wave(period: float, steps: int) -> torch.Tensor:
    return torch.cos(2 * math.pi * torch.arange(steps) / period)


def test_periods_and_amplitudes_of_known_waves():
    """A cosine of f whole cycles in S steps has |FFT| = S/2 times its amplitude at f, and 0 elsewhere."""
    h = torch.stack([3 * wave(24, 96) + wave(8, 96) + 50, 3 * wave(24, 96) - wave(8, 96)], dim=1)[None]
    amplitudes, periods = strongest_periods(h, 2)
    assert periods.tolist() == [[24, 8]]
    assert torch.allclose(amplitudes, torch.tensor([[3 * 48.0, 48.0]]), rtol=1e-4)


def test_each_sample_has_its_own_periods_rounded_down():
    h = torch.stack([wave(100 / 3, 100), wave(100 / 7, 100)])[:, :, None]
    assert strongest_periods(h, 1)[1].tolist() == [[33], [14]]


def test_sinusoids_match_hand_computed_values():
    expected = [[0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    assert torch.allclose(sinusoids(2, 4), torch.tensor(expected), atol=1e-6)


def test_inception_is_the_mean_of_its_kernels():
    layer = Inception(width_in=2, width_out=3, kernels=3)
    for kernel in layer.kernels:
        torch.nn.init.normal_(kernel.bias)
    assert [tuple(kernel.kernel_size) for kernel in layer.kernels] == [(1, 1), (3, 3), (5, 5)]
    for rows, columns in ((4, 5), (1, 7), (6, 2), (1, 1)):  # the kernels also reach past small tables
        x = torch.randn(2, 2, rows, columns)
        expected = (layer.kernels[0](x) + layer.kernels[1](x) + layer.kernels[2](x)) / 3
        assert layer(x).shape == (2, 3, rows, columns)
        torch.testing.assert_close(layer(x), expected)


def test_folding_puts_one_period_in_each_row_and_zeros_at_the_end():
    block = TimesBlock(width=1, feed_forward=1, periods=1, kernels=1)
    seen = {}

    def keep(table):
        seen["table"] = table
        return table

    block.convolve = torch.nn.Identity()
    block.convolve.forward = keep
    h = torch.arange(1.0, 8)[None, :, None]
    assert torch.equal(block._at_period(h, 3), h)
    assert seen["table"][0, 0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 0, 0]]


def test_a_kernel_that_looks_one_row_up_looks_one_period_back():
    block = TimesBlock(width=1, feed_forward=1, periods=1, kernels=2)
    up = Inception(width_in=1, width_out=1, kernels=2)
    with torch.no_grad():
        for kernel in up.kernels:
            kernel.weight.zero_()
        up.kernels[1].weight[0, 0, 0, 1] = 2  # the mean of two kernels halves it
    block.convolve = up
    h = torch.arange(1.0, 9)[None, :, None]
    assert block._at_period(h, 3).flatten().tolist() == [0, 0, 0, 1, 2, 3, 4, 5]


def sample_by_sample(block, h):
    """Equations 3 to 6 for one sample at a time, as a plain loop over its own periods."""
    out = []
    for sample in h:
        steps = len(sample)
        spectrum = torch.fft.rfft(sample, dim=0).abs().mean(1)
        spectrum[0] = 0
        amplitudes, frequencies = spectrum.topk(block.periods)
        total = sample.clone()
        for weight, frequency in zip(amplitudes.softmax(0), frequencies.tolist(), strict=True):
            period = steps // frequency
            rows = math.ceil(steps / period)
            padded = torch.cat([sample, torch.zeros(rows * period - steps, sample.shape[1])])
            table = padded.reshape(rows, period, -1).permute(2, 0, 1)[None]
            back = block.convolve(table)[0].permute(1, 2, 0).reshape(rows * period, -1)[:steps]
            total = total + weight * back
        out.append(total)
    return torch.stack(out)


def test_block_follows_the_equations_sample_by_sample():
    block = TimesBlock(width=4, feed_forward=6, periods=5, kernels=2)
    h = torch.randn(7, 20, 4)
    periods = strongest_periods(h, 5)[1]
    assert any(len(set(row)) < 5 for row in periods.tolist())  # equal periods from neighbouring frequencies are covered
    assert any(20 % period for period in periods.flatten().tolist())  # and so is padding
    torch.testing.assert_close(block(h), sample_by_sample(block, h), rtol=1e-4, atol=1e-5)


def test_forward_follows_figure_3():
    model, x = small(), torch.randn(2, 24, 3)
    mean, deviation = x.mean(1, keepdim=True), (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    normal = (x - mean) / deviation
    circle = torch.cat([normal[:, -1:], normal, normal[:, :1]], dim=1)
    windows = torch.stack([circle[:, t : t + 3] for t in range(24)], dim=1)  # [B, T, 3, N]
    h = torch.einsum("btkn,dnk->btd", windows, model.values.weight) + sinusoids(24, 4)
    h = torch.einsum("btd,st->bsd", h, model.extend.weight) + model.extend.bias[:, None]
    for block in model.blocks:
        h = model.norm(sample_by_sample(block, h))
    expected = model.project(h)[:, 24:] * deviation + mean
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("context", "variates", "width", "feed_forward"), [(96, 7, 16, 32), (96, 21, 32, 32), (512, 7, 16, 32)]
)
def test_parameter_count_in_the_published_settings(checks, context, variates, width, feed_forward):
    squares = sum(size * size for size in (1, 3, 5, 7, 9, 11))
    block = 2 * squares * width * feed_forward + 6 * (width + feed_forward)
    extend = context * (context + 96) + context + 96
    expected = 3 * variates * width + extend + 2 * block + 2 * width + width * variates + variates
    settings = {"width": width, "feed_forward": feed_forward, "layers": 2, "periods": 5, "kernels": 6, "dropout": 0.1}
    assert (
        checks.trained_count(TimesNet(context=context, horizon=96, variates=variates, calendar=0, **settings))
        == expected
    )


def test_variates_are_mixed_scale_is_kept_the_batch_is_ignored_and_gradients_arrive(checks):
    model, x = small(), torch.randn(6, 24, 3)
    assert model(x).shape == (6, 8, 3)
    assert checks.variates_that_change(model, x) == {0, 1, 2}
    checks.forecasts_keep_scale(model, x, tolerance=1e-3)
    checks.forecasts_ignore_the_batch(model, x)
    checks.gradient_reaches(model, x)


def test_the_forecast_of_a_constant_look_back_is_finite():
    assert torch.isfinite(small()(torch.full((1, 24, 3), 5.0))).all()


def test_sizes_that_do_not_fit_are_refused():
    with refused("periods", 5, 9, 4):
        TimesNet(context=6, horizon=3, variates=1, calendar=0, **(SMALL | {"periods": 5}))
    with refused("width", 5):
        TimesNet(context=24, horizon=8, variates=1, calendar=0, **(SMALL | {"width": 5}))
