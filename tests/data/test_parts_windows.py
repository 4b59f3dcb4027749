"""Which rows are used for training and testing: hand-computed, including the last window, and without leaks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.refusal import refused
from timellama.data.canonicalise import normalise
from timellama.data.series import Series, load_series
from timellama.data.splits import Split, count_windows, part_rows, train_rows
from timellama.data.windows import Scaler, SplitWindows, prepare

ETTH = Split(rule="months", train=12, validation=4, test=4, rows_per_day=24)
ETTM = Split(rule="months", train=12, validation=4, test=4, rows_per_day=96)
RATIO = Split(rule="ratio", train=0.7, validation=0.1, test=0.2)


def make(values: np.ndarray) -> Series:
    time = np.datetime64("2020-01-01", "s") + np.arange(len(values)) * np.timedelta64(3600, "s")
    return Series(values=values, time=time, columns=tuple(map(str, range(values.shape[1]))), raw_sha256="0" * 64)


def test_the_parts_of_etth1_match_hand_computed_ones() -> None:
    rows = part_rows(ETTH, rows=17420, context=512, horizon=96, train_percent=100)
    assert rows == {"train": range(512, 8640), "validation": range(8640, 11520), "test": range(11520, 14400)}
    counts = count_windows(ETTH, rows=17420, context=512, horizon=96, train_percent=100)
    assert counts == {"train": 8640 - 512 - 96 + 1, "validation": 2785, "test": 2785}


@pytest.mark.parametrize(
    ("split", "rows", "printed"),
    [
        (ETTH, 17420, (8545, 2881, 2881)),
        (ETTM, 69680, (34465, 11521, 11521)),
        (RATIO, 52696, (36792, 5271, 10540)),
        (RATIO, 26304, (18317, 2633, 5261)),
        (RATIO, 17544, (12185, 1757, 3509)),
    ],
)
def test_the_counts_of_table_6_are_part_rows_less_95(split: Split, rows: int, printed: tuple[int, int, int]) -> None:
    """Training: rows - 96 + 1. Validation and test add the 96 context rows, so their counts are rows + 1."""
    parts = part_rows(split, rows=rows, context=96, horizon=96, train_percent=100)
    assert train_rows(split, rows=rows) - 96 + 1 == printed[0]
    assert len(parts["validation"]) + 1 == printed[1]
    assert len(parts["test"]) + 1 == printed[2]


def test_few_shot_rows_follow_gpt4ts() -> None:
    rows = part_rows(ETTH, rows=17420, context=512, horizon=96, train_percent=5)
    assert rows["train"] == range(512, 918)
    counts = count_windows(ETTH, rows=17420, context=512, horizon=96, train_percent=5)
    assert counts == {"train": 311, "validation": 2785, "test": 2785}
    full = part_rows(ETTH, rows=17420, context=512, horizon=96, train_percent=100)
    assert (rows["validation"], rows["test"]) == (full["validation"], full["test"])


def test_the_papers_dash_counts_as_zero_windows_and_cannot_be_prepared() -> None:
    counts = count_windows(ETTH, rows=17420, context=512, horizon=720, train_percent=5)
    assert counts["train"] == 0 and counts["test"] == 2880 - 720 + 1
    series = make(np.random.default_rng(0).normal(size=(17420, 1)))
    with refused("train", 512, 917, 17420, "context", "horizon", 720, "train_percent", 5):
        prepare(series, ETTH, context=512, horizon=720, train_percent=5)


def test_test_targets_are_the_same_for_every_look_back() -> None:
    series = make(np.random.default_rng(1).normal(size=(17420, 2)))
    targets = []
    for context in (96, 336, 512):
        test = prepare(series, ETTH, context=context, horizon=96, train_percent=100).test
        assert len(test) == 2785
        _, y = test.batch(torch.arange(len(test)))
        targets.append(y)
    assert torch.equal(targets[0], targets[1]) and torch.equal(targets[1], targets[2])


def test_windows_match_hand_computed_ones() -> None:
    rows = torch.arange(20.0).reshape(10, 2)  # row i is (2 i, 2 i + 1)
    windows = SplitWindows(rows=rows, context=3, horizon=2)
    assert len(windows) == 6
    x, y = windows.batch(torch.tensor([0, 5]))
    assert x.tolist() == [[[0, 1], [2, 3], [4, 5]], [[10, 11], [12, 13], [14, 15]]]
    assert y.tolist() == [[[6, 7], [8, 9]], [[16, 17], [18, 19]]]  # the very last rows are forecast
    assert windows.contexts.untyped_storage().data_ptr() == rows.untyped_storage().data_ptr()
    assert windows.targets.untyped_storage().data_ptr() == rows.untyped_storage().data_ptr()
    with pytest.raises(IndexError):
        windows.batch(torch.tensor([6]))


def test_a_single_window_is_enough_and_none_is_an_error() -> None:
    assert len(SplitWindows(rows=torch.zeros(5, 1), context=3, horizon=2)) == 1
    with refused(4, "context", 3, "horizon", 2, 5):
        SplitWindows(rows=torch.zeros(4, 1), context=3, horizon=2)


@given(
    rows=st.integers(60, 200),
    context=st.integers(1, 12),
    horizon=st.integers(1, 8),
    percent=st.sampled_from([5, 10, 50, 100]),
)
def test_every_window_holds_the_expected_rows(rows: int, context: int, horizon: int, percent: int) -> None:
    series = make(np.arange(rows, dtype=float)[:, None])
    asked = {"context": context, "horizon": horizon, "train_percent": percent}
    counts = count_windows(RATIO, rows=rows, **asked)
    targets = part_rows(RATIO, rows=rows, **asked)
    if min(counts.values()) == 0:
        with refused(rows, "context", context, "horizon", horizon, "train_percent", percent):
            prepare(series, RATIO, **asked)
        return
    parts = prepare(series, RATIO, **asked)
    for name, part in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
        assert len(part) == counts[name] == len(targets[name]) - horizon + 1
        x, y = part.batch(torch.arange(len(part)))
        found = parts.scaler.inverse(torch.cat([x, y], dim=1).double().numpy())[..., 0].round().astype(int)
        begin = targets[name].start - context
        expected = begin + np.arange(len(part))[:, None] + np.arange(context + horizon)
        assert (found == expected).all()
        assert found[-1, -1] == targets[name].stop - 1


def test_the_scaler_sees_training_rows_only() -> None:
    values = np.random.default_rng(2).normal(3, 5, size=(1000, 3))
    changed = values.copy()
    changed[700:] = 1e6
    for percent in (5, 100):
        asked = {"context": 24, "horizon": 12, "train_percent": percent}
        before, after = prepare(make(values), RATIO, **asked), prepare(make(changed), RATIO, **asked)
        assert np.array_equal(before.scaler.mean, after.scaler.mean)
        assert np.array_equal(before.scaler.std, after.scaler.std)
        assert np.array_equal(before.scaler.mean, values[:700].mean(axis=0))  # all training rows, even in few-shot
        every = torch.arange(len(before.train))
        for a, b in zip(before.train.batch(every), after.train.batch(every), strict=True):
            assert torch.equal(a, b)
    changed[699] = 1e6
    moved = prepare(make(changed), RATIO, context=24, horizon=12, train_percent=100)
    assert not np.array_equal(before.scaler.mean, moved.scaler.mean)


def test_the_scaler_matches_hand_computed_values_and_can_be_inverted() -> None:
    scaler = Scaler.fit(np.array([[1.0, 0.1], [3.0, 0.1], [5.0, 0.1]]))
    assert scaler.mean.tolist() == pytest.approx([3.0, 0.1])
    assert scaler.std.tolist() == [np.sqrt(8 / 3), 1.0]  # divisor n; a constant column keeps its units
    values = np.random.default_rng(3).normal(size=(4, 5, 2))
    assert np.allclose(scaler.inverse(scaler.transform(values)), values, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("split", "rows", "asked", "named"),
    [
        (ETTH, 10000, {}, ("months 12/4/4", "8640 + 2880 + 2880", 10000)),
        (RATIO, 4, {}, ("ratio 0.7/0.1/0.2", "2 + 2 + 0", 1, 4)),
        (RATIO, 100, {"context": 0}, ("context", 0, 1)),
        (RATIO, 100, {"horizon": -1}, ("horizon", -1, 1)),
        (RATIO, 100, {"train_percent": 0}, ("train_percent", 0, 1, 100)),
        (Split(rule="published", train=0, validation=0, test=0), 100, {}, ("published", "months", "ratio")),
        (Split(rule="months", train=1, validation=1, test=1), 100, {}, ("months", "rows_per_day")),
    ],
)
def test_data_that_cannot_be_split_are_refused(split: Split, rows: int, asked: dict, named: tuple) -> None:
    with refused(*named):
        part_rows(split, rows=rows, **({"context": 8, "horizon": 4, "train_percent": 100} | asked))


def test_a_look_back_beyond_the_training_rows_leaves_no_windows() -> None:
    counts = count_windows(RATIO, rows=100, context=71, horizon=1, train_percent=100)
    assert counts == {"train": 0, "validation": 0, "test": 20}


def test_real_etth1_end_to_end(shared: Path, root: Path, tmp_path: Path) -> None:
    from timellama.data.catalogue.datasets import load_catalogue

    dataset = load_catalogue(root / "config" / "datasets.yaml")["ETTh1"]
    normalise(dataset, [shared / "data" / dataset.files[0].path], tmp_path / "s.npz", tmp_path / "q.json")
    series = load_series(tmp_path / "s.npz")
    parts = prepare(series, dataset.split, context=512, horizon=96, train_percent=5)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (311, 2785, 2785)
    x, y = parts.test.batch(torch.tensor([2784]))
    assert x.shape == (1, 512, 7) and y.shape == (1, 96, 7) and y.dtype == torch.float32
    back = parts.scaler.inverse(y[0].double().numpy())
    assert np.allclose(back, series.values[14400 - 96 : 14400], atol=1e-4)


@pytest.mark.parametrize(
    ("row", "value"),
    [(99, 1e13), (99, -1e300), (60, 1e300), (3, 1e200), (3, -1e308)],
    ids=["test", "test, beyond float32", "validation", "training, its square beyond float64", "its sum beyond float64"],
)
def test_a_value_that_float32_cannot_compute_with_is_named(row: int, value: float) -> None:
    values = np.random.default_rng(0).normal(size=(100, 2))
    values[row, 1] = value
    with refused("'1'", f"row {row}", f"{value:g}", "1e+12"):
        prepare(make(values), RATIO, context=4, horizon=2, train_percent=100)


def test_values_too_small_to_have_a_deviation_are_named() -> None:
    with refused("'0'", "row 99", "9.9e-299"):
        prepare(make(np.arange(100.0)[:, None] * 1e-300), RATIO, context=4, horizon=2, train_percent=100)


def test_large_values_far_from_zero_are_accepted() -> None:
    values = 1e30 + 1e28 * np.random.default_rng(0).normal(size=(100, 1))
    test = prepare(make(values), RATIO, context=4, horizon=2, train_percent=100).test
    assert torch.isfinite(test.batch(torch.arange(len(test)))[1]).all()
