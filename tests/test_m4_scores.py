"""M4's hand-computed scores, Naive2 against exact arithmetic and the published scores, and what is refused."""

import copy
import math
from pathlib import Path

import numpy as np
import pytest

from tests.refusal import refused
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.m4.series import M4Series, load_m4
from timellama.methods.m4_benchmarks.seasonality import is_seasonal, naive2, seasonal_indices
from timellama.training.scores.m4_scores import (
    Reference,
    combine,
    mase,
    mase_scale,
    naive2_metrics,
    owa,
    smape,
)

# Naive2's SMAPE and MASE as the competition published them, to three decimals.
PUBLISHED = {"Weekly": (9.161, 2.777), "Hourly": (18.383, 2.395)}
PER_FREQUENCY = ("smape", "mase", "owa", "naive2")
LEVELS = np.array([0.5, 1.5, 1.25, 0.75])  # of mean 1, exact in binary


def weekly(training: list[list[float]], test: list[list[float]]) -> M4Series:
    """Series with the horizon 13 and the season 1 of M4's weekly series."""
    return M4Series(
        values=np.concatenate(training).astype(float),
        offsets=np.cumsum([0, *map(len, training)]),
        ids=tuple(f"W{i + 1}" for i in range(len(training))),
        test=np.array(test, dtype=float),
        season=1,
        raw_sha256="ab",
    )


TWO = weekly([[1, 3, 2, 4], [10, 20, 10, 20, 30]], [[4] * 12 + [8], [30] * 13])


def test_smape_matches_hand_computed_values() -> None:
    truth = np.array([[1.0, 2.0, 0.0], [100.0, 0.0, -4.0]])
    forecast = np.array([[3.0, 2.0, 0.0], [50.0, 5.0, 4.0]])
    first = (2 / 4 + 0 + 0) * 200 / 3  # 0 against 0 counts as no error
    second = (50 / 150 + 1 + 1) * 200 / 3  # the bound of 200 is reached by 0 against 5 and by opposite signs
    assert smape(truth, forecast) == pytest.approx([first, second], rel=1e-12)


def test_mase_matches_hand_computed_values() -> None:
    assert mase_scale(np.array([1.0, 3.0, 2.0, 4.0]), season=1) == pytest.approx((2 + 1 + 2) / 3)
    assert mase_scale(np.array([1.0, 3.0, 2.0, 7.0]), season=2) == pytest.approx((1 + 4) / 2)
    truth, forecast = np.array([[1.0, 2.0], [5.0, 5.0]]), np.array([[2.0, 4.0], [5.0, 6.0]])
    assert mase(truth, forecast, np.array([0.5, 2.0])) == pytest.approx([3.0, 0.25])
    assert math.isnan(mase_scale(np.array([1.0, 2.0]), season=2))
    assert mase_scale(np.array([1.0, 2.0, 1.0, 2.0]), season=2) == 0


def test_shapes_must_agree() -> None:
    for score in (smape, lambda y, f: mase(y, f, np.ones(2))):
        with refused((2, 1), (2, 3), error=ValueError):
            score(np.ones((2, 3)), np.ones((2, 1)))


def test_owa_divides_means_and_is_not_a_mean_of_ratios() -> None:
    """Two series with forecasts of 4 and 20: each mean is taken before anything is divided."""
    reference = Reference.of(TWO, dataset="W")
    numbers = reference.score(np.array([[4.0] * 13, [20.0] * 13]))
    smapes, naive_smapes = [200 * (4 / 12) / 13, 200 * 10 / 50], [200 * (4 / 12) / 13, 0]
    mases, naive_mases = [4 / 13 / (5 / 3), 10 / 10], [4 / 13 / (5 / 3), 0]
    expected = (sum(smapes) / sum(naive_smapes) + sum(mases) / sum(naive_mases)) / 2
    assert numbers["smape"] == pytest.approx(sum(smapes) / 2) and numbers["mase"] == pytest.approx(sum(mases) / 2)
    assert numbers["naive2"] == pytest.approx({"smape": sum(naive_smapes) / 2, "mase": sum(naive_mases) / 2})
    assert numbers["owa"] == pytest.approx(expected)
    assert numbers["frequencies"] == {"W": {"frequency": "W", "series": 2} | {k: numbers[k] for k in PER_FREQUENCY}}


def test_the_last_series_and_the_last_step_count() -> None:
    reference = Reference.of(TWO, dataset="W")
    perfect = TWO.test.copy()
    assert (reference.score(perfect)["smape"], reference.score(perfect)["mase"]) == (0, 0)
    perfect[-1, -1] += 10
    assert reference.score(perfect)["smape"] == pytest.approx(200 * 10 / 70 / 13 / 2)
    assert reference.score(perfect)["mase"] == pytest.approx(10 / 13 / 10 / 2)


def periods(count: int, *, growth: float = 0.0) -> np.ndarray:
    return np.concatenate([LEVELS * 8 * (1 + growth * k) for k in range(count)])


def test_the_indices_of_a_pure_season_are_exact() -> None:
    """Every centred mean over a season is 8, so the ratios are the levels themselves."""
    assert seasonal_indices(periods(20), season=4).tolist() == LEVELS.tolist()
    odd = np.tile([6.0, 3.0, 3.0], 9)
    assert seasonal_indices(odd, season=3) == pytest.approx([1.5, 0.75, 0.75], rel=1e-15)


def test_indices_with_a_trend_and_a_broken_season_match_hand_computed_values() -> None:
    """1 .. 9 with a season of 4: the trend is t itself for t = 3 .. 7, so only the ratio of value to trend is left."""
    values = np.arange(1.0, 10.0)
    assert seasonal_indices(values, season=4) == pytest.approx([1, 1, 1, 1])
    values[4] = 10.0  # position 0, in the trends of t = 3, 4, 5, 6, 7 with weights 1/8, 1/4, 1/4, 1/4, 1/8
    trend = np.array([3 + 5 / 8, 4 + 5 / 4, 5 + 5 / 4, 6 + 5 / 4, 7 + 5 / 8])
    ratios = np.array([3, 4, 10, 6, 7]) / trend  # positions 2, 3, 0, 1, 2
    raw = np.array([ratios[2], ratios[3], (ratios[0] + ratios[4]) / 2, ratios[1]])
    assert seasonal_indices(values, season=4) == pytest.approx(raw / raw.mean(), rel=1e-12)


@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_naive2_continues_a_pure_season(extra: int) -> None:
    values = np.concatenate([periods(20), periods(1)[:extra]])
    expected = np.tile(periods(1), 4)[extra : extra + 10]
    assert naive2(values, season=4, horizon=10).tolist() == expected.tolist()


def test_naive2_keeps_the_last_level_of_a_growing_season() -> None:
    values = periods(20, growth=0.1)
    indices = seasonal_indices(values, season=4)
    assert naive2(values, season=4, horizon=3) == pytest.approx(values[-1] / indices[3] * indices[[0, 1, 2]])


def test_naive2_without_a_season_repeats_the_last_value() -> None:
    assert naive2(np.array([1.0, 5.0, 3.0]), season=1, horizon=3).tolist() == [3, 3, 3]
    assert naive2(periods(2), season=4, horizon=2).tolist() == [6, 6]


def test_the_season_is_tested_only_from_three_periods() -> None:
    assert not is_seasonal(periods(20), season=1)
    once_in_six = np.tile([1.0, 0, 0, 0, 0, 0], 3)
    assert is_seasonal(once_in_six, season=6) and not is_seasonal(once_in_six[:17], season=6)
    assert not is_seasonal(np.full(80, 7.0), season=4)
    assert is_seasonal(np.tile([1.0, 9.0], 8), season=2)


def test_the_limit_of_the_season_test_matches_hand_computed_values() -> None:
    """Season 2, n values: r_2 against 1.645 sqrt((1 + 2 r_1^2) / n), on both sides."""
    for n, seasonal in ((8, False), (14, True)):
        values = np.tile([1.0, -1.0], n // 2)
        r1, r2 = -(n - 1) / n, (n - 2) / n
        assert (r2 > 1.645 * math.sqrt((1 + 2 * r1 * r1) / n)) is seasonal
        assert is_seasonal(values, season=2) is seasonal


def test_a_negative_autocorrelation_counts_by_its_size() -> None:
    values = np.tile([1.0, 1.0, -1.0, -1.0], 20)  # r_2 = -78/80
    assert is_seasonal(values, season=2)


def test_no_season_beyond_the_lags_that_r_computes() -> None:
    """10 log10(251) is 23.997 and 10 log10(252) is 24.01: only the longer series' lag 24 is considered."""
    day = 10 + np.sin(2 * np.pi * np.arange(24) / 24)
    values = np.tile(day, 11)
    assert not is_seasonal(values[:251], season=24) and is_seasonal(values[:252], season=24)


def test_undefined_values_are_refused_by_name() -> None:
    with refused("X", "W2", 1):
        Reference.of(weekly([[1, 2], [5, 5, 5]], [[1] * 13, [5] * 13]), dataset="X")
    with refused("season", 0):
        naive2(np.tile([4.0, 0.0, -4.0, 0.0], 20), season=4, horizon=2)
    forecast = TWO.test.copy()
    forecast[1, 3] = np.nan
    with refused("W", 1, 2, "series 2", "learning_rate"):
        Reference.of(TWO, dataset="W").score(forecast)


def run_of(dataset: str, **changed: object) -> dict:
    run = {
        "task": "short-term",
        "dataset": dataset,
        "variant": "rlinear",
        "method": "rlinear",
        "options": {},
        "seed": 0,
    }
    run |= {"training": {"epochs": 1}, "backbone": None, "train_percent": 100, "precision": "float32"}
    return run | changed


def entry(alias: str, series: int, scores: tuple[float, float], reference: tuple[float, float]) -> dict:
    names = ("smape", "mase")
    own, naive = dict(zip(names, scores, strict=True)), dict(zip(names, reference, strict=True))
    return {"frequency": alias, "series": series, **own, "owa": owa(own, naive), "naive2": naive}


HOURLY = {"run": run_of("A"), "frequencies": {"A": entry("h", 3, (10.0, 1.0), (20.0, 2.0))}}
WEEKLY = {"run": run_of("B"), "frequencies": {"B": entry("W", 1, (2.0, 5.0), (4.0, 6.0))}}


def test_combined_scores_weight_frequencies_by_their_series() -> None:
    overall = combine([HOURLY, WEEKLY])
    assert overall["smape"] == pytest.approx((3 * 10 + 2) / 4) and overall["mase"] == pytest.approx((3 * 1 + 5) / 4)
    assert overall["naive2"] == pytest.approx({"smape": (3 * 20 + 4) / 4, "mase": (3 * 2 + 6) / 4})
    assert overall["owa"] == pytest.approx((8 / 16 + 2 / 3) / 2)
    assert overall["n_windows"] == 4 and list(overall["frequencies"]) == ["A", "B"]
    assert (overall["variant"], overall["seed"], overall["backbone"]) == ("rlinear", 0, None)
    assert combine([HOURLY])["owa"] == pytest.approx(HOURLY["frequencies"]["A"]["owa"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("variant", "dlinear"),
        ("seed", 1),
        ("backbone", {"name": "tiny-gpt2"}),
        ("precision", "bfloat16"),
    ],
)
def test_runs_that_differ_are_not_combined(name: str, value: object) -> None:
    other = copy.deepcopy(WEEKLY)
    other["run"][name] = value
    with refused("A", "B", name):
        combine([HOURLY, other])


def test_a_frequency_comes_from_one_run() -> None:
    other = copy.deepcopy(WEEKLY)
    other["frequencies"]["B"]["frequency"] = "h"
    with refused("B", "h"):
        combine([HOURLY, other])
    with refused("M4"):
        combine([])


@pytest.mark.parametrize("name", PUBLISHED)
def test_naive2_on_the_real_files_has_its_published_scores(name: str, root: Path, shared: Path, tmp_path: Path) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")[f"M4-{name}"]
    raw = [shared / "data" / file.path for file in dataset.files]
    normalise(dataset, raw, tmp_path / "s.npz", tmp_path / "q.json")
    numbers = naive2_metrics(load_m4(tmp_path / "s.npz"), dataset=dataset.name)
    assert (round(numbers["smape"], 3), round(numbers["mase"], 3)) == PUBLISHED[name]
    assert numbers["owa"] == 1 and numbers["n_windows"] == dataset.rows
