"""`timellama croissant`: all data sets or the named ones, including the user's own, without their data."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.refusal import unnamed
from timellama.data.catalogue.datasets import load_catalogue


@pytest.fixture
def project(root, tmp_path, monkeypatch) -> Path:
    (tmp_path / "config").mkdir()
    for name in ("Snakefile", "config/datasets.yaml"):
        shutil.copy2(root / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shop(path: Path) -> Path:
    rows = [f"2024-01-{day:02},{day * 1.5},{day % 3}" for day in range(1, 31)]
    path.write_text("\n".join(['day,sales,"sun, hours (h)"', *rows]) + "\n", encoding="utf-8")
    return path


def test_all_or_the_named_data_sets_are_described_without_data(project, say):
    written = say("croissant").stdout.split()
    names = list(load_catalogue(project / "config/datasets.yaml"))
    assert written == [f"build/croissant/{name}.json" for name in names]
    assert [json.loads(Path(path).read_text(encoding="utf-8"))["name"] for path in written] == names
    assert say("croissant", "ETTh1", "Weather", "--folder", "some").stdout.split() == [
        "some/ETTh1.json",
        "some/Weather.json",
    ]
    assert Path("some/ETTh1.json").read_bytes() == Path("build/croissant/ETTh1.json").read_bytes()
    assert not (project / "results").exists()
    assert not unnamed(say("croissant", "ETTh9", code=2).stderr, "'ETTh9'", "ETTh2?")
    assert "timellama croissant ETTh1" in say("croissant", "--help").stdout


@pytest.mark.parametrize("pin", [True, False])
def test_a_file_that_the_user_added_is_described(project, say, pin):
    csv = shop(project / "shop.csv")
    sizes = ("--context", 4, "--horizon", 2, "--licence", "CC BY-SA 4.0, the shop")
    say("data", "add", "shop.csv", "--name", "Shop", *sizes, *(() if pin else ("--no-pin",)))
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()
    csv.unlink()
    say("croissant", "Shop")
    text = Path("build/croissant/Shop.json").read_text(encoding="utf-8")
    description = json.loads(text)
    [file] = description["distribution"]
    assert file["contentUrl"] == "own/Shop.csv" and "url" not in description and str(project) not in text
    assert description["license"]["url"] == "https://creativecommons.org/licenses/by-sa/4.0/"
    [rows] = description["recordSet"]
    assert [(field["name"], field["dataType"]) for field in rows["field"]] == [
        ("day", "sc:DateTime"),
        ("sales", "sc:Float"),
        ("sun, hours (h)", "sc:Float"),
    ]
    assert rows["field"][2]["@id"] == "rows/sun%2C%20hours%20%28h%29"
    if pin:
        assert file["sha256"] == digest and "isLiveDataset" not in description
    else:
        assert "sha256" not in file and description["isLiveDataset"] is True
