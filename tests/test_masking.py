"""Missing targets count in no loss, gradient or error: hand-computed, by property, bit for bit if none is missing."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.made_up import carry_out, small, walk
from tests.refusal import refused
from tests.test_train import H, N, T, model, run
from timellama.data.series import Series
from timellama.data.splits import Split
from timellama.data.windows import Scaler, SplitWindows, carried_forward, prepare
from timellama.experiments.run import Training
from timellama.results.read.run_files import read_windows
from timellama.results.statistics.uncertainty import influence
from timellama.training.scores.evaluation import evaluate
from timellama.training.scores.metric_objects import FORECAST, Metric
from timellama.training.scores.metrics import Errors
from timellama.training.steps.step import gradients
from timellama.training.steps.validation import validate
from timellama.training.trial import try_metrics

NAN = math.nan
SPLIT = Split(rule="ratio", train=0.6, validation=0.2, test=0.2)
MASKED = json.dumps({"frequency": "h", "missing": "mask"})


def holed(count: int, holes: list[tuple[int, int]], *, seed: int = 0, spoilt: float | None = None) -> SplitWindows:
    """`count` windows with holes at (target row, variate), where `spoilt` is put into the rows of the contexts."""
    rows = torch.randn(count + T + H - 1, N, generator=torch.Generator().manual_seed(seed)).cumsum(0) / 5
    truth = rows[T:].clone()
    for row, variate in holes:
        truth[row, variate] = NAN
        if spoilt is not None:
            rows[T + row, variate] = spoilt
    return SplitWindows(rows=rows, context=T, horizon=H, truth=truth)


def series(values: np.ndarray) -> Series:
    time = np.datetime64("2024-01-01", "s") + np.arange(len(values)) * np.timedelta64(3600, "s")
    return Series(values=values, time=time, columns=("a", "b")[: values.shape[1]], raw_sha256="ef")


def test_a_hole_is_filled_with_the_last_value_and_never_a_later_one():
    values = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [4.0, 3.0]])
    assert carried_forward(values, before=9.0).tolist() == [[9, 1], [2, 1], [2, 1], [4, 3]]
    assert carried_forward(values, before=np.array([[7.0, 8.0]]))[0].tolist() == [7, 1]
    later = values.copy()
    later[3] = 1e9
    assert (carried_forward(later, before=9.0)[:3] == carried_forward(values, before=9.0)[:3]).all()


def test_the_scaler_and_the_inputs_use_only_observed_values():
    """Of 20 rows, 12 are training rows: column a alternates 0 and 2 except for two holes, column b is 5 and once 7."""
    a = np.array([NAN, 2.0] + [0.0, 2.0] * 9)
    b = np.full(20, 5.0)
    a[5], b[3], b[10], b[18] = NAN, 7.0, NAN, NAN
    values = np.stack([a, b], axis=1)
    parts = prepare(series(values), SPLIT, context=3, horizon=2, train_percent=100)
    known = a[[1, 2, 3, 4, 6, 7, 8, 9, 10, 11]]
    assert parts.scaler.mean.tolist() == pytest.approx([known.mean(), 57 / 11])
    assert parts.scaler.std[0] == pytest.approx(known.std())
    assert parts.train.rows[0, 0] == 0, "before the first value it is the mean of the training rows"
    assert parts.train.rows[5, 0] == parts.train.rows[4, 0] and parts.train.rows[10, 1] == parts.train.rows[9, 1]
    assert parts.train.truth.isnan().nonzero().tolist() == [[2, 0], [7, 1]], "target rows begin with row 3"
    assert (parts.train.masked, parts.validation.masked, parts.test.masked) == (True, False, True)
    assert parts.validation.rows[:3].tolist() == parts.train.rows[9:].tolist()


def test_data_that_cannot_be_scaled_or_scored_are_refused():
    values = np.random.default_rng(0).normal(size=(20, 2))
    unseen = values.copy()
    unseen[:12, 1] = NAN
    with refused("'b'", 12, "--drop", "--split"):
        prepare(series(unseen), SPLIT, context=3, horizon=2, train_percent=100)
    values[16:] = NAN
    with refused("test", 16, 19, "--split"):
        prepare(series(values), SPLIT, context=3, horizon=2, train_percent=100)


@pytest.mark.parametrize("loss", ["mse", "smape"])
@pytest.mark.parametrize("parts", [None, 2])
def test_loss_and_gradient_match_hand_computed_values(loss, parts):
    windows = holed(4, [(0, 0), (1, 0), (2, 1), (3, 2)])
    x, y = windows.batch(torch.arange(4))
    ours, other = model(), model()
    given = {"loss": loss, "balance_weight": 0.0, "device": "cpu", "precision": "float32", "series": parts}
    found, _ = gradients(ours, x, y, **given, masked=True)
    known = ~y.isnan()
    f = other(x)[known]
    terms = (f - y[known]) ** 2 if loss == "mse" else 200 * (f - y[known]).abs() / (f.abs() + y[known].abs())
    expected = terms.sum() / known.sum()
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    for mine, theirs in zip(ours.map.parameters(), other.map.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=1e-5, atol=1e-7)


def test_a_batch_without_any_target_has_no_loss_and_no_gradient():
    x, y = holed(1, []).batch(torch.arange(1))
    net = model()
    given = {"balance_weight": 0.0, "device": "cpu", "precision": "float32", "series": None}
    loss, _ = gradients(net, x, y * NAN, loss="mse", **given, masked=True)
    assert loss == 0 and net.map.weight.grad.abs().max() == 0


@pytest.mark.parametrize("sampling", ["windows", "variates"])
def test_the_value_in_a_hole_does_not_change_training(sampling):
    """The last H rows of a part are in no context, so a number instead of a hole there belongs only to a target."""
    holes = [(9, 1), (10, 0), (10, 2)]
    weights, losses = [], []
    for spoilt in (0.0, 1e9):
        net = model()
        done = run(
            net,
            train_on=holed(10, holes, spoilt=spoilt),
            choose_by=holed(10, holes, seed=1, spoilt=spoilt),
            sampling=sampling,
        )
        weights.append(net.map.weight)
        losses.append([row["validation_loss"] for row in done.history])
    assert torch.equal(*weights) and losses[0] == losses[1]
    seen = model()
    run(seen, train_on=holed(10, []), choose_by=holed(10, holes, seed=1), sampling=sampling)
    assert not torch.equal(weights[0], seen.map.weight), "the holes have to matter, or this shows nothing"


def test_windows_and_series_without_a_target_are_not_drawn():
    outage = [(row, variate) for row in (3, 4, 5) for variate in range(N)]
    windows = holed(8, [*outage, (0, 1), (1, 1)])
    assert windows.with_targets(alone=False).tolist() == [0, 1, 2, 5, 6, 7]
    alone = windows.with_targets(alone=True)
    assert alone.tolist() == [i * N + n for i in (0, 1, 2, 5, 6, 7) for n in range(N) if (i, n) != (0, 1)]
    seen: list[float] = []
    net = model()
    net.register_forward_pre_hook(lambda _, given: seen.extend(given[0][:, 0, 0].tolist()) if net.training else None)
    done = run(net, train_on=windows, batch_size=4, epochs=2)
    assert done.steps == 2 * 2, "6 windows make two batches per epoch"
    assert sorted(seen) == sorted(2 * windows.rows[[0, 1, 2, 5, 6, 7], 0].tolist())
    done = run(model(), train_on=windows, batch_size=4, epochs=1, sampling="variates")
    assert done.steps == 5, "17 series make five"


def test_validation_is_a_mean_of_observed_targets_over_all_windows():
    windows = holed(7, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (4, 2)])
    net, training = model(), Training(evaluation_batch_size=2)
    loss, _ = validate(net, windows, training=training, device="cpu", precision="float32")
    x, y = windows.batch(torch.arange(7))
    assert loss == pytest.approx(((net(x) - y) ** 2).nanmean().item(), rel=1e-6)
    few = dataclasses.replace(training, validation_windows=1)
    loss, _ = validate(net, windows, training=few, device="cpu", precision="float32")
    assert loss == pytest.approx(((net(x) - y) ** 2)[1].nanmean().item(), rel=1e-6), "window 0 has no target"


def test_errors_match_hand_computed_values():
    errors = Errors(masked=True)
    truth = torch.tensor([[[1.0, NAN]], [[NAN, NAN]], [[2.0, 4.0]]])
    errors.add(torch.full((2, 1, 2), 3.0), truth[:2])
    errors.add(torch.full((1, 1, 2), 3.0), truth[2:])
    assert errors.means() == {"mse": (4 + 1 + 1) / 3, "mae": (2 + 1 + 1) / 3}, "window means would give 2.5 and 1.5"
    assert errors.windows == 2 and errors.targets.tolist() == [1, 0, 2]
    assert errors.of_windows("mse").nan_to_num(-1).tolist() == [4, -1, 1]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_errors_are_those_of_the_observed_values_however_they_are_batched(data):
    count, horizon, variates = (data.draw(st.integers(1, 6)) for _ in range(3))
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    forecast, truth = draw.normal(size=(2, count, horizon, variates))
    holes = draw.random(truth.shape) < data.draw(st.sampled_from([0.1, 0.5, 0.9]))
    holes[0, 0, 0] = False
    truth[holes] = NAN
    errors, size = Errors(masked=True), data.draw(st.integers(1, count))
    for f, y in zip(torch.from_numpy(forecast).split(size), torch.from_numpy(truth).split(size), strict=True):
        errors.add(f, y)
    known = ~holes
    difference = (forecast - truth)[known]
    assert errors.means()["mse"] == pytest.approx((difference**2).mean())
    assert errors.means()["mae"] == pytest.approx(np.abs(difference).mean())
    assert errors.targets.sum() == known.sum() and errors.windows == known.any(axis=(1, 2)).sum()
    spoilt = Errors(masked=True)
    spoilt.add(torch.from_numpy(np.where(holes, 1e9, forecast)), torch.from_numpy(truth))
    assert spoilt.means() == pytest.approx(errors.means()), "the forecast for a hole does not count either"


def test_user_supplied_metrics_score_each_value_or_are_refused():
    kept = {"label": "m", "direction": "lower", "unit": "", "decimals": 3}
    value = Metric(name="cubed", **kept, function=lambda f, y: (f - y).abs() ** 3)
    window = Metric(name="window", **kept, function=lambda f, y: (f - y).abs().mean(dim=(1, 2)))
    mixed = Metric(name="mixed", **kept, function=lambda f, y: (f - y).abs() / y.abs().mean())
    for metric in (value, window, mixed):
        try_metrics({"m:X": metric}, horizon=2, variates=2)
    try_metrics({"m:X": value}, horizon=2, variates=2, masked=True)
    for metric in (window, mixed):
        with refused("m:X", [3, 2, 2], "[B, H, N]", "--fill"):
            try_metrics({"m:X": metric}, horizon=2, variates=2, masked=True)
    truth = torch.tensor([[[1.0], [NAN]]])
    errors = Errors([value], masked=True)
    errors.add(torch.tensor([[[3.0], [9.0]]]), truth)
    assert errors.means() == {"cubed": 8.0}


def test_windows_are_weighted_by_their_targets_in_the_statistics(tmp_path):
    """The mean over windows is the run's error; a window moves the ratio of two runs as it moves that of their sums."""
    counts = np.array([4, 0, 1, 3], np.int32)
    ours, theirs = np.array([[1.0, NAN, 5.0, 2.0], [2.0, NAN, 1.0, 4.0]], np.float32)
    for name, error in (("ours", ours), ("theirs", theirs)):
        np.savez(tmp_path / f"{name}.npz", mse=error, mae=error, observed=counts)
    a, b = (read_windows(tmp_path / f"{name}.npz")["mse"] for name in ("ours", "theirs"))
    assert set(read_windows(tmp_path / "ours.npz")) == {"mse", "mae"}
    assert a.mean() == pytest.approx((4 + 5 + 6) / 8) and a[1] == 0

    def log_ratio(weights: np.ndarray) -> float:
        sums = [np.nansum(weights * counts * error) for error in (ours, theirs)]
        return math.log(sums[0] / sums[1])

    moved = [log_ratio(np.ones(4) + 1e-6 * (np.arange(4) == i)) - log_ratio(np.ones(4)) for i in range(4)]
    assert influence([a]) - influence([b]) == pytest.approx(np.array(moved) / 1e-6 * 4, abs=1e-4)


def holes_of(values: np.ndarray, tmp_path, name: str, run_, **changes):
    path = walk(tmp_path / f"{name}.npz", values=values)
    return carry_out(run_, tmp_path / name, series=path, kept=tmp_path / f"{name}-kept", **changes)


def test_a_run_without_a_hole_has_the_same_bits_as_without_a_mask(sample_run, tmp_path):
    values = np.random.default_rng(0).normal(size=(120, 2)).cumsum(axis=0)
    plain = small(sample_run)
    masked = dataclasses.replace(plain, reading=MASKED)
    assert masked.digest != plain.digest
    found = [holes_of(values, tmp_path, name, of) for name, of in (("plain", plain), ("masked", masked))]
    for key in ("mse", "mae", "validation_loss", "n_windows"):
        assert found[0][key] == found[1][key]
    for file in ("weights.safetensors", "windows.npz", "forecasts.npz"):
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "masked" / file).read_bytes()
    assert "n_targets" not in found[1] and "missing_targets" not in found[1]["provenance"]
    assert (tmp_path / "plain.npz").read_bytes() == (tmp_path / "masked.npz").read_bytes()


def test_a_run_counts_and_reports_its_holes(sample_run, tmp_path):
    """Of 120 rows the test part has 24; an outage of 8 leaves some windows of 4 steps without a target."""
    values = np.random.default_rng(0).normal(size=(120, 2)).cumsum(axis=0)
    values[100:108] = NAN
    values[[20, 80], 0] = NAN
    masked = dataclasses.replace(small(sample_run), reading=MASKED)
    found = holes_of(values, tmp_path, "holed", masked)
    assert found["provenance"]["missing_targets"] == {"train": 1, "validation": 1, "test": 16}
    assert found["n_windows"] == 21 - 5
    parts = prepare(series(values), masked.split, context=16, horizon=4, train_percent=100)
    _, y = parts.test.batch(torch.arange(21))
    assert found["n_targets"] == int((~y.isnan()).sum())
    errors = read_windows(tmp_path / "holed/windows.npz")
    for metric in FORECAST:
        assert errors[metric.name].mean() == pytest.approx(found[metric.name], rel=1e-6)


def test_a_seasonal_naive_forecast_is_scored_on_observed_targets(tmp_path):
    from timellama.methods.naive.network import SeasonalNaive

    values = np.arange(40.0)[:, None] % 4 + np.arange(40)[:, None] // 4
    values[35] = NAN
    parts = prepare(series(values), SPLIT, context=4, horizon=2, train_percent=100)
    net = SeasonalNaive(context=4, horizon=2, season=4)
    given = {"columns": ["a"], "batch_size": 3, "device": "cpu", "precision": "float32"}
    found = evaluate(net, parts.test, **given)
    # Every value is 1 above that of one season before, in units of the training rows' deviation. Row 39 is forecast
    # once, from row 35, which row 34 replaces: it is 1 lower, so the forecast is 2 below the truth.
    unit = 1 / Scaler.fit(values[:24]).std[0]
    assert found.windows == 7 and found.targets == 14 - 2
    assert found.errors["mae"] == pytest.approx(unit * (11 * 1 + 2) / 12, rel=1e-5)
    assert found.errors["mse"] == pytest.approx(unit**2 * (11 * 1 + 4) / 12, rel=1e-5)
    assert np.isnan(found.shown["truth"]).any() and np.isfinite(found.shown["context"]).all()
