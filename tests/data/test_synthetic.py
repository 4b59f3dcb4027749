"""The generated data sets have the same bytes everywhere."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from tests.refusal import refused
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.fetch import synthetic
from timellama.data.fetch.sources import fetch
from timellama.data.m4.series import load_m4
from timellama.data.series import load_series
from timellama.methods.m4_benchmarks.seasonality import is_seasonal


def test_the_bytes_match_the_digest_in_the_catalogue(root: Path, tmp_path: Path) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic"]
    synthetic.generate(tmp_path / "a.csv", seed=0)
    content = (tmp_path / "a.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == dataset.files[0].sha256
    assert len(content) == dataset.files[0].bytes
    assert dataset.generated
    synthetic.generate(tmp_path / "b.csv", seed=1)
    assert (tmp_path / "b.csv").read_bytes() != content


def test_the_series_in_m4s_form_match_the_catalogue(root: Path, tmp_path: Path) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic-M4"]
    files = [tmp_path / "train.csv", tmp_path / "test.csv"]
    for file, entry in zip(files, dataset.files, strict=True):
        fetch(entry, file, mirrors=[], cache=tmp_path / "cache")
        assert hashlib.sha256(file.read_bytes()).hexdigest() == entry.sha256
        assert len(file.read_bytes()) == entry.bytes
    assert dataset.generated
    normalise(dataset, files, tmp_path / "s.npz", tmp_path / "q.json")
    series = load_m4(tmp_path / "s.npz")
    lengths = [len(series.training(i)) for i in range(len(series))]
    seasonal = [is_seasonal(series.training(i), season=series.season) for i in range(len(series))]
    assert (len(series), series.horizon, series.season) == (30, 48, 24)
    assert min(lengths) < 72 and max(lengths) > 252  # padded contexts, series without and with a test for a season
    assert 0 < sum(seasonal) < len(series)
    assert series.values.min() > 0 and series.values.max() > 20 * series.values.min()
    # The test values continue the training values: their first step is no longer than the series' own.
    for i in range(len(series)):
        values = series.training(i)
        assert abs(series.test[i, 0] - values[-1]) <= 1.5 * np.abs(np.diff(values)).max()


def test_a_source_of_generated_data_must_name_its_seed(root: Path, tmp_path: Path) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic-M4"]
    wrong = dataclasses.replace(dataset.files[0], source="synthetic:m4:seed=0")
    with refused("synthetic:m4:seed=0", "synthetic:seed=NUMBER", "m4-train:", "m4-test:"):
        fetch(wrong, tmp_path / "a.csv", mirrors=[], cache=tmp_path / "cache")


def test_it_has_the_seasons_that_it_claims(root: Path, tmp_path: Path) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic"]
    synthetic.generate(tmp_path / "a.csv", seed=0)
    normalise(dataset, [tmp_path / "a.csv"], tmp_path / "s.npz", tmp_path / "q.json")
    values = load_series(tmp_path / "s.npz").values
    assert values.shape == (1200, 7)
    whole_weeks = values[: 7 * synthetic.WEEK]
    spectrum = np.abs(np.fft.rfft(whole_weeks - whole_weeks.mean(axis=0), axis=0))
    strongest = np.argsort(spectrum, axis=0)[-2:]
    weekly, daily = 7, 7 * 7  # cycles in seven weeks
    assert ({weekly, daily} >= {int(k) for k in strongest[-1]}) and daily in strongest
    assert (values.std(axis=0) > 0.5).all()
