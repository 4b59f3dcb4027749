"""Shared by the tests with invalid input: a folder whose surroundings must not change."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest


def contents(folder: Path, *, without: Path) -> dict[str, str]:
    """Maps every file, link and folder below `folder`, except those in `without`, to the digest of its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path != without and not path.is_relative_to(without):
            held = path.read_bytes() if path.is_file() else b""
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(held).hexdigest()
    return found


@pytest.fixture
def inside(tmp_path, monkeypatch) -> Iterator[Path]:
    """The folder to work in, deep within others; at the end of the test, nothing outside it may have changed."""
    folder = tmp_path / "around/project/inner"
    folder.mkdir(parents=True)
    for place in (tmp_path, tmp_path / "around", tmp_path / "around/project"):
        (place / "precious.csv").write_text(f"of {place.name}\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    before = contents(tmp_path, without=folder)
    assert len(before) >= 5
    yield folder
    assert contents(tmp_path, without=folder) == before
