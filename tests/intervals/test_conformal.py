"""Conformal quantiles and the scores of intervals: hand-computed, and on generated errors with known coverage."""

import math

import numpy as np
import pytest
import torch

from timellama.results.statistics import conformal
from timellama.results.statistics.conformal import (
    KEPT,
    QUANTILES,
    crps,
    pinball,
    pinball_of_ends,
    quantiles,
    rank,
    scale,
)


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [
        (9, 90, 9),  # (9 + 1) 0.9 = 9: the largest of nine
        (8, 90, None),  # (8 + 1) 0.9 = 8.1, so the ninth of eight
        (9, 50, 5),
        (10, 50, 6),  # 5.5 is rounded up
        (29, 10, 3),  # 30 * 0.1 is 3.0000000000000004 as a float
        (1, 50, 1),
        (1, 60, None),
        (0, 50, None),
    ],
)
def test_the_rank_matches_hand_computed_values(count, percent, expected):
    assert rank(count, percent) == expected


def test_quantiles_match_hand_computed_values_and_are_infinite_if_there_are_too_few(monkeypatch):
    monkeypatch.setattr(conformal, "BLOCK_BYTES", 1)  # one column at a time
    distances = np.array([[0.3, 7], [0.1, 6], [0.2, 5], [0.4, 8]], dtype=np.float32)
    found = quantiles(distances, (50, 80, 90))
    # Of four: (4 + 1) 0.5 = 2.5, the third; (4 + 1) 0.8 = 4, the fourth; 4.5 is above four.
    assert found.tolist() == [[pytest.approx(0.3), 7.0], [pytest.approx(0.4), 8.0], [math.inf, math.inf]]
    assert distances[0, 0] == np.float32(0.3), "the argument is not sorted in place"


def test_blocks_of_columns_change_nothing(monkeypatch):
    distances = np.random.default_rng(0).random((31, 10), dtype=np.float32)
    whole = quantiles(distances, KEPT)
    monkeypatch.setattr(conformal, "BLOCK_BYTES", 31 * 4 * 3)
    assert np.array_equal(quantiles(distances, KEPT), whole)
    assert np.array_equal(whole, np.sort(distances, axis=0)[[rank(31, percent) - 1 for percent in KEPT]])


def test_pinball_losses_match_hand_computed_values():
    truth, quantile = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([1.0, 3.0, 2.0])
    # 2 above a quantile of 0.9: 0.9 * 2; 2 below it: 0.1 * 2; on it: 0.
    assert pinball(truth, quantile, 0.9).tolist() == pytest.approx([1.8, 0.2, 0.0])


def test_the_pinball_loss_of_interval_bounds_is_the_mean_of_the_two_quantiles():
    draw = torch.Generator().manual_seed(0)
    truth, forecast = torch.randn(200, generator=draw), torch.randn(200, generator=draw)
    for percent in (50, 90):
        level, half = (1 - percent / 100) / 2, torch.tensor(0.7)
        both = pinball(truth, forecast - half, level) + pinball(truth, forecast + half, 1 - level)
        assert torch.allclose(pinball_of_ends((truth - forecast).abs(), half, percent), both / 2, atol=1e-6)


def test_the_crps_matches_hand_computed_values_and_that_of_a_single_value():
    assert crps(0.5, [0.1, 0.3]) == pytest.approx(2 * (0.5 + 0.1 + 0.1 + 0.3 + 0.3) / 5)
    distance, nothing = torch.tensor([1.0, 3.0]), torch.tensor(0.0)
    ends = [float(pinball_of_ends(distance, nothing, percent).mean()) for percent in KEPT]
    assert crps(float(distance.mean()) / 2, ends) == pytest.approx(2.0), "the mean absolute error"


def test_the_crps_is_close_to_that_of_a_normal_distribution():
    """E |X - X'| / 2 = 1 / sqrt(pi) = 0.564 if the forecast is the distribution itself (Gneiting, Raftery 2007)."""
    draw = torch.Generator().manual_seed(0)
    distance = torch.randn(200_000, generator=draw).abs()
    halves = [torch.distributions.Normal(0, 1).icdf(torch.tensor(0.5 + percent / 200)) for percent in KEPT]
    ends = [float(pinball_of_ends(distance, half, p).mean()) for half, p in zip(halves, KEPT, strict=True)]
    assert crps(float(distance.mean()) / 2, ends) == pytest.approx(1 / math.sqrt(math.pi), rel=0.05)
    assert QUANTILES == 19


@pytest.mark.parametrize("count", [9, 30, 200])
def test_exchangeable_errors_are_covered_at_the_nominal_level(count):
    """Over many calibrations the coverage is k / (n + 1): at least the level, and less than the level + 1 / (n + 1)."""
    draw, cases, percents = np.random.default_rng(count), 40_000, (50, 80, 90)
    distances, fresh = draw.exponential(size=(count, cases)), draw.exponential(size=cases)
    held = (fresh <= quantiles(distances, percents)).mean(axis=1)
    for share, percent in zip(held, percents, strict=True):
        assert percent / 100 - 0.01 < share < percent / 100 + 1 / (count + 1) + 0.01
        assert share == pytest.approx(rank(count, percent) / (count + 1), abs=0.01)


def test_the_spread_of_a_look_back_matches_hand_computed_values():
    context = torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])  # deviations of 1 and 0
    assert scale(context).tolist() == [[[pytest.approx(1.3), pytest.approx(0.3)]]]
