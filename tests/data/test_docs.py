"""The example of your own data in docs/adding.md works as printed."""

from pathlib import Path

import pytest
import torch

from tests.printed import block
from tests.refusal import refused
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.fetch.sources import fetch
from timellama.data.series import load_series
from timellama.data.windows import prepare


def test_the_example_of_your_own_data_works(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ice_cream.csv").write_text(block("text", "ice cream"))
    catalogue = tmp_path / "datasets.yaml"
    catalogue.write_text((root / "config" / "datasets.yaml").read_text() + "\n" + block("yaml", "reader: table"))
    monkeypatch.chdir(tmp_path)

    dataset = load_catalogue(catalogue)["IceCream"]
    raw, out = tmp_path / "raw.csv", tmp_path / "series.npz"
    fetch(dataset.files[0], raw, mirrors=[], cache=tmp_path / "cache")
    normalise(dataset, [raw], out, tmp_path / "quirks.json")
    series = load_series(out)
    parts = prepare(series, dataset.split, context=4, horizon=2, train_percent=100)

    assert series.columns == ("ice cream", "sunshine")
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (14 - 4 - 2 + 1, 1, 3)
    _, y = parts.test.batch(torch.tensor([2]))
    last = parts.scaler.inverse(y[0].double().numpy())
    assert last.flatten().tolist() == pytest.approx([128, 8.9, 139, 9.9], rel=1e-5)
    assert "last 4 days" in dataset.prompt.format(context=4, horizon=2)

    lines = (tmp_path / "data" / "ice_cream.csv").read_text().splitlines()
    raw.unlink()
    raw.write_text("\n".join([*lines[:6], *lines[8:10], *lines[12:]]) + "\n")
    short = tmp_path / "short.yaml"
    declared = catalogue.read_text().replace("rows: 20\n", "rows: 16\n")
    short.write_text(declared)
    with refused(raw, "IceCream", "irregular_steps", 2, 0, "quirks"):
        normalise(load_catalogue(short)["IceCream"], [raw], out, tmp_path / "quirks.json")
    short.write_text(declared + block("yaml", "irregular_steps"))
    normalise(load_catalogue(short)["IceCream"], [raw], out, tmp_path / "quirks.json")
    assert len(load_series(out).values) == 16
