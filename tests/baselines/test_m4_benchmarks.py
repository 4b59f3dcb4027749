"""The M4 competition's benchmarks: against the organisers' R code, against the published scores, and as runs."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusal import refused
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.fetch.sources import fetch
from timellama.data.m4.series import M4Series, load_m4
from timellama.data.m4.whole import WholeSeries
from timellama.data.splits import Split
from timellama.experiments.run import Run
from timellama.methods.m4_benchmarks import METHODS, NoOptions
from timellama.methods.m4_benchmarks.network import Comb, Damped, Holt, Naive1, Naive2, Ses, Theta
from timellama.methods.m4_benchmarks.seasonality import divided_out, naive2
from timellama.methods.m4_benchmarks.simplex import minimise
from timellama.methods.m4_benchmarks.smoothing import _errors, holt, ses
from timellama.training.run import Outputs
from timellama.training.scores.m4_scores import Reference
from timellama.training.short_term import forecasts
from timellama.training.step_of import step_of
from timellama.training.whole_series import run_whole_series

# Steps 1 and 6 of the forecasts of `series(season)` by `Benchmarks` in the organisers' "Benchmarks and Evaluation.R",
# run with R 4.2.2 and forecast 8.20, with `initparam` changed to start alpha at 0.5, as in about version 8.2.
BY_R = {
    (4, Naive2): (168.340154589, 128.741539119),
    (4, Ses): (162.089727929, 123.961398870),
    (4, Holt): (164.772109825, 128.621560068),
    (4, Damped): (164.847148804, 128.349600933),
    (4, Theta): (162.680157327, 125.904505871),
    (4, Comb): (163.902995519, 126.977519957),
    (1, Naive2): (146.409550257, 146.409550257),
    (1, Ses): (138.357908171, 138.357908171),
    (1, Holt): (140.619745345, 143.585953056),
    (1, Damped): (140.496032207, 143.413238955),
    (1, Theta): (138.661434291, 140.336813622),
    (1, Comb): (139.824561908, 141.785700061),
}
# SMAPE and MASE of the same code on the real files. Those of Naive2, and of Theta on Hourly, are also known to be the
# published ones.
ON_M4 = {
    "Hourly": {
        Naive1: (43.003, 11.608),
        Naive2: (18.383, 2.395),
        Ses: (18.094, 2.385),
        Holt: (29.249, 9.356),
        Damped: (19.265, 2.956),
        Theta: (18.138, 2.455),
        Comb: (22.053, 4.582),
    },
    "Weekly": {
        Naive1: (9.161, 2.777),
        Naive2: (9.161, 2.777),
        Ses: (9.012, 2.685),
        Holt: (9.708, 2.420),
        Damped: (8.866, 2.404),
        Theta: (9.093, 2.637),
        Comb: (8.944, 2.432),
    },
}


def made(network: type, *, horizon: int, season: int):
    return network(horizon=horizon) if network is Naive1 else network(horizon=horizon, season=season)


def series(season: int) -> np.ndarray:
    t = np.arange(60)
    base = 100 + 0.7 * t + 12 * np.sin(1.3 * t) + 7 * np.sin(0.37 * t**1.5)
    return base * np.tile([1.2, 0.9, 0.7, 1.2], 15) if season == 4 else base


@pytest.mark.parametrize(("season", "network"), BY_R)
def test_a_forecast_equals_that_of_the_organisers_code(season: int, network: type) -> None:
    found = made(network, horizon=6, season=season).of_series(series(season))
    assert found[[0, 5]] == pytest.approx(BY_R[season, network], rel=1e-7)


@pytest.mark.parametrize("name", ON_M4)
def test_all_series_of_a_frequency_have_the_organisers_scores(
    name: str, root: Path, shared: Path, tmp_path: Path
) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")[f"M4-{name}"]
    raw = [shared / "data" / file.path for file in dataset.files]
    normalise(dataset, raw, tmp_path / "s.npz", tmp_path / "q.json")
    data = load_m4(tmp_path / "s.npz")
    reference, windows = Reference.of(data, dataset=name), WholeSeries(data)
    found = {}
    for network in (Naive1, Naive2, Ses, Holt, Damped, Theta):
        model = made(network, horizon=data.horizon, season=data.season)
        found[network], _ = forecasts(model, windows, batch_size=64, device="cpu", precision="float32")
    found[Comb] = (found[Ses] + found[Holt] + found[Damped]) / 3
    scores = {network: reference.score(forecast) for network, forecast in found.items()}
    rounded = {network: (round(each["smape"], 3), round(each["mase"], 3)) for network, each in scores.items()}
    assert rounded == ON_M4[name]
    own = scores[Naive2]
    assert {key: own[key] for key in ("smape", "mase")} == pytest.approx(own["naive2"], rel=1e-6), "OWA divides by it"


def test_comb_is_the_mean_of_ses_holt_and_damped() -> None:
    values = series(4)
    three = [made(network, horizon=6, season=4).of_series(values) for network in (Ses, Holt, Damped)]
    assert made(Comb, horizon=6, season=4).of_series(values) == pytest.approx(np.mean(three, axis=0), rel=1e-12)


def test_the_simplex_finds_the_minimum_within_its_bounds() -> None:
    def bowl(at: np.ndarray) -> float:
        return (at[0] - 3) ** 2 + 10 * (at[1] + 1) ** 2 if at[0] <= 2 else np.inf

    assert minimise(lambda at: (at[0] - 3) ** 2 + 10 * (at[1] + 1) ** 2, np.array([1.0, 0.0])) == pytest.approx(
        [3, -1], abs=1e-3
    )
    assert minimise(bowl, np.array([1.0, 0.0])) == pytest.approx([2, -1], abs=1e-2)


def test_the_ses_fit_is_as_good_as_a_grid_search() -> None:
    """SES with its recursion written out, over alpha and the initial level."""
    values = series(1)

    def error(alpha: float, level: float) -> tuple[float, float]:
        total = 0.0
        for y in values:
            total, level = total + (y - level) ** 2, level + alpha * (y - level)
        return total, level

    errors = {error(alpha, level) for alpha in np.linspace(0.01, 0.99, 50) for level in np.linspace(60, 160, 51)}
    least, last = min(errors)
    assert ses(values, horizon=1)[0] == pytest.approx(last, rel=0.02)
    fitted = ses(values, horizon=3)
    assert fitted.tolist() == [fitted[0]] * 3


@pytest.mark.parametrize("phi", [1.0, 0.9])
def test_the_filter_gives_the_errors_of_the_recursion(phi: float) -> None:
    values, alpha, beta, level, trend = series(1), 0.4, 0.15, 90.0, 2.0
    expected = []
    now, rise = level, trend
    for y in values:
        expected.append(y - now - phi * rise)
        now, rise = now + phi * rise + alpha * expected[-1], phi * rise + beta * expected[-1]
    assert _errors(values, alpha, beta, phi, level, trend) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_holt_extends_a_line_and_its_damped_form_flattens() -> None:
    line = 50 + 2.0 * np.arange(30)
    assert holt(line, horizon=3, damped=False) == pytest.approx([110, 112, 114], rel=1e-4)
    bent = np.diff(holt(line, horizon=4, damped=True))
    assert (np.diff(bent) < 0).all() and (bent > 0).all()


def test_multiplying_by_the_divided_out_season_restores_the_values() -> None:
    values = series(4)
    adjusted, factors = divided_out(values, season=4, horizon=6)
    assert adjusted[-1] * factors == pytest.approx(naive2(values, season=4, horizon=6), rel=1e-12)
    assert values == pytest.approx(adjusted * np.tile(factors[:4], 15), rel=1e-12)  # 60 is a multiple of 4
    same, ones = divided_out(values, season=1, horizon=2)
    assert same is values and ones.tolist() == [1, 1]


def test_series_that_cannot_be_fitted_are_refused() -> None:
    with refused("series", 9, 10):
        ses(np.arange(9.0), horizon=2)
    with refused("season", 0):
        divided_out(np.tile([4.0, 0.0, -4.0, 0.0], 20), season=4, horizon=2)


def test_series_of_different_lengths_can_share_a_batch() -> None:
    short, long = series(1)[:20], series(1)
    x = torch.full((2, 60, 1), torch.nan, dtype=torch.float64)
    x[0, 40:, 0], x[1, :, 0] = torch.from_numpy(short), torch.from_numpy(long)
    made_of = made(Holt, horizon=5, season=1)
    expected = np.stack([made_of.of_series(short), made_of.of_series(long)])
    assert made_of(x)[..., 0].numpy().tolist() == expected.tolist()


# As runs, on the generated series in M4's form.


@pytest.fixture(scope="module")
def file(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("m4")
    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic-M4"]
    raw = [folder / "train.csv", folder / "test.csv"]
    for path, artifact in zip(raw, dataset.files, strict=True):
        fetch(artifact, path, mirrors=[], cache=folder / "cache")
    normalise(dataset, raw, folder / "series.npz", folder / "quirks.json")
    return folder / "series.npz"


def run_of(method: str, **changed: object) -> Run:
    run = Run(
        task="short-term",
        dataset="Synthetic-M4",
        data_sha256="ab",
        split=Split(rule="published", train=0, validation=0, test=0),
        season=24,
        variates=1,
        context=96,
        horizon=48,
        train_percent=100,
        variant=method,
        method=method,
        options=NoOptions(),
        training=None,
        backbone=None,
        prompt=None,
        seed=0,
        precision="float32",
        device="cpu",
    )
    return dataclasses.replace(run, **changed)


def carried_out(run: Run, file: Path, folder: Path) -> tuple[dict, Outputs]:
    names = {"metrics": "json", "weights": "safetensors", "history": "csv", "router": "csv", "forecasts": "npz"}
    outputs = Outputs(**{name: folder / f"{name}.{suffix}" for name, suffix in (names | {"windows": "npz"}).items()})
    given = {"checkpoints": folder / "checkpoints", "threads": 1, "source_digest": "cd"}
    return run_whole_series(run, series=file, backbone_folder=None, outputs=outputs, **given), outputs


@pytest.mark.parametrize("method", [method.name for method in METHODS])
def test_every_benchmark_can_be_run(method: str, file: Path, tmp_path: Path) -> None:
    run = run_of(method)
    assert step_of(run) == "timellama.training.whole_series:run_whole_series"
    metrics, outputs = carried_out(run, file, tmp_path)
    assert json.loads(outputs.metrics.read_text()) == metrics and metrics["n_windows"] == 30
    assert metrics["steps"] == 0 and metrics["parameters"]["total"] == 0


def test_a_run_sees_each_series_from_first_value_to_last(file: Path, tmp_path: Path) -> None:
    """Naive2 needs 252 values to find an hourly season: a look-back of 96 would not be enough."""
    metrics, outputs = carried_out(run_of("naive2"), file, tmp_path)
    assert {key: metrics[key] for key in ("smape", "mase")} == pytest.approx(metrics["naive2"], rel=1e-6)
    assert metrics["owa"] == pytest.approx(1, rel=1e-6)
    data = load_m4(file)
    with np.load(outputs.forecasts, allow_pickle=False) as shown:
        places, context = shown["start"], shown["context"][..., 0]
    assert context.shape == (3, 96), "shown with the look-back of the other methods"
    assert context[:, -1] == pytest.approx([data.training(i)[-1] for i in places], rel=1e-6)


def test_no_forecast_sees_the_test_part(file: Path) -> None:
    data = load_m4(file)
    other = M4Series(
        **{field.name: getattr(data, field.name) for field in dataclasses.fields(data)} | {"test": data.test * 3 + 100}
    )
    for one, two in zip(*(_contexts(each) for each in (data, other)), strict=True):
        assert torch.equal(one, two)
    x, y = WholeSeries(data).batch(torch.arange(len(data)))
    for i in range(len(data)):
        values = data.training(i)
        assert x[i, -len(values) :, 0].tolist() == values.tolist() and x[i, : -len(values)].isnan().all()
    assert y[..., 0].tolist() == data.test.tolist()


def _contexts(data: M4Series) -> list[torch.Tensor]:
    windows = WholeSeries(data)
    return [windows.batch(torch.tensor([i]))[0] for i in range(len(data))]


def test_a_run_that_does_not_fit_m4_is_refused(file: Path, tmp_path: Path) -> None:
    with refused("theta", "train_percent", 5, 100):
        carried_out(run_of("theta", train_percent=5), file, tmp_path)
    with refused(file, "horizon", 13, "season", 1):
        carried_out(run_of("theta", horizon=13, season=1, context=26), file, tmp_path)
