"""A digest is kept from one process to the next until the package changes."""

import json
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
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


def kept_file() -> Path:
    return code_files._keeping()


def test_the_next_process_parses_nothing(package, parsed):
    first = in_a_new_process(ENTRY)
    assert len(parsed) == 2 and kept_file().is_relative_to(package)
    parsed.clear()
    assert in_a_new_process(ENTRY) == first and not parsed


def test_each_request_is_kept_separately(package, parsed):
    requests = [((ENTRY,), ()), (("timellama.room.b",), ()), ((ENTRY,), ("timellama.room.b",)), ((ENTRY, ENTRY), ())]
    computed = {request: in_a_new_process(*request[0], without=request[1]) for request in requests}
    assert len(set(computed.values())) == 3  # the last has the digest of the first
    parsed.clear()
    assert {request: in_a_new_process(*request[0], without=request[1]) for request in requests} == computed
    assert not parsed


def same_length(file: Path, text: str) -> None:
    """Replace the text by one of the same length, and keep the time."""
    about = file.stat()
    file.write_text(text)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)


@pytest.mark.parametrize(
    "change",
    [
        lambda package: same_length(package / "room/b.py", "K = 3\n"),
        lambda package: (package / "a.py").write_text("def f(x):\n    return x\n"),
        lambda package: (package / "room/b.py").rename(package / "room/c.py"),
        lambda package: (package / "room.py").write_text(""),  # hides the folder
        lambda package: (package / "room/new.py").write_text(""),
        lambda package: (package / "room/new").mkdir(),
        lambda package: (package / f"room/new{EXTENSION_SUFFIXES[0]}").write_bytes(b"one"),
    ],
)
def test_any_change_to_the_package_makes_kept_digests_void(package, change):
    in_a_new_process(ENTRY)
    forget()
    assert code_files.kept_digest((ENTRY,), ())
    change(package)
    forget()
    assert code_files.kept_digest((ENTRY,), ()) is None


@pytest.mark.parametrize("name", ["ALGORITHM", "PYTHON"])
def test_digests_of_another_algorithm_or_python_are_not_used(package, monkeypatch, name):
    in_a_new_process(ENTRY)
    monkeypatch.setattr(code_files, name, ["another"])
    forget()
    assert code_files.kept_digest((ENTRY,), ()) is None


def test_the_kept_digest_is_of_the_text_that_was_read_first(package):
    """An edit between reading the package and keeping a digest changes neither the digest nor its state."""
    before = in_a_new_process(ENTRY)
    kept_file().unlink()
    forget()
    assert code_files.module_file("timellama.a")
    old = (package / "room/b.py").read_text()
    (package / "room/b.py").write_text("K = 3\n")
    assert code_digest(ENTRY) == before
    assert in_a_new_process(ENTRY) != before
    (package / "room/b.py").write_text(old)
    assert in_a_new_process(ENTRY) == before


def test_modules_of_an_earlier_reading_are_parsed_again(package):
    before = in_a_new_process(ENTRY)
    (package / "room/b.py").write_text("K = 3\n")
    forget()
    edited = code_digest(ENTRY)
    kept_file().unlink()
    assert edited == in_a_new_process(ENTRY) != before


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"package": 1}', '{"package": null, "digests": 3}', b"\xff"])
def test_a_damaged_file_is_replaced(package, text):
    first = in_a_new_process(ENTRY)
    whole = kept_file().read_bytes()
    kept_file().write_bytes(text if isinstance(text, bytes) else text.encode())
    assert in_a_new_process(ENTRY) == first
    assert kept_file().read_bytes() == whole


@pytest.mark.parametrize("digests", [3, [], [[1, 2]], {"other": 3}, {"other": "x"}, {"other": "A" * 64}])
def test_damaged_digests_are_replaced(package, digests):
    first = in_a_new_process(ENTRY)
    whole = kept_file().read_bytes()
    kept_file().write_text(json.dumps(json.loads(whole) | {"digests": digests}))
    assert in_a_new_process(ENTRY) == first
    assert kept_file().read_bytes() == whole


def test_without_a_writable_place_digests_are_computed(package, monkeypatch):
    def refuse(*paths):
        raise PermissionError(paths[0])

    monkeypatch.setattr(code_files, "staged", refuse)
    first = in_a_new_process(ENTRY)
    assert not kept_file().exists()
    monkeypatch.setattr(code_files, "staged", staged)
    assert in_a_new_process(ENTRY) == first and kept_file().exists()
    monkeypatch.setattr(sys.implementation, "cache_tag", None)  # a Python that keeps no bytecode
    assert in_a_new_process(ENTRY) == first


def test_files_that_are_no_modules_are_not_read(package):
    before = in_a_new_process(ENTRY)
    (package / ".#a.py").symlink_to("nobody@nowhere.1")  # an editor's lock
    (package / "gone.py").symlink_to("nowhere.py")
    (package / "room/up").symlink_to(package)
    (package / "room/notes.txt").write_text("K = 3\n")
    forget()
    assert code_files.kept_digest((ENTRY,), ()) == before


def test_a_linked_folder_counts(package, tmp_path):
    (package / "room").rename(tmp_path / "elsewhere")
    (package / "room").symlink_to(tmp_path / "elsewhere")
    before = in_a_new_process(ENTRY)
    (tmp_path / "elsewhere/b.py").write_text("K = 3\n")
    assert in_a_new_process(ENTRY) != before


@pytest.mark.parametrize("requested", [(("visitor:g", ENTRY), ()), ((ENTRY,), ("visitor:g",))])
def test_digests_of_code_outside_the_package_are_not_kept(package, tmp_path, monkeypatch, requested):
    entries, without = requested
    (tmp_path / "visitor.py").write_text("from timellama.a import f\n\n\ndef g(x):\n    return f(x)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = in_a_new_process(*entries, without=without)
    assert not kept_file().exists()
    (tmp_path / "visitor.py").write_text("def g(x):\n    return x\n")
    assert in_a_new_process(*entries, without=without) != before
