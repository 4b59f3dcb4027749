"""The untrained floor: hand-computed values, phases, and what is refused."""

import csv
import logging
from functools import partial

import pytest
import torch

from tests.refusal import refused
from timellama.methods.naive.network import HourOfDayMean, LookBackMean, SeasonalNaive

LOOK_BACK = torch.tensor([9.0, 1, 2, 3, 5, 6, 7])[None, :, None]  # one old value, then two seasons of 3


def test_look_back_mean_is_the_mean_of_each_variate_at_every_step():
    two = torch.cat([LOOK_BACK, LOOK_BACK * 2], dim=2)
    [first, second] = LookBackMean(horizon=2)(two)[0].tolist()
    assert first == second == pytest.approx([33 / 7, 66 / 7])


def test_seasonal_naive_repeats_the_last_season_in_phase():
    model = SeasonalNaive(context=7, horizon=5, season=3)
    assert model(LOOK_BACK).flatten().tolist() == [5, 6, 7, 5, 6]


def test_a_season_of_one_repeats_the_last_value():
    assert SeasonalNaive(context=7, horizon=3, season=1)(LOOK_BACK).flatten().tolist() == [7, 7, 7]


def test_hour_of_day_mean_averages_whole_seasons_in_phase():
    model = HourOfDayMean(context=7, horizon=5, season=3, days=7)
    assert model(LOOK_BACK).flatten().tolist() == [3, 4, 5, 3, 4]


def test_hour_of_day_mean_uses_no_more_days_than_requested():
    model = HourOfDayMean(context=7, horizon=3, season=3, days=1)
    assert model(LOOK_BACK).flatten().tolist() == [5, 6, 7]


@pytest.mark.parametrize("season", [2, 5, 24])
def test_a_periodic_series_is_forecast_exactly(season):
    horizon = 31
    series = torch.arange(97 + horizon).remainder(season).float()[None, :, None].repeat(2, 1, 3)
    for model in (
        SeasonalNaive(context=97, horizon=horizon, season=season),
        HourOfDayMean(context=97, horizon=horizon, season=season, days=7),
    ):
        forecast = model(series[:, :97])
        assert forecast.shape == (2, horizon, 3)
        assert torch.equal(forecast, series[:, 97:])


def test_a_context_of_exactly_one_season_is_enough():
    x = torch.randn(2, 24, 3)
    assert torch.equal(SeasonalNaive(context=24, horizon=24, season=24)(x), x)


def test_a_context_without_a_whole_season_repeats_the_last_value_and_logs_it(caplog):
    caplog.set_level(logging.INFO)
    x = torch.randn(2, 23, 3)
    forecast = SeasonalNaive(context=23, horizon=4, season=24)(x)
    assert torch.equal(forecast, x[:, -1:].expand(2, 4, 3))
    assert "the last value is repeated" in caplog.text


def test_a_mean_over_seasons_needs_a_whole_season():
    with refused("context", 23, "season", 24):
        HourOfDayMean(context=23, horizon=4, season=24, days=7)


def test_a_season_of_zero_steps_is_refused():
    for model in (SeasonalNaive, partial(HourOfDayMean, days=7)):
        with refused("season", 0, 1):
            model(context=24, horizon=4, season=0)


def test_zero_days_are_refused():
    with refused("days", 0, 1):
        HourOfDayMean(context=48, horizon=4, season=24, days=0)


def test_the_mean_of_the_last_week_scores_0400_on_etth1(shared):
    """The measured 0.400 on the test part of ETTh1 at horizon 96, over every window (512 steps of look-back)."""
    with (shared / "data" / "ETT-small" / "ETTh1.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    values = torch.tensor([[float(cell) for cell in row[1:]] for row in rows], dtype=torch.float64)
    month = 30 * 24
    training = values[: 12 * month]
    values = (values - training.mean(0)) / training.std(0, correction=0)
    part = values[16 * month - 512 : 20 * month]
    windows = part.unfold(0, 512 + 96, 1).transpose(1, 2)
    assert len(windows) == 4 * month - 96 + 1
    forecast = HourOfDayMean(context=512, horizon=96, season=24, days=7)(windows[:, :512])
    assert (forecast - windows[:, 512:]).square().mean().item() == pytest.approx(0.400, abs=5e-4)
