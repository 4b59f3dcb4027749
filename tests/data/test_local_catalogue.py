"""The user's own data sets are listed with the published ones; another repair makes another version of a data set."""

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.data.reading_desk import ReadingDesk
from tests.refusal import refused
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.catalogue.reading import Reading, Repairs
from timellama.data.croissant import describe
from timellama.data.files.detect import Asked
from timellama.experiments import matrix as plan_module
from timellama.experiments.matrix import make_matrix
from timellama.reports.failures import with_remarks
from timellama.reports.render.cells import Table
from timellama.reports.report_facts import report_facts


@pytest.fixture
def desk(tmp_path) -> ReadingDesk:
    """A desk that has read a file with a hole."""
    data = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=20, freq="h"), "a": np.arange(20.0)})
    data.loc[4, "a"] = np.nan
    data.to_csv(tmp_path / "own.csv", index=False)
    made = ReadingDesk(tmp_path)
    made.read(tmp_path / "own.csv", asked=Asked(fill="linear"))
    return made


def rename(desk: ReadingDesk, name: str, **changes: object) -> None:
    content = yaml.safe_load(desk.own.read_text(encoding="utf-8"))
    content["datasets"] = {name: next(iter(content["datasets"].values())) | changes}
    desk.own.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_both_catalogues_are_read_and_the_published_one_is_unchanged(desk):
    found = load_catalogue(desk.catalogue)
    assert list(found) == ["Known", "Own"]
    assert (found["Known"].local, found["Own"].local) == (False, True)
    assert "Own" not in desk.catalogue.read_text(encoding="utf-8")
    assert desk.own.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../schema/datasets.json")
    assert found["Own"].reading == Reading(fill="linear") and found["Own"].repairs == Repairs(filled_cells=1)


def test_a_name_or_path_that_is_in_both_catalogues_is_refused(desk):
    rename(desk, "known")
    with refused("local/datasets.yaml", "known", "Known", desk.catalogue):
        load_catalogue(desk.catalogue)
    rename(desk, "Other", files=[{"path": "known.csv", "source": "own.csv", "sha256": "0" * 64}])
    with refused("local/datasets.yaml", "known.csv", "Other", "Known", desk.catalogue):
        load_catalogue(desk.catalogue)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"reader": "table"}, ("reading", "repairs", "file", "table")),
        ({"time_column": None}, ("time_column", "step")),
        ({"reading": {"fill": "cubic"}}, ("reading.fill", "cubic", "linear", "previous", "seasonal")),
        ({"reading": {"separator": "::"}}, ("reading.separator", "'::'")),
        ({"reading": {"sorted": True}}, ("reading.sorted", "sort?")),
        ({"reading": {"align": "common"}}, ("reading.align", "id_column")),
        ({"reading": {"id_column": "a"}}, ("reading.value_column", "id_column")),
        ({"reading": {"id_column": "a", "value_column": "b", "drop": ["c"]}}, ("reading.drop", "id_column")),
        ({"repairs": {"filled_cells": -1}}, ("repairs.filled_cells", -1, 0)),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(desk, changes, named):
    rename(desk, "Own", **changes)
    with refused("local/datasets.yaml", *named):
        load_catalogue(desk.catalogue)


@pytest.fixture
def planned(root, desk, monkeypatch):
    """Plans one run of dlinear on the user's data set, with its entry changed."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Own": {"context": 4, "horizons": [1]}}, "methods": ["dlinear"]}
    config["experiments"] = {"long_term": section}
    known = load_catalogue(root / "config/datasets.yaml")

    def plan(**changes: object) -> plan_module.Matrix:
        catalogue = known | {"Own": dataclasses.replace(desk.last, **changes)}
        monkeypatch.setattr(plan_module, "load_datasets", lambda _: catalogue)
        return make_matrix(config, root=root)

    return plan


def test_another_repair_makes_another_run(planned):
    readings = [Reading(fill=fill) for fill in ("linear", "previous", "seasonal")]
    readings += [
        Reading(),
        Reading(fill="linear", sort=True),
        Reading(fill="linear", drop=("b",)),
        Reading(decimal=","),
    ]
    runs = [set(planned(reading=reading).every_run()) for reading in readings]
    runs.append(set(planned(reading=Reading(fill="linear"), frequency="30min").every_run()))
    assert len(set.union(*runs)) == sum(map(len, runs))
    # Without a choice, the identity equals that of a data set without the key.
    plain = planned(reading=Reading()).every_run().values()
    assert all(run.reading is None and "reading" not in run.to_json() for run in plain)


def test_tables_and_descriptions_report_repairs(planned, desk):
    facts = report_facts(planned(), "long_term", absent=())
    assert facts["repaired"] == "Own was repaired before use: 1 cell filled (linear)."
    assert "repaired" not in report_facts(planned(repairs=Repairs()), "long_term", absent=())
    bare = Table(columns="l", blocks=(), notes=("Before.",), caption="", label="")
    assert with_remarks(bare, facts | {"remark": ""}).notes == ("Before.", facts["repaired"], facts["below_season"])
    [rows] = describe(desk.last)["recordSet"]
    assert "timellama repairs it: 1 cell filled (linear)." in rows["description"]


def test_repairs_are_not_part_of_the_prompt(desk):
    # The language model would read about cells that it does not see; `repairs` and quirks.json's notes report them.
    assert "epair" not in desk.last.prompt and desk.last.repairs == Repairs(filled_cells=1)
    assert any("Repaired" in note for note in desk.facts["notes"])


def test_a_parquet_file_and_a_long_file_are_described(desk):
    file = dataclasses.replace(desk.last.files[0], path="own/Own.parquet")
    long = Reading(id_column="shop", value_column="sold")
    description = describe(dataclasses.replace(desk.last, files=(file,), reading=long, repairs=Repairs()))
    assert description["distribution"][0]["encodingFormat"] == "application/vnd.apache.parquet"
    assert [field["name"] for field in description["recordSet"][0]["field"]] == ["date", "shop", "sold"]


def test_a_users_data_set_does_not_change_the_runs_on_published_ones(root, monkeypatch, desk):
    """The prompt `other` describes the next data set from another domain, but never a user's."""
    config = yaml.safe_load((root / "config/paper.yaml").read_text(encoding="utf-8"))
    known = load_catalogue(root / "config/datasets.yaml")
    before = sorted(make_matrix(config, root=root).every_run())
    with_own = {"Own": desk.last, **known, "Own2": dataclasses.replace(desk.last, name="Own2", domain="elsewhere")}
    monkeypatch.setattr(plan_module, "load_datasets", lambda _: with_own)
    assert sorted(make_matrix(config, root=root).every_run()) == before


def test_loading_a_users_data_sets_imports_no_array_libraries(desk):
    code = (
        "import sys; from pathlib import Path; from timellama.data.catalogue.datasets import load_catalogue; "
        f"assert 'Own' in load_catalogue(Path({str(desk.catalogue)!r})); "
        "print([m for m in ('numpy', 'pandas', 'torch', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
