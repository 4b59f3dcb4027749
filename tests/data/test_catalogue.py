"""The catalogue holds the paper's data sets, pinned, and an entry that could not be run is refused."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.refusal import refused
from timellama.data.catalogue.datasets import load_catalogue

LONG_TERM = {"ETTm1", "ETTm2", "ETTh1", "ETTh2", "Electricity", "Traffic", "Weather", "ILI"}
NAMED_HERE = {"Electricity": "ECL"}


@pytest.fixture(scope="module")
def path(root: Path) -> Path:
    return root / "config" / "datasets.yaml"


def test_every_data_set_of_table_6_is_listed_with_its_shape(path: Path, root: Path) -> None:
    catalogue = load_catalogue(path)
    with (root / "config" / "published" / "table6_datasets.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {row["dataset"] for row in table} >= LONG_TERM
    for row in table:
        dataset = catalogue[NAMED_HERE.get(row["dataset"], row["dataset"])]
        assert dataset.variates == int(row["variates"])
        if dataset.reader == "m4":
            assert dataset.rows == int(row["train"])


def test_every_file_is_pinned(path: Path) -> None:
    files = [file for dataset in load_catalogue(path).values() for file in dataset.files]
    assert len(files) == 24
    for file in files:
        assert len(file.sha256) == 64
        assert "/main/" not in file.source and "/master/" not in file.source


def test_digests_sizes_and_shapes_agree_with_the_list_of_real_files(path: Path, shared: Path) -> None:
    catalogue = load_catalogue(path)
    checked = 0
    for row in csv.DictReader((shared / "data" / "SOURCES.csv").open()):
        name, _, part = row["dataset"].removesuffix("-train").removesuffix("-test"), "", row["dataset"]
        if name not in catalogue:
            continue
        dataset = catalogue[name]
        file = dataset.files[1 if part.endswith("-test") else 0]
        assert file.sha256 == row["sha256"]
        assert file.bytes == (int(row["bytes"]) if row["bytes"] else None)
        assert dataset.variates == int(row["variates"])
        if name != "NYCWeather":  # its raw rows are one per airport and hour
            assert dataset.rows == int(row["rows"])
        if row["source"].startswith("https://raw"):
            assert file.source == row["source"]
        checked += 1
    assert checked == 13


def test_prompts_have_places_for_context_and_horizon_and_say_what_was_filled(path: Path) -> None:
    catalogue = load_catalogue(path)
    for dataset in catalogue.values():
        text = dataset.prompt.format(context=512, horizon=96)
        assert "512" in text and "96" in text and "{" not in text and "\n" not in text
    assert str(catalogue["NYCWeather"].quirks.interpolated_cells) in catalogue["NYCWeather"].prompt


def test_planning_imports_neither_arrays_nor_tensors() -> None:
    heavy = "('numpy', 'pandas', 'torch')"
    code = f"import sys, timellama.data.catalogue.datasets; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def edited(path: Path, tmp_path: Path, name: str = "ETTh1", **changes: object) -> Path:
    """The catalogue with one entry changed, as a new file; a value of None removes the key."""
    content = yaml.safe_load(path.read_text())
    entry = content["datasets"][name]
    for key, value in changes.items():
        entry.pop(key) if value is None else entry.__setitem__(key, value)
    new = tmp_path / "datasets.yaml"
    new.write_text(yaml.safe_dump(content))
    return new


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"split": {"rule": "ratio", "train": 0.7, "validation": 0.2, "test": 0.2}}, ("split", 1.1)),
        ({"split": {"rule": "months", "train": 12, "validation": 4, "test": 4}}, ("split.rows_per_day",)),
        ({"split": {"rule": "published"}}, ("split.rule", "published", "m4")),
        ({"split": {"rule": "ratio", "train": 0.7}}, ("split.validation", "split.test")),
        ({"columns": ["a"]}, ("columns", 1, "variates", 7)),
        ({"time_column": None}, ("time_column", "table")),
        ({"prompt": "{days}"}, ("prompt", "days", "{context}", "{horizon}")),
        ({"reader": "tabel"}, ("reader", "tabel", "table?", "file", "nycflights13", "m4", "module:NAME")),
        ({"files": [{"path": "a.csv", "source": "https://a.test/a.csv"}]}, ("files[0].sha256",)),
        (
            {"files": [{"path": "ETT-small/ETTh2.csv", "source": "a.csv"}]},
            ("files[0].path", "ETT-small/ETTh2.csv", "ETTh1"),
        ),
    ],
)
def test_an_entry_that_cannot_run_is_refused(changes: dict, named: tuple, path: Path, tmp_path: Path) -> None:
    with refused("datasets.yaml", *named):
        load_catalogue(edited(path, tmp_path, **changes))


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "", "a b", "a\n"])
def test_a_name_that_would_leave_its_folder_is_refused(name: str, path: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    content["datasets"][name] = content["datasets"]["ETTh1"]
    new = tmp_path / "datasets.yaml"
    new.write_text(yaml.safe_dump(content))
    with refused(new, f"datasets.{name}", "^[A-Za-z0-9][A-Za-z0-9_.-]*$"):
        load_catalogue(new)
