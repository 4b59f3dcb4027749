"""An external reader, as docs/adding.md prints it: one function, named in the catalogue."""

import json
import sys

import numpy as np
import pytest
import yaml

from tests import printed
from tests.refusal import refused
from timellama.core.code_digest import code_digest, code_used
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.reader import reader_of
from timellama.data.series import load_series
from timellama.results.digests import code_of_data

YEARS = (
    {"day": ["2024-12-30", "2024-12-31"], "sun": [1.0, 2.5], "rain": [0, 4]},
    {"day": ["2025-01-01", "2025-01-02"], "sun": [3.0, 0.5], "rain": [7, 1]},
)


@pytest.fixture
def dataset(root, tmp_path, monkeypatch):
    """Makes a data set from a catalogue with one more entry, and returns it with its raw files."""
    module = printed.block("python", "def yearly")
    (tmp_path / "my_readers.py").write_text(f"{module}\n\nSECRET = 3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    raw = [tmp_path / f"{number}.json" for number in range(len(YEARS))]

    def make(*, years=YEARS, **changed):
        for path, year in zip(raw, years, strict=True):
            path.write_text(json.dumps(year), encoding="utf-8")
        entry = {
            "reader": "my_readers:yearly",
            "files": [{"path": f"own/{path.name}", "source": str(path)} for path in raw],
            "rows": 4,
            "variates": 2,
            "frequency": "D",
            "season": 2,
            "split": {"rule": "ratio", "train": 0.5, "validation": 0.25, "test": 0.25},
            "time_column": "day",
            "licence": "our own",
            "domain": "weather",
            "prompt": "Sun and rain.",
        }
        catalogue = tmp_path / "datasets.yaml"
        catalogue.write_text(yaml.safe_dump({"datasets": {"Days": entry | changed}}), encoding="utf-8")
        return load_catalogue(catalogue)["Days"], raw

    yield make
    sys.modules.pop("my_readers", None)


def test_its_rows_become_the_canonical_file(dataset, tmp_path):
    days, raw = dataset()
    normalise(days, raw, tmp_path / "series.npz", tmp_path / "quirks.json")
    series = load_series(tmp_path / "series.npz")
    assert series.columns == ("sun", "rain")
    assert np.array_equal(series.values, [[1, 0], [2.5, 4], [3, 7], [0.5, 1]])
    quirks = json.loads((tmp_path / "quirks.json").read_text(encoding="utf-8"))
    assert [file["path"] for file in quirks["raw"]] == ["own/0.json", "own/1.json"]
    assert (quirks["first"], quirks["last"]) == ("2024-12-30T00:00:00", "2025-01-02T00:00:00")


@pytest.mark.parametrize(
    ("years", "named"),
    [
        ((YEARS[1], YEARS[0]), ("order", "my_readers:yearly")),
        (
            (YEARS[0], YEARS[1] | {"sun": [3.0, float("nan")]}),
            ("'sun'", "2025-01-02T00:00:00", "nan", "my_readers:yearly", "interpolated_cells"),
        ),
        ((YEARS[0], YEARS[1] | {"day": ["2025-01-01", "2025-01-03"]}), ("irregular_steps", 1, 0, "quirks", "Days")),
        (({"day": []}, {"day": []}), ("my_readers:yearly", "float64 [0]", "0 timestamps", "0 columns")),
    ],
)
def test_invalid_rows_are_refused_and_nothing_is_written(dataset, tmp_path, years, named):
    days, raw = dataset(years=years)
    with refused(*raw, *named):
        normalise(days, raw, tmp_path / "series.npz", tmp_path / "quirks.json")
    assert not (tmp_path / "series.npz").exists()


@pytest.mark.parametrize("name", ["tabel", "my_readers:SECRET", "my_readers:lost", "no_such_module:read"])
def test_an_invalid_reader_is_named(dataset, name):
    with refused("datasets.Days.reader", name):
        dataset(reader=name)


def test_its_code_is_in_the_digest_of_its_data_set_only(dataset, root):
    days, _ = dataset()
    assert "my_readers:yearly" in code_used("timellama.data.canonicalise", reader_of(days.reader).read)
    etth1 = load_catalogue(root / "config/datasets.yaml")["ETTh1"]
    assert code_of_data(etth1) == code_digest("timellama.data.canonicalise", "timellama.data.table:read")
