"""Errors and router statistics match hand-computed values."""

import math

import pytest
import torch

from tests.refusal import refused
from timellama.training.scores.metrics import Errors, RouterStatistics, smape_loss


def test_each_window_keeps_its_own_error():
    forecast, truth = torch.zeros(3, 2, 2), torch.tensor([[[1.0, 3.0], [0.0, 0.0]], [[2.0, 2.0]] * 2, [[0.0, 0.0]] * 2])
    errors = Errors()
    errors.add(forecast[:2], truth[:2])
    errors.add(forecast[2:], truth[2:])
    assert errors.of_windows("mse").tolist() == [2.5, 4.0, 0.0]
    assert errors.of_windows("mae").tolist() == [1.0, 2.0, 0.0]


def test_every_window_counts_once_whatever_the_batches():
    torch.manual_seed(0)
    forecast, truth = torch.randn(7, 3, 2), torch.randn(7, 3, 2)
    whole, parts = Errors(), Errors()
    whole.add(forecast, truth)
    for start, end in ((0, 4), (4, 6), (6, 7)):
        parts.add(forecast[start:end], truth[start:end])
    assert parts.windows == 7
    assert parts.means() == pytest.approx(whole.means(), rel=1e-12)
    assert parts.means()["mae"] == pytest.approx((forecast.double() - truth.double()).abs().mean().item(), rel=1e-12)


def test_errors_match_hand_computed_values():
    errors = Errors()
    errors.add(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[3.0], [1.0]]]))
    errors.add(torch.tensor([[[0.0], [0.0]]]), torch.tensor([[[0.0], [4.0]]]))
    assert errors.means() == {"mse": (4 + 1 + 0 + 16) / 4, "mae": (2 + 1 + 0 + 4) / 4}


def test_no_windows_give_nan_and_a_broadcast_is_refused():
    assert all(math.isnan(mean) for mean in Errors().means().values())
    with refused("shape", (2, 3, 1), (2, 3, 4), error=ValueError):
        Errors().add(torch.zeros(2, 3, 1), torch.zeros(2, 3, 4))


def test_router_statistics_match_hand_computed_values():
    statistics = RouterStatistics(modules="QKV")
    first = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    second = torch.tensor([[1.0, 1.0, 0.0]])
    even, sure = torch.full((2, 3), 1 / 3), torch.tensor([[1.0, 0.0, 0.0]])
    statistics.add([first, first], [even, even])
    statistics.add([second, second], [sure, sure])
    summary = statistics.summary()
    assert summary["modules"] == ["Q", "K", "V"]
    assert summary["selection_rate"][0] == pytest.approx([1.0, 2 / 3, 1 / 3])
    assert summary["distinct_patterns"] == [2, 2]
    assert summary["top_pattern_share"] == pytest.approx([2 / 3, 2 / 3])
    assert summary["entropy"][1] == pytest.approx(2 * math.log(3) / 3)
    assert summary["collapsed_blocks"] == []


def test_a_block_with_one_pattern_for_over_95_percent_is_collapsed():
    gates = torch.zeros(100, 4)
    gates[:96, 0] = gates[96:, 1] = 1.0
    apart = torch.eye(4).repeat(25, 1)
    statistics = RouterStatistics(modules="QKVO")
    statistics.add([apart, gates], [torch.full((100, 4), 0.25)] * 2)
    assert statistics.summary()["collapsed_blocks"] == [1]


def test_smape_matches_hand_computed_values():
    # 200 * mean(|1 - 3| / 4, 0 / 0 := 0, |2 + 2| / 4)
    loss = smape_loss(torch.tensor([1.0, 0.0, -2.0]), torch.tensor([3.0, 0.0, 2.0]))
    assert loss.item() == pytest.approx(200 * (0.5 + 0 + 1) / 3)
