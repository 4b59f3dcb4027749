"""A file becomes a folder with a configuration, and the user's edits of it are kept."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.refusal import refused
from timellama.data.files.detect import Asked
from timellama.data.splits import Split
from timellama.own_data import bench as bench_module
from timellama.own_data.bench import Wish, name_of, prepare
from timellama.own_data.budget import Budget
from timellama.own_data.plan import context_of

ROWS = 400


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Nothing is timed, and the cache is the test's own."""
    made = []

    def fitted(plan, *, seconds, most, results, on_progress):
        made.append(plan(most))
        return Budget(series=min(4096, most), seconds=seconds, at_once=1)

    monkeypatch.setattr(bench_module, "fitted", fitted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "shop.csv")


def write(path, rows: int = ROWS, last: float = 0.0):
    time = pd.date_range("2024-01-01", periods=rows, freq="D")
    values = np.random.default_rng(0).normal(size=(rows, 2))
    values[-1, 0] += last
    pd.DataFrame({"date": time, "a": values[:, 0], "b": values[:, 1]}).to_csv(path, index=False)
    return path


def made(file, tmp_path, asked: Asked | None = None, name: str | None = None, **wish):
    wish = Wish(**{"horizon": 7, "methods": ("dlinear",)} | wish)
    folder = tmp_path / "bench"
    return prepare(
        file, wish, asked=asked or Asked(), folder=folder, name=name or name_of(file), on_progress=lambda text: None
    )


def test_the_configuration_has_the_sizes_and_the_floors_as_well_as_the_methods(file, tmp_path):
    bench = made(file, tmp_path, seeds=(0, 1))
    runs = bench.matrix().experiment("long_term")
    assert {(run.dataset, run.context, run.horizon) for run in runs} == {("shop", 70, 7)}  # a quarter of 280 rows
    assert {run.variant for run in runs} >= {"dlinear", "seasonal-naive"}
    assert {run.seed for run in runs if run.variant == "dlinear"} == {0, 1}
    assert {run.training.max_series for run in runs if run.training} == {4096}


def test_the_published_look_back_is_used_if_there_are_enough_rows():
    split = Split(rule="ratio", train=0.7, validation=0.1, test=0.2)
    assert context_of(split, rows=17420) == 512
    assert context_of(split, rows=1000) == 175


def test_the_same_call_keeps_the_configuration_and_the_users_edit(file, tmp_path, quick):
    first = made(file, tmp_path)
    assert not first.edited and len(quick) == 1
    assert made(file, tmp_path).budget is None and len(quick) == 1
    text = first.configfile.read_text(encoding="utf-8").replace("[dlinear]", "[rlinear]")
    first.configfile.write_text(text, encoding="utf-8")
    again = made(file, tmp_path)
    assert again.edited and first.configfile.read_text(encoding="utf-8") == text
    assert "rlinear" in {run.variant for run in again.matrix().experiment("long_term")}
    with refused(first.configfile, "--folder"):
        made(file, tmp_path, horizon=14)
    assert first.configfile.read_text(encoding="utf-8") == text


def test_another_request_or_a_longer_file_rewrites_the_configuration(file, tmp_path):
    first = made(file, tmp_path)
    digests = {run.data_sha256 for run in first.matrix().experiment("long_term")}
    assert {run.horizon for run in made(file, tmp_path, horizon=14).matrix().experiment("long_term")} == {14}
    write(file, rows=ROWS + 5)
    longer = made(file, tmp_path)
    assert longer.matrix().datasets["shop"].rows == ROWS + 5
    assert digests.isdisjoint({run.data_sha256 for run in longer.matrix().experiment("long_term")})


def test_a_bench_that_was_interrupted_before_its_configuration_starts_again(file, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(bench_module, "fitted", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made(file, tmp_path)
    assert not made(file, tmp_path).edited


def test_the_name_of_a_published_data_set_is_avoided(tmp_path):
    file = write(tmp_path / "ETTh1.csv")
    assert made(file, tmp_path).dataset == "ETTh1-own"
    assert name_of(tmp_path / "my sales (2024).csv.gz") == "my-sales-2024"
    assert name_of(tmp_path / "sales.2024.csv") == "sales-2024"


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"methods": ("dlinar",)}, ("method", "'dlinar'", "dlinear?", "patchtst")),
        ({"horizon": 300}, (400, "0.7/0.1/0.2", "--context", "--horizon", 300, "--split")),
        ({"context": 390}, (400, "0.7/0.1/0.2", "--context", 390, "--horizon", "--split")),
    ],
)
def test_an_impossible_request_is_refused_and_nothing_is_written(file, tmp_path, wish, named):
    with refused(*named):
        made(file, tmp_path, **wish)
    assert not (tmp_path / "bench").exists()


@pytest.mark.parametrize("name", ["2024", "on", "null"])
def test_a_name_that_yaml_would_read_as_another_type_stays_text(tmp_path, name):
    assert {
        run.dataset for run in made(write(tmp_path / f"{name}.csv"), tmp_path).matrix().experiment("long_term")
    } == {name}


def test_a_folder_with_a_users_own_catalogue_is_refused_and_left_alone(file, tmp_path):
    own = tmp_path / "bench/config/local/datasets.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("datasets: {}\n", encoding="utf-8")
    with refused(tmp_path / "bench", "--folder"):
        made(file, tmp_path)
    assert own.read_text(encoding="utf-8") == "datasets: {}\n"


def test_the_same_data_under_another_name_are_another_bench(file, tmp_path):
    made(file, tmp_path)
    again = made(file, tmp_path, name="other")
    assert {run.dataset for run in again.matrix().experiment("long_term")} == {"other"} == {again.dataset}


def test_a_deleted_cache_is_recreated(file, tmp_path):
    made(file, tmp_path)
    shutil.rmtree(tmp_path / "cache")
    assert made(file, tmp_path, horizon=9).results.joinpath("cache").is_dir()


def test_a_gap_is_refused_with_the_possible_repairs_and_a_repair_is_reported(tmp_path):
    file = write(tmp_path / "gap.csv")
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:50] + lines[52:]) + "\n", encoding="utf-8")
    with refused(
        file, "2024-02-21 00:00:00", "--fill linear", "--missing mask", "--duplicates", "--zone", "--accept-quirks"
    ):
        made(file, tmp_path)
    bench = made(file, tmp_path, asked=Asked(fill="linear"))
    assert any("2 missing rows added" in line for line in bench.told)
    entry = yaml.safe_load((tmp_path / "bench/config/local/datasets.yaml").read_text(encoding="utf-8"))
    assert entry["datasets"]["gap"]["repairs"]["added_rows"] == 2
