"""Cells and rows of a user's file that stay missing: found, counted, kept, and only on request."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.data.reading_desk import ReadingDesk
from tests.refusal import refused
from timellama.core.files import read_arrays, write_arrays
from timellama.data.add_file import inspect_file, require_windows
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.croissant import describe as croissant
from timellama.data.files.detect import Asked
from timellama.data.series import ARRAYS, OBSERVED, load_series
from timellama.data.splits import Split

MASK = Asked(missing="mask")
ROWS = 30


def whole() -> pd.DataFrame:
    date = pd.date_range("2024-01-01", periods=ROWS, freq="h")
    return pd.DataFrame({"date": date, "load": np.arange(ROWS) / 8, "oil": np.arange(ROWS) % 7.0})


def holed() -> pd.DataFrame:
    """The first load and one value of oil are missing, and so are rows 10 and 11."""
    data = whole()
    data.loc[0, "load"] = data.loc[20, "oil"] = np.nan
    return data.drop(index=[10, 11])


@pytest.fixture
def desk(tmp_path) -> ReadingDesk:
    return ReadingDesk(tmp_path)


def test_missing_cells_stay_missing_and_are_counted(desk, tmp_path):
    holed().to_csv(tmp_path / "own.csv", index=False)
    with refused("own.csv", "line 2", "load", 2, "--fill linear", "previous", "seasonal", "--missing mask"):
        desk.read(tmp_path / "own.csv")
    series = desk.read(tmp_path / "own.csv", asked=MASK)
    expected = whole()[["load", "oil"]].to_numpy(copy=True)
    expected[[10, 11]] = expected[0, 0] = expected[20, 1] = np.nan
    assert np.array_equal(series.values, expected, equal_nan=True)
    assert (series.time == whole()["date"].to_numpy()).all()
    assert desk.last.repairs.counted == {"added_rows": 2, "masked_cells": 6} and desk.last.quirks.irregular_steps == 0
    assert desk.facts["repairs"] == desk.last.repairs.facts and desk.facts["repairs"]["filled_cells"] == 0
    assert desk.facts["masked_cells"] == {"load": 3, "oil": 3} and desk.facts["filled_cells"] == {}
    assert desk.facts["added_rows"]["first"] == ["2024-01-01 10:00:00", "2024-01-01 11:00:00"]
    told = "2 missing rows added, 6 missing cells masked (in no loss and no error)"
    assert desk.facts["notes"] == [f"Repaired: {told}."]
    assert told not in desk.last.prompt and told in json.dumps(croissant(desk.last))
    arrays = read_arrays(tmp_path / "series.npz", ARRAYS, perhaps=(OBSERVED,))
    assert (arrays[OBSERVED] == ~np.isnan(expected)).all()


def test_a_file_without_holes_gives_the_same_bytes_with_and_without_a_mask(desk, tmp_path):
    whole().to_csv(tmp_path / "own.csv", index=False)
    desk.read(tmp_path / "own.csv", asked=MASK)
    bytes_, facts, masked = (tmp_path / "series.npz").read_bytes(), desk.facts, desk.last
    desk.read(tmp_path / "own.csv")
    assert (tmp_path / "series.npz").read_bytes() == bytes_
    assert facts.pop("reading") == {"missing": "mask"} and desk.facts.pop("reading") == {}
    assert facts == desk.facts and "masked_cells" not in facts["repairs"]
    assert json.loads(masked.reading_text) == {"frequency": "h", "missing": "mask"} and desk.last.reading_text is None


def test_a_file_with_more_holes_than_its_entry_declares_is_refused(desk, tmp_path):
    holed().to_csv(tmp_path / "own.csv", index=False)
    entry = desk.entry(tmp_path / "own.csv", asked=MASK)
    for count in (5, None):
        entry["repairs"] = {"added_rows": 2} | ({"masked_cells": count} if count else {})
        desk.own.parent.mkdir(exist_ok=True)
        desk.own.write_text(yaml.safe_dump({"datasets": {"Own": entry}}), encoding="utf-8")
        dataset = load_catalogue(desk.catalogue)["Own"]
        with refused("own.csv", "masked_cells", 6, count or 0, "quirks", "repairs"):
            normalise(dataset, [tmp_path / "own.csv"], tmp_path / "s.npz", tmp_path / "q.json")


def test_filling_and_masking_exclude_each_other(desk, tmp_path):
    holed().to_csv(tmp_path / "own.csv", index=False)
    with refused("own.csv", "--fill", "--missing"):
        desk.read(tmp_path / "own.csv", asked=Asked(missing="mask", fill="previous"))
    entry = desk.entry(tmp_path / "own.csv", asked=MASK)
    entry["reading"]["fill"] = "linear"
    desk.own.parent.mkdir(exist_ok=True)
    desk.own.write_text(yaml.safe_dump({"datasets": {"Own": entry}}), encoding="utf-8")
    with refused("reading.missing", "fill"):
        load_catalogue(desk.catalogue)


def test_a_column_without_observed_values_in_training_is_refused(desk, tmp_path):
    data = holed()
    data["oil"] = np.nan
    data.to_csv(tmp_path / "own.csv", index=False)
    with refused("own.csv", "oil", "--drop"):
        desk.read(tmp_path / "own.csv", asked=MASK)
    whole().assign(oil=lambda data: data["oil"].where(data.index >= 21)).to_csv(tmp_path / "own.csv", index=False)
    found = inspect_file(tmp_path / "own.csv", asked=MASK)
    assert found.late == {"oil": 21}
    later = Split(rule="ratio", train=0.8, validation=0.1, test=0.1)
    assert require_windows(found, later, context=2, horizon=2)["test"] == 2
    with refused("oil", 21, "--drop", "--split"):
        require_windows(found, Split(rule="ratio", train=0.7, validation=0.1, test=0.2), context=2, horizon=2)


def test_constant_and_far_cells_are_computed_from_observed_cells(desk, tmp_path):
    data = whole().assign(still=5.0)
    data.loc[3, ["still", "load"]] = np.nan
    data.loc[7, "oil"] = 1e6
    data.loc[8, "oil"] = np.nan
    pd.concat([data, data.assign(date=data["date"] + pd.Timedelta(30, "h"), oil=1.0)] * 1).to_csv(
        tmp_path / "own.csv", index=False
    )
    desk.read(tmp_path / "own.csv", asked=MASK)
    assert desk.facts["constant_columns"] == ["still"]
    assert desk.facts["far_cells"] == {}, "one cell of 60 is at most 7.7 deviations from the mean"
    many = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=400, freq="h"), "oil": 1.0})
    many.loc[7, "oil"], many.loc[8, "oil"] = 1e6, np.nan
    many.to_csv(tmp_path / "own.csv", index=False)
    desk.read(tmp_path / "own.csv", asked=MASK)
    assert desk.facts["far_cells"]["oil"] == {"count": 1, "farthest": {"time": "2024-01-01T07:00:00", "value": 1e6}}


def test_series_of_different_lengths_are_kept_whole_on_request(desk, tmp_path):
    """In a long file, series a has rows 0 to 29 and b has rows 5 to 19."""
    data = whole()
    a, b = data.assign(unique_id="a", y=data["load"]), data.iloc[5:20].assign(unique_id="b", y=data["oil"])
    pd.concat([a, b])[["unique_id", "date", "y"]].to_csv(tmp_path / "own.csv", index=False)
    with refused("own.csv", "b", 15, "a", 30, "--align common", "--align all --missing mask"):
        desk.read(tmp_path / "own.csv")
    with refused("own.csv", "b", "2024-01-01 00:00:00", 15, "--fill", "--missing mask"):
        desk.read(tmp_path / "own.csv", asked=Asked(align="all"))
    series = desk.read(tmp_path / "own.csv", asked=Asked(align="all", missing="mask"))
    expected = data[["load", "oil"]].where(data.index.to_series().between(5, 19), [np.nan] * 2)
    expected["load"] = data["load"]
    assert series.columns == ("a", "b") and np.array_equal(series.values, expected.to_numpy(), equal_nan=True)
    assert desk.last.repairs.counted == {"masked_cells": 15}


def test_a_canonical_file_has_nan_only_where_it_says_so(desk, tmp_path):
    holed().to_csv(tmp_path / "own.csv", index=False)
    desk.read(tmp_path / "own.csv", asked=MASK)
    path = tmp_path / "series.npz"
    arrays = read_arrays(path, ARRAYS, perhaps=(OBSERVED,))
    wrong = {
        "no word of it": {name: array for name, array in arrays.items() if name != OBSERVED},
        "another place": arrays | {OBSERVED: np.roll(arrays[OBSERVED], 1, axis=0)},
        "infinite": arrays | {"values": np.where(arrays[OBSERVED], arrays["values"], np.inf)},
    }
    for changed in wrong.values():
        write_arrays(path, changed)
        with refused(path):
            load_series(path)
    write_arrays(path, arrays | {OBSERVED: arrays[OBSERVED][:5]})
    with refused(path, "observed", (5, 2), (30, 2)):
        load_series(path)
