"""`timellama data`: files are where the workflow expects them, digests are recomputed, a user's file can be added."""

import hashlib
import json
import math
import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml

from tests.refusal import refused, unnamed
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.catalogue.reading_choices import Duplicates, Fill
from timellama.data.series import load_series
from timellama.experiments.matrix import make_matrix


@pytest.fixture
def project(make_project, monkeypatch) -> Path:
    folder = make_project().folder
    monkeypatch.chdir(folder)
    monkeypatch.delenv("TIMELLAMA_MIRROR", raising=False)
    return folder


OWN = "config/local/datasets.yaml"


def shop(path: Path, rows: int = 400, change=lambda i, cells: cells) -> Path:
    start = datetime(2024, 1, 1)
    lines = ['when,sales,"sun, hours"']
    for i in range(rows):
        cells = [str(start + timedelta(hours=i)), f"{100 + 10 * math.sin(i / 4) + i % 7:.2f}", str(i % 13)]
        lines.append(",".join(change(i, cells)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def dry_run(python: Path, project: Path, target: str) -> str:
    command = [python, "-m", "snakemake", "-n", "-j1", target, "--configfile", "config/smoke.yaml"]
    given = os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=project, env=given, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_list_names_every_data_set_and_the_state_of_its_files(project, say):
    told = {each["name"]: each for each in json.loads(say("data", "list", "--json").stdout)}
    assert set(told) == set(load_catalogue(project / "config/datasets.yaml"))
    assert told["Synthetic"]["generated"] and not told["ETTh1"]["generated"]
    states = [told[name]["files"][0]["state"] for name in ("Synthetic", "ETTh1")]
    assert states == ["made here", "to be fetched"]
    assert "17420" in say("data", "list", "ETTh1").stdout


def test_the_workflow_fetches_nothing_that_was_fetched_before(project, say, preloaded_python):
    assert "rule fetch:" in dry_run(preloaded_python, project, "results/raw/synthetic/seed0.csv")
    [file] = json.loads(say("data", "fetch", "Synthetic", "--json").stdout)["files"]
    assert file["was"] == "fetched"
    assert "Nothing to be done" in dry_run(preloaded_python, project, "results/raw/synthetic/seed0.csv")
    raw = project / file["path"]
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    assert raw.samefile(project / "results/cache" / digest)
    [again] = json.loads(say("data", "fetch", "Synthetic", "--json").stdout)["files"]
    assert again["was"] == "here"


def test_the_data_of_a_configuration_are_fetched_from_a_mirror(project, say, shared, monkeypatch):
    monkeypatch.setenv("TIMELLAMA_MIRROR", str(shared / "data"))
    assert json.loads(say("data", "list", "ETTh1", "--json").stdout)[0]["files"][0]["state"] == "in a mirror"
    told = json.loads(say("data", "fetch", "--configfile", "config/cpu.yaml", "--json").stdout)
    assert {each["dataset"] for each in told["files"]} == {"ETTh1", "ETTm1", "Weather", "ILI", "M4-Weekly", "M4-Hourly"}
    count = json.loads(say("data", "verify", "--configfile", "config/cpu.yaml", "--json").stdout)["count"]
    assert count == {"ok": 16, "wrong": 0, "absent": 0}


def test_a_file_that_cannot_be_fetched_is_named_and_the_others_are_fetched(project, say):
    catalogue = project / "config/datasets.yaml"
    text = catalogue.read_text(encoding="utf-8")
    address = next(line for line in text.splitlines() if "ETT-small/ETTh1.csv" in line and "https" in line)
    catalogue.write_text(text.replace(address, "        source: synthetic:seed=7"), encoding="utf-8")
    done = say("data", "fetch", "ETTh1", "Synthetic", code=1)
    assert "could not fetch ETT-small/ETTh1.csv" in done.stderr and "seed0.csv" in done.stdout
    assert not unnamed(say("data", "fetch", code=2).stderr, "--configfile")
    assert not unnamed(say("data", "fetch", "ETTh9", code=2).stderr, "'ETTh9'", "ETTh2?")


def test_verify_names_a_changed_file(project, say):
    say("data", "fetch", "Synthetic")
    assert "2 right, 0 wrong" in say("data", "verify").stdout
    raw = project / "results/raw/synthetic/seed0.csv"
    raw.unlink()
    raw.write_text("date,V1\n", encoding="utf-8")
    done = say("data", "verify", "--json", code=1)
    wrong = [each for each in json.loads(done.stdout)["files"] if each["state"] == "wrong"]
    assert [each["path"] for each in wrong] == ["results/raw/synthetic/seed0.csv"]
    assert "it is fetched again" in say("data", "verify", code=1).stdout
    say("data", "fetch", "Synthetic")
    assert "2 right, 0 wrong" in say("data", "verify", "Synthetic").stdout
    assert json.loads(say("data", "verify", "ETTh1", "--json", code=1).stdout)["count"]["absent"] == 1


def test_a_users_file_is_added_planned_fetched_and_read(project, say):
    """The published catalogue stays unchanged, byte for byte."""
    before = (project / "config/datasets.yaml").read_text(encoding="utf-8")
    known = load_catalogue(project / "config/datasets.yaml")
    shop(project / "shop.csv")
    told = json.loads(
        say(
            "data", "add", "shop.csv", "--name", "Shop", "--context", 48, "--horizon", 12, "--domain", "sales", "--json"
        ).stdout
    )
    # 280, 40 and 80 target rows: 280 - 48 - 12 + 1, 40 - 12 + 1, 80 - 12 + 1.
    assert told["windows"] == {"train": 221, "validation": 29, "test": 69}
    assert (project / "config/datasets.yaml").read_text(encoding="utf-8") == before
    assert list(yaml.safe_load((project / OWN).read_text(encoding="utf-8"))["datasets"]) == ["Shop"]
    loaded = load_catalogue(project / "config/datasets.yaml")
    assert {name: loaded[name] for name in known} == known
    mine = loaded["Shop"]
    assert (mine.rows, mine.variates, mine.frequency, mine.season) == (400, 2, "h", 24)
    assert mine.columns == ("sales", "sun, hours") and mine.time_column == "when" and mine.domain == "sales"
    config = yaml.safe_load((project / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Shop": {"context": 48, "horizons": [12]}}, "methods": ["dlinear"]}
    matrix = make_matrix(config | {"experiments": {"long_term": section}}, root=project)
    assert {run.dataset for run in matrix.every_run().values()} == {"Shop"}
    say("data", "fetch", "Shop")
    normalise(mine, [project / "results/raw/own/Shop.csv"], project / "series.npz", project / "quirks.json")
    assert load_series(project / "series.npz").values[1, 1] == 1.0
    assert "{context}" in mine.prompt and "sun, hours" in mine.prompt


def test_a_second_entry_with_the_same_name_or_file_is_refused(project, say):
    shop(project / "shop.csv")
    small = ("--context", 48, "--horizon", 12)
    say("data", "add", "shop.csv", "--name", "Shop", *small)
    before = (project / OWN).read_bytes()
    assert not unnamed(say("data", "add", "shop.csv", "--name", "shop", *small, code=2).stderr, "'Shop'", OWN)
    assert not unnamed(say("data", "add", "shop.csv", "--name", "Other", *small, code=2).stderr, "shop.csv", "Shop")
    assert not unnamed(
        say("data", "add", "shop.csv", "--name", "etth1", *small, code=2).stderr, "ETTh1", "config/datasets.yaml"
    )
    assert (project / OWN).read_bytes() == before


def drop(column):
    return lambda i, cells: [*cells[:column], "", *cells[column + 1 :]] if i == 9 else cells


@pytest.mark.parametrize(
    ("change", "options", "named"),
    [
        (drop(1), (), ("line 11", "'sales'", "--fill")),
        (lambda i, cells: [cells[0], "inf", cells[2]] if i == 9 else cells, (), ("line 11", "'sales'", "'inf'")),
        (lambda i, cells: ["01/02/2024", *cells[1:]], (), ("01/02/2024", "--day-first", "--month-first")),
        (lambda i, cells: ["2023-01-01", *cells[1:]] if i == 9 else cells, (), ("line 11", "2023-01-01", "--sort")),
        (
            lambda i, cells: [cells[0], "-9999", cells[2]] if i == 9 else cells,
            (),
            ("sentinel", 1, "2024-01-01 09:00:00", "--accept-quirks"),
        ),
        (lambda i, cells: cells, ("--context", 300), ("--context", 300, "--horizon", "--split")),
        (lambda i, cells: cells, ("--time-column", "day"), ("'day'", "when")),
        (lambda i, cells: cells, ("--split", "0.5/0.5"), ("--split", "0.5/0.5")),
        (lambda i, cells: cells, ("--frequency", "D"), ("irregular", "--accept-quirks")),
        (lambda i, cells: cells, ("--name", "a/b"), ("name", "'a/b'")),
    ],
)
def test_an_unusable_file_is_refused_and_nothing_is_written(project, say, change, options, named):
    shop(project / "shop.csv", change=change)
    given = ["--name", "Shop", "--context", 48, "--horizon", 12, *options]
    assert not unnamed(say("data", "add", "shop.csv", *given, code=2).stderr, *named)
    assert not (project / OWN).exists()


def test_repairs_can_be_requested_on_the_command_line(project, say):
    def change(i, cells):
        day, hour = cells[0].split(" ")
        year, month, number = day.split("-")
        return [f"{number}/{month}/{year} {hour[:5]}", "" if i == 9 else cells[1], cells[2]]

    lines = shop(project / "shop.csv", change=change).read_text(encoding="utf-8").splitlines()
    rows = [f"{line},sunny" if number else f"{line},note" for number, line in enumerate(lines)]
    rows = [*rows[:50], *rows[52:100], rows[101], rows[100], *rows[101:]]
    (project / "shop.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    given = ("--name", "Shop", "--context", 48, "--horizon", 12, "--day-first", "--drop", "note", "--sort")
    given += ("--fill", "previous", "--duplicates", "mean")
    printed = say("data", "add", "shop.csv", *given).stdout
    assert "added to config/local/datasets.yaml" in printed and "left out: note" in printed
    assert "dates are day-first" in printed and "2 missing rows added, 5 cells filled (previous)" in printed
    mine = load_catalogue(project / "config/datasets.yaml")["Shop"]
    assert mine.reading.chosen == {
        "dates": "day-first",
        "drop": ["note"],
        "sort": True,
        "duplicates": "mean",
        "fill": "previous",
    }
    assert mine.repairs.counted == {"moved_rows": 1, "merged_rows": 1, "added_rows": 2, "filled_cells": 5}
    assert "Shop" in say("data", "list", "Shop").stdout
    assert not unnamed(
        say("data", "add", "shop.csv", "--name", "S", "--fill", "cubic", code=2).stderr, "--fill", "'cubic'", "'linear'"
    )


def test_git_ignores_the_local_catalogue(root):
    assert subprocess.run(["git", "check-ignore", "-q", OWN], cwd=root).returncode == 0


def test_oddities_are_declared_only_when_they_are_accepted(project, say):
    shop(project / "shop.csv", change=lambda i, cells: [cells[0], "-9999", cells[2]] if i in (9, 10) else cells)
    refusal = say("data", "add", "shop.csv", "--name", "Shop", "--context", 48, "--horizon", 12, code=2).stderr
    assert not unnamed(refusal, *get_args(Fill), *get_args(Duplicates)), "the choices of --fill and --duplicates"
    say("data", "add", "shop.csv", "--name", "Shop", "--context", 48, "--horizon", 12, "--accept-quirks")
    assert load_catalogue(project / "config/datasets.yaml")["Shop"].quirks.sentinel_cells == 2


def test_missing_values_can_be_kept_and_are_then_part_of_the_run(project, say):
    """Two empty cells and an absent row."""

    def change(i, cells):
        return [cells[0], "", cells[2]] if i in (9, 10) else cells

    lines = shop(project / "shop.csv", change=change).read_text(encoding="utf-8").splitlines()
    (project / "shop.csv").write_text("\n".join(lines[:300] + lines[301:]) + "\n", encoding="utf-8")
    given = ("data", "add", "shop.csv", "--name", "Shop", "--context", 48, "--horizon", 12)
    refusal = say(*given, "--missing", "mask", "--fill", "linear", code=2).stderr
    assert not unnamed(refusal, "shop.csv", "--fill", "--missing")
    told = "repaired: 1 missing row added, 4 missing cells masked (in no loss and no error)"
    assert told in say(*given, "--missing", "mask").stdout
    config = yaml.safe_load((project / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Shop": {"context": 48, "horizons": [12]}}, "methods": ["dlinear"]}
    runs = make_matrix(config | {"experiments": {"long_term": section}}, root=project).every_run().values()
    assert {run.grid for run in runs} == {"h"} and "masked_cells: 4" in (project / OWN).read_text(encoding="utf-8")


def test_a_dry_run_prints_the_entry_and_writes_nothing(project, say):
    shop(project / "shop.csv")
    given = ("--name", "Shop", "--context", 48, "--horizon", 12, "--no-pin", "--dry-run")
    printed = say("data", "add", "shop.csv", *given).stdout
    assert not (project / OWN).exists()
    entry = yaml.safe_load(printed.split("Shop: 400 rows of")[0])["Shop"]
    assert entry["files"] == [{"path": "own/Shop.csv", "source": "shop.csv"}]


@pytest.mark.parametrize(
    ("step", "rows", "frequency", "season"),
    [(timedelta(minutes=15), 400, "15min", 96), (timedelta(days=1), 400, "D", 7), (timedelta(days=7), 400, "7D", 52)],
)
def test_step_and_season_are_detected(project, step, rows, frequency, season):
    from timellama.data.add_file import inspect_file

    start = datetime(2020, 1, 1)
    lines = ["day,value", *(f"{start + i * step},{i}" for i in range(rows))]
    (project / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = inspect_file(project / "own.csv")
    assert (found.frequency, found.season, found.quirks) == (frequency, season, {})


@pytest.mark.parametrize(
    ("frequency", "season"), [("MS", 12), ("ME", 12), ("QS-OCT", 4), ("QE-DEC", 4), ("YS-JAN", 1), ("YE-DEC", 1)]
)
def test_steps_in_months_quarters_and_years_are_detected(project, frequency, season):
    from timellama.data.add_file import inspect_file

    days = pd.date_range("2000-01-01", periods=30, freq=frequency)
    lines = ["month,value", *(f"{day.date()},{number}" for number, day in enumerate(days))]
    (project / "own.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = inspect_file(project / "own.csv")
    assert (found.frequency, found.season, found.quirks) == (frequency.partition("-")[0], season, {})


def test_an_unknown_frequency_alias_is_refused(project):
    from timellama.data.add_file import inspect_file

    (project / "own.csv").write_text("day,value\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n", encoding="utf-8")
    with refused("--frequency", "'hourly'", "h", "15min"):
        inspect_file(project / "own.csv", frequency="hourly")


def test_help_shows_examples(say):
    for command in ("list", "fetch", "verify", "add"):
        assert f"timellama data {command}" in say("data", command, "--help").stdout
    assert "timellama data add" in say("data", "--help").stdout and "timellama doctor" in say("--help").stdout
