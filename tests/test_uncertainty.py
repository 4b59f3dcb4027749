"""Intervals and families of tests match hand-computed values."""

import math

import numpy as np
import pytest

from timellama.results.statistics.uncertainty import (
    Estimate,
    Part,
    highest,
    holm,
    influence,
    of_period,
    of_seeds,
    over_datasets,
    seed_means,
    together,
)


def test_the_variances_of_sources_add_up():
    found = together([Part(variance=1.0, degrees=2), Part(variance=3.0, degrees=4)])
    assert (found.variance, found.degrees) == (4.0, pytest.approx(1 / (1 / 16 / 2 + 9 / 16 / 4)))
    assert together([Part(variance=0.0, degrees=2), Part(variance=0.0, degrees=3)]).degrees == 5


def test_the_variance_of_seeds_is_weighted_and_needs_two_per_group():
    # (1, 3) has variance 2 and weight 1/4, (0, 0, 3) has variance 3 and weight 3/4.
    found = of_seeds([(1, 3), (0, 0, 3)], [0.25, 0.75])
    parts = 2 / 2 / 16, 3 / 3 * 9 / 16
    assert found.variance == pytest.approx(sum(parts))
    assert found.degrees == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 1 + parts[1] ** 2 / 2))
    assert of_seeds([(1, 3), (2,)], [0.5, 0.5]) is None


def test_seed_means_are_over_the_seeds_that_cells_share():
    assert seed_means([{0: 1.0, 1: 2.0, 2: 9.0}, {2: 1.0, 0: 3.0}]) == [2.0, 5.0]
    assert len(seed_means([{0: 1.0}, {1: 2.0}])) == 1


def test_the_variance_of_blocks_matches_hand_computed_values():
    # Blocks of 2 of (0, 2, 4, 0) have the means 1, 3, 2 and a variance of 2/3, over 4/2 blocks.
    found = of_period(np.array([0.0, 2.0, 4.0, 0.0]), 2)
    assert found.variance == pytest.approx(2 / 3 / 2 / (2 / 3 * (1 - 2 / 4)))
    assert found.degrees == 1.5
    assert of_period(np.array([0.0, 2.0, 4.0]), 2) is None, "one block and a half"


def test_the_variance_of_blocks_matches_resampled_blocks():
    """The closed form matches resampled blocks, before the correction."""
    draw = np.random.default_rng(0)
    series, length = draw.normal(size=60).cumsum(), 10
    starts = draw.integers(60 - length + 1, size=(20_000, 6))
    means = series[starts[..., None] + np.arange(length)].mean(axis=(1, 2))
    corrected = 2 / 3 * (1 - length / 60)
    assert of_period(series, length).variance * corrected == pytest.approx(means.var(), rel=0.03)


def test_the_influence_of_windows_matches_hand_computed_values():
    assert influence([np.array([1.0, 3.0]), np.array([4.0, 4.0])]).tolist() == [-0.25, 0.25]


def test_the_estimate_over_data_sets_matches_hand_computed_values():
    found = over_datasets([1.0, 2.0, 6.0])
    assert (found.value, found.part.degrees, found.part.variance) == (3.0, 2, pytest.approx(7 / 3))
    assert all(map(math.isnan, over_datasets([1.0]).ends()))


def test_p_values_match_hand_computed_values():
    # Student's t with one degree of freedom is Cauchy's: P(t <= -1) = 1/4.
    one = Estimate(value=-2.0, part=Part(variance=4.0, degrees=1.9))
    assert one.p_not_below() == pytest.approx(0.25) and one.negative().p_not_below() == pytest.approx(0.75)
    assert Estimate(value=-2.0, part=None).p_not_below() == 1.0
    sure = Estimate(value=-2.0, part=Part(variance=0.0, degrees=1))
    assert (sure.p_not_below(), sure.negative().p_not_below(), sure.ends()) == (0.0, 1.0, (-2.0, -2.0))


def test_the_interval_of_the_highest_is_corrected_for_several():
    part = Part(variance=1.0, degrees=10**6)
    value, low, high = highest([Estimate(value=value, part=part) for value in (0.0, 5.0)])
    # The quantiles of the normal distribution at 0.025 / 2 and at 0.025.
    assert (value, low, high) == (5.0, pytest.approx(5 - 2.2414, abs=1e-3), pytest.approx(5 + 1.96, abs=1e-3))
    assert math.isnan(highest([Estimate(value=0.0, part=None)])[1])


def test_holm_corrections_match_hand_computed_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []
