"""A run on M4 from its specification to its files: scores computed another way, an unseen test part, refusals."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.refusal import refused
from timellama.core.files import read_arrays, write_arrays
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.fetch.sources import fetch
from timellama.data.m4.series import ARRAYS, M4Series, load_m4
from timellama.data.m4.windows import prepare_m4
from timellama.data.splits import Split
from timellama.experiments.run import Run, Training
from timellama.methods.dlinear import DLinearOptions
from timellama.methods.forecaster import Forecaster
from timellama.methods.naive import HourOfDayMeanOptions, SeasonalNaiveOptions
from timellama.methods.rlinear import RLinearOptions
from timellama.methods.time_llama.dynamic_lora import Routing
from timellama.results.read.run_files import read_windows
from timellama.training.run import Outputs
from timellama.training.scores.m4_scores import combine, mase, mase_scale, naive2_metrics, owa, smape
from timellama.training.scores.metrics import smape_loss
from timellama.training.short_term import forecasts, run_m4_experiment

H, SEASON, SERIES = 48, 24, 30
OPTIONS = {
    "rlinear": RLinearOptions(),
    "dlinear": DLinearOptions(),
    "seasonal-naive": SeasonalNaiveOptions(),
    "hour-of-day-mean": HourOfDayMeanOptions(days=4),
}


@pytest.fixture(scope="module")
def file(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up series in M4's form."""
    folder = tmp_path_factory.mktemp("m4")
    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic-M4"]
    raw = [folder / "train.csv", folder / "test.csv"]
    for path, artifact in zip(raw, dataset.files, strict=True):
        fetch(artifact, path, mirrors=[], cache=folder / "cache")
    normalise(dataset, raw, folder / "series.npz", folder / "quirks.json")
    return folder / "series.npz"


@pytest.fixture(scope="module")
def series(file: Path) -> M4Series:
    return load_m4(file)


def run_of(method: str, **changed: object) -> Run:
    training = Training(loss="smape", max_steps=12, batch_size=8, evaluation_batch_size=7)
    run = Run(
        task="short-term",
        dataset="Synthetic-M4",
        data_sha256="ab",
        split=Split(rule="published", train=0, validation=0, test=0),
        season=SEASON,
        variates=1,
        context=2 * H,
        horizon=H,
        train_percent=100,
        variant=method,
        method=method,
        options=OPTIONS[method],
        training=training if method.endswith("linear") else None,
        backbone=None,
        prompt=None,
        seed=0,
        precision="float32",
        device="cpu",
    )
    return dataclasses.replace(run, **changed)


def run_experiment(run: Run, file: Path, folder: Path) -> tuple[dict, Outputs]:
    names = {"metrics": "json", "weights": "safetensors", "history": "csv", "router": "csv", "forecasts": "npz"}
    names["windows"] = "npz"
    outputs = Outputs(**{name: folder / f"{name}.{suffix}" for name, suffix in names.items()})
    metrics = run_m4_experiment(
        run,
        series=file,
        backbone_folder=None,
        outputs=outputs,
        checkpoints=folder / "checkpoints",
        threads=1,
        source_digest="cd",
    )
    return metrics, outputs


def scores(series: M4Series, forecast: np.ndarray) -> dict[str, float]:
    """Scores computed series by series, without the class under test."""
    pairs = []
    for i in range(len(series)):
        truth, own = series.test[i : i + 1], forecast[i : i + 1]
        scale = np.array([mase_scale(series.training(i), season=series.season)])
        pairs.append((float(smape(truth, own)[0]), float(mase(truth, own, scale)[0])))
    return dict(zip(("smape", "mase"), np.mean(pairs, axis=0).tolist(), strict=True))


def test_the_naive_run_has_the_scores_of_repeating_the_last_day(file: Path, series: M4Series, tmp_path: Path) -> None:
    metrics, outputs = run_experiment(run_of("seasonal-naive"), file, tmp_path)
    forecast = np.stack([np.tile(series.training(i)[-SEASON:], 2) for i in range(SERIES)])
    expected = scores(series, forecast)
    of_series = read_windows(outputs.windows)
    assert of_series["smape"] == pytest.approx(smape(series.test, forecast), rel=1e-5)
    assert {name: values.mean() for name, values in of_series.items()} == pytest.approx(expected, rel=1e-5)
    naive = naive2_metrics(series, dataset="Synthetic-M4")
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert metrics["owa"] == pytest.approx(owa(expected, naive), rel=1e-6)
    assert metrics["naive2"] == naive["naive2"]
    assert metrics["n_windows"] == metrics["frequencies"]["Synthetic-M4"]["series"] == SERIES
    assert metrics["frequencies"]["Synthetic-M4"]["frequency"] == "h"
    assert "mse" not in metrics and metrics["steps"] == 0 and metrics["router"] is None


def test_short_series_are_padded_with_their_first_value(file: Path, series: M4Series, tmp_path: Path) -> None:
    """The mean of four days reads the whole context, so the padding of the shorter series affects their forecasts."""
    metrics, _ = run_experiment(run_of("hour-of-day-mean"), file, tmp_path)
    contexts = [series.training(i)[-2 * H :] for i in range(SERIES)]
    assert sum(len(context) < 2 * H for context in contexts) >= 2
    filled = [np.concatenate([np.full(2 * H - len(context), context[0]), context]) for context in contexts]
    expected = scores(series, np.stack([np.tile(f.reshape(4, SEASON).mean(axis=0), 2) for f in filled]))
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_a_trained_run_leaves_all_files_and_fields(file: Path, tmp_path: Path) -> None:
    metrics, outputs = run_experiment(run_of("rlinear"), file, tmp_path)
    assert json.loads(outputs.metrics.read_text()) == metrics
    assert metrics["identity"] == run_of("rlinear").identity and metrics["provenance"]["source_digest"] == "cd"
    assert metrics["provenance"]["data_sha256"] == load_m4(file).raw_sha256
    assert metrics["steps"] == 12 and metrics["parameters"]["trainable"] == 2 * H * H + H
    assert set(load_file(outputs.weights)) == {"linear.weight", "linear.bias"}
    history = list(csv.DictReader(outputs.history.open()))
    assert len(history) >= 8 and min(float(row["validation_loss"]) for row in history) == metrics["validation_loss"]
    with np.load(outputs.forecasts, allow_pickle=False) as shown:
        assert shown["forecast"].shape == shown["truth"].shape == (3, H, 1) and shown["context"].shape == (3, 2 * H, 1)
        assert shown["start"].tolist()[-1] == SERIES - 1


def test_selection_and_score_are_those_of_the_kept_weights(file: Path, series: M4Series, tmp_path: Path) -> None:
    """RLinear's saved weights, applied by hand on the original scale: the loss that chose them is that of each series'
    last 48 training values, the score is that of the test part."""
    metrics, outputs = run_experiment(run_of("rlinear"), file, tmp_path)
    weights = {name: tensor.double().numpy() for name, tensor in load_file(outputs.weights).items()}

    def forecast(values: np.ndarray) -> np.ndarray:
        context = values[-2 * H :]
        context = np.concatenate([np.full(2 * H - len(context), context[0]), context])
        deviation = np.sqrt(context.var() + 1e-5)
        normal = (context - context.mean()) / deviation
        return (weights["linear.weight"] @ normal + weights["linear.bias"]) * deviation + context.mean()

    training = [series.training(i) for i in range(SERIES)]
    held_out = np.stack([values[-H:] for values in training])
    chosen_by = smape(held_out, np.stack([forecast(values[:-H]) for values in training])).mean()
    assert metrics["validation_loss"] == pytest.approx(chosen_by, rel=1e-4)
    expected = scores(series, np.stack([forecast(values) for values in training]))
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_the_test_part_is_not_seen_in_training(file: Path, tmp_path: Path) -> None:
    arrays = read_arrays(file, ARRAYS)
    other = tmp_path / "other.npz"
    write_arrays(other, dict(arrays) | {"test": arrays["test"] * 3 + 100})
    one, first = run_experiment(run_of("dlinear"), file, tmp_path / "a")
    two, second = run_experiment(run_of("dlinear"), other, tmp_path / "b")
    assert first.weights.read_bytes() == second.weights.read_bytes()
    untimed = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(out.history.open())]
        for out in (first, second)
    ]
    assert untimed[0] == untimed[1] and one["validation_loss"] == two["validation_loss"]
    assert one["smape"] != two["smape"] and one["naive2"] != two["naive2"]


class Routed(Forecaster):
    """Forecasts the last value, and routes by its size."""

    modules_routed = "QK"

    def forecast(self, x: torch.Tensor) -> tuple[torch.Tensor, None, list[Routing]]:
        on = (x[:, -1] > x.mean()).float()
        gates = torch.cat([on, 1 - on], dim=1)
        return x[:, -1:].expand(-1, H, -1), None, [Routing(gates=gates, probabilities=gates)]


def test_every_series_is_forecast_once_in_order_with_its_routing(series: M4Series) -> None:
    windows = prepare_m4(series, context=2 * H, frequency="h").test
    for batch_size in (7, 30, 64):
        found, router = forecasts(Routed(), windows, batch_size=batch_size, device="cpu", precision="float32")
        last = [series.training(i)[-1] for i in range(SERIES)]
        assert found.shape == (SERIES, H) and found[:, -1] == pytest.approx(last, rel=1e-6)
        assert sum(router["selection_rate"][0]) == pytest.approx(1)


def test_the_loss_is_the_score_on_values_of_m4s_size() -> None:
    truth, forecast = np.array([[1e5, 2.0]]), np.array([[9e4, 3.0]])
    loss = smape_loss(torch.from_numpy(forecast), torch.from_numpy(truth))
    assert loss.item() == pytest.approx(float(smape(truth, forecast)[0]), rel=1e-12)


def test_results_combine_as_they_were_written(file: Path, tmp_path: Path) -> None:
    metrics, outputs = run_experiment(run_of("seasonal-naive"), file, tmp_path)
    overall = combine([json.loads(outputs.metrics.read_text())])
    assert {k: overall[k] for k in ("smape", "mase", "owa", "n_windows")} == pytest.approx(
        {k: metrics[k] for k in ("smape", "mase", "owa", "n_windows")}
    )


@pytest.mark.parametrize(
    ("method", "changed", "named"),
    [
        ("rlinear", {"training": Training()}, ("training.loss", "'mse'", "'smape'")),
        ("rlinear", {"train_percent": 5}, ("train_percent", 5, 100)),
        ("rlinear", {"variates": 7}, ("variates", 7)),
        ("rlinear", {"context": 0}, ("rlinear", "context", 0, 96)),
        ("rlinear", {"horizon": 24}, ("horizon", 24, "season", "48/24", "horizons")),
        (
            "rlinear",
            {"split": Split(rule="ratio", train=0.7, validation=0.1, test=0.2)},
            ("split.rule", "'ratio'", "'published'"),
        ),
        ("hour-of-day-mean", {"context": 23}, ("context", 23, 24)),
        ("rlinear", {"horizon": 13, "season": 1, "context": 26}, ("horizon", 48, 13, "season", 24, 1, "horizons")),
    ],
)
def test_unsuitable_runs_are_refused(method: str, changed: dict, named: tuple, file: Path, tmp_path: Path) -> None:
    with refused(*named):
        run_experiment(run_of(method, **changed), file, tmp_path)
    assert not list(tmp_path.iterdir())
