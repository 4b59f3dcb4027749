"""The made-up data set is the same bytes everywhere."""

import hashlib
from pathlib import Path

import numpy as np

from timellama.data import synthetic
from timellama.data.catalogue import load_catalogue
from timellama.data.normalise import normalise
from timellama.data.series import load_series


def test_its_bytes_are_those_of_the_catalogue(root: Path, tmp_path: Path) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic"]
    synthetic.generate(tmp_path / "a.csv", seed=0)
    content = (tmp_path / "a.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == dataset.files[0].sha256
    assert len(content) == dataset.files[0].bytes
    assert dataset.generated
    synthetic.generate(tmp_path / "b.csv", seed=1)
    assert (tmp_path / "b.csv").read_bytes() != content


def test_it_has_the_seasons_it_claims(root: Path, tmp_path: Path) -> None:
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
