"""A digest outlives its process, and no change of the package does."""

import json
import os
from pathlib import Path

import pytest

from tests.digest_caches import forget
from timellama.core import code_digest as code_digest_module
from timellama.core import code_files
from timellama.core.code_digest import code_digest
from timellama.core.files import staged

ENTRY = "timellama.a:f"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules, `timellama.a:f` and `timellama.room.b:K`. Returns its folder."""
    root = tmp_path / "timellama"
    (root / "room").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "a.py").write_text("from timellama.room.b import K\n\n\ndef f(x):\n    return K * x\n")
    (root / "room/b.py").write_text("K = 2\n")
    monkeypatch.setattr(code_files, "ROOT", root)
    forget()
    yield root
    forget()


@pytest.fixture
def parsed(monkeypatch):
    """The files whose text was requested since it was last cleared."""
    files, text_of = [], code_digest_module.text_of
    monkeypatch.setattr(code_digest_module, "text_of", lambda file: files.append(file) or text_of(file))
    return files


def in_a_new_process(*entries: str, without: tuple[str, ...] = ()) -> str:
    forget()
    return code_digest(*entries, without=without)


def kept_file(package: Path) -> Path:
    [file] = (package / "__pycache__").iterdir()
    return file


def test_the_next_process_parses_nothing(package, parsed):
    first = in_a_new_process(ENTRY)
    assert len(parsed) == 2
    parsed.clear()
    assert in_a_new_process(ENTRY) == first and not parsed


def test_each_request_is_kept_for_itself(package, parsed):
    requests = [((ENTRY,), ()), (("timellama.room.b",), ()), ((ENTRY,), ("timellama.room.b",)), ((ENTRY, ENTRY), ())]
    computed = {request: in_a_new_process(*request[0], without=request[1]) for request in requests}
    assert len(set(computed.values())) == 3  # the last asks for nothing more than the first
    parsed.clear()
    assert {request: in_a_new_process(*request[0], without=request[1]) for request in requests} == computed
    assert not parsed


@pytest.mark.parametrize(
    "change",
    [
        lambda package: (package / "room/b.py").write_text("K = 3\n"),
        lambda package: (package / "a.py").write_text("def f(x):\n    return x\n"),
        lambda package: (package / "room/b.py").rename(package / "room/c.py"),
        lambda package: (package / "room.py").write_text(""),  # hides the folder
        lambda package: (package / "room/new.py").write_text(""),
        lambda package: (package / "room/new").mkdir(),
        lambda package: (package / f"room/new{code_files.EXTENSION_SUFFIXES[0]}").write_bytes(b"one"),
    ],
)
def test_any_change_of_the_package_makes_kept_digests_void(package, parsed, change):
    in_a_new_process(ENTRY)
    stamp = (package / "a.py").stat()
    change(package)
    os.utime(package / "a.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the time says nothing
    forget()
    assert code_files.kept_digest((ENTRY,), ()) is None


def test_what_is_kept_is_the_digest_of_what_was_read_first(package):
    """An edit between reading a file and keeping the digest changes neither."""
    before = in_a_new_process(ENTRY)
    kept_file(package).unlink()
    forget()
    assert code_files.module_file("timellama.a")
    old = (package / "room/b.py").read_text()
    (package / "room/b.py").write_text("K = 3\n")
    assert code_digest(ENTRY) == before
    assert in_a_new_process(ENTRY) != before
    (package / "room/b.py").write_text(old)
    assert in_a_new_process(ENTRY) == before


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"package": 1}', '{"package": null, "digests": 3}', b"\xff"])
def test_a_damaged_file_is_replaced(package, text):
    first = in_a_new_process(ENTRY)
    file = kept_file(package)
    whole = file.read_bytes()
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert in_a_new_process(ENTRY) == first
    assert file.read_bytes() == whole


def test_a_damaged_part_is_replaced(package):
    first = in_a_new_process(ENTRY)
    file = kept_file(package)
    for digests in (3, [], {"other": "x"}):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"digests": digests}))
        assert in_a_new_process(ENTRY) == first


def test_a_folder_that_cannot_be_written_to_is_left(package, monkeypatch):
    def refuse(*paths):
        raise PermissionError(paths[0])

    monkeypatch.setattr(code_files, "staged", refuse)
    first = in_a_new_process(ENTRY)
    assert not (package / "__pycache__").exists()
    monkeypatch.setattr(code_files, "staged", staged)
    assert in_a_new_process(ENTRY) == first and kept_file(package)


def test_code_from_outside_the_package_is_read_each_time(package, tmp_path, monkeypatch):
    (tmp_path / "visitor.py").write_text("from timellama.a import f\n\n\ndef g(x):\n    return f(x)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = in_a_new_process("visitor:g", ENTRY)
    assert not (package / "__pycache__").exists()
    (tmp_path / "visitor.py").write_text("def g(x):\n    return x\n")
    assert in_a_new_process("visitor:g", ENTRY) != before
