"""The test over windows: hand-computed, against simulated truth, and where it gives no result."""

import math

import numpy as np
import pytest

from tests.refusal import refused
from timellama.results.statistics.inference import diebold_mariano


def test_the_result_matches_hand_computed_values():
    difference = np.array([1.0, 3.0, 2.0, 6.0, 4.0])  # mean 3.2, and 0.4 * 5 / 2 = 1 cosine
    found = diebold_mariano(difference, np.zeros(5), horizon=2)
    wave = [math.cos(math.pi * (step + 0.5) / 5) for step in range(5)]
    root = abs(sum(d * w for d, w in zip(difference, wave, strict=True))) * math.sqrt(2 / 5) / math.sqrt(5)
    assert (found.mean, found.degrees) == (pytest.approx(3.2), 1)
    assert found.half_width == pytest.approx(12.7062 * root, rel=1e-5), "Student's t with one degree of freedom"
    assert found.p == pytest.approx(1 - 2 / math.pi * math.atan(3.2 / root)), "which is Cauchy's distribution"


def test_swapping_the_errors_changes_only_the_sign():
    draw = np.random.default_rng(0)
    first, second = draw.random(200), draw.random(200)
    one, other = (diebold_mariano(*pair, horizon=5) for pair in ((first, second), (second, first)))
    assert (one.mean, one.p) == (-other.mean, other.p)


@pytest.mark.parametrize("windows", [1, 24, 25])
def test_fewer_windows_than_two_and_a_half_horizons_give_no_result(windows):
    draw = np.random.default_rng(0)
    assert (diebold_mariano(draw.random(windows), np.zeros(windows), horizon=10) is None) == (windows < 25)


def test_equal_errors_give_no_result():
    assert diebold_mariano(np.ones(50), np.ones(50), horizon=3) is None


def test_errors_of_different_lengths_are_refused():
    with refused(50, 49, error=ValueError):
        diebold_mariano(np.ones(50), np.ones(49), horizon=3)


@pytest.mark.parametrize(("windows", "horizon"), [(2785, 96), (2545, 336), (2161, 720)])
def test_intervals_cover_the_truth_as_often_as_they_say(windows, horizon):
    """The test parts of ETTh1. Errors are means over a horizon of the same noisy steps; the truth is no difference."""
    draw, covered, naive = np.random.default_rng(0), 0, 0
    for _ in range(2000):
        steps = np.cumsum(draw.normal(size=windows + horizon))
        errors = (steps[horizon:] - steps[:-horizon]) / horizon
        found = diebold_mariano(errors, np.zeros(windows), horizon=horizon)
        covered += abs(found.mean) <= found.half_width
        naive += abs(found.mean) <= 1.96 * errors.std() / math.sqrt(windows)
    assert 0.93 <= covered / 2000 <= 0.97
    assert naive / 2000 < 0.5, "treating windows as independent would mislead more often than not"


def test_a_real_difference_is_found():
    draw = np.random.default_rng(0)
    steps = np.cumsum(draw.normal(size=2785 + 96))
    errors = (steps[96:] - steps[:-96]) / 96
    assert diebold_mariano(errors + 0.2, np.zeros(2785), horizon=96).p < 0.01
