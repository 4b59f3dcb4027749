"""The code digest covers what a step computes and nothing else, wherever the code is and whatever it is called."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tests.digest_caches import forget
from tests.refusal import refused
from timellama.core import code_digest as subject
from timellama.core import code_files

A = '''"""Doc."""
from timellama.b import f
import numpy as np


def g(x: int) -> int:
    """Doc."""
    if x < 0:
        raise ValueError(f"x is {x}")
    return f(np.abs(x)) + 1


def unused():
    return 7
'''
B = """import logging

log = logging.getLogger(__name__)


def f(x):
    from timellama import c

    log.info("x is %s", x)
    return c.K * x


def h():
    return "timellama.d:D"
"""
C = "K = 2\nUNUSED = 3\n"
D = "import json\n\n\nclass D:\n    pass\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of four modules: a imports b, b imports c in a function, d is unrelated. Returns its folder."""
    root = tmp_path / "timellama"
    root.mkdir()
    for name, text in {"__init__": "", "a": A, "b": B, "c": C, "d": D}.items():
        (root / f"{name}.py").write_text(text)
    monkeypatch.setattr(code_files, "ROOT", root)
    forget()
    yield root
    forget()


def digest(*entries: str, without: tuple[str, ...] = ()) -> str:
    forget()
    return subject.code_digest(*entries, without=without)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_only_reachable_code_is_used(package):
    forget()
    assert subject.code_used("timellama.a:g") == ["timellama.a:g", "timellama.b:f", "timellama.c:K"]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("a", '"""Doc."""', '"""Other words."""'),
        ("a", "    return f(np.abs(x)) + 1", "    # Why.\n    return (f(np.abs(x))\n            + 1)"),
        ("a", "x: int) -> int", "x: float) -> float"),
        ("a", 'f"x is {x}"', 'f"x is {x}; it must not be negative"'),
        ("a", "import numpy as np", "import numpy as numpy"),
        ("a", "return 7", "return 8"),
        ("b", '"x is %s", x', '"x: %s", x'),
        ("b", '"timellama.d:D"', '"nothing"'),
        ("c", "UNUSED = 3", "UNUSED = 4"),
        ("d", "import json", "import csv"),
    ],
)
def test_edits_that_cannot_change_a_number_leave_the_digest_unchanged(package, module, old, new):
    before = digest("timellama.a:g")
    edit(package / f"{module}.py", old, new)
    if "numpy" in new:
        edit(package / "a.py", "np.abs", "numpy.abs")
    assert digest("timellama.a:g") == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("a", "+ 1", "+ 2"),
        ("a", "x < 0", "x < 1"),
        ("a", "ValueError", "KeyError"),
        ("a", "import numpy as np", "import torch as np"),
        ("a", "from timellama.b import f", "from timellama.b import h as f"),
        ("b", "c.K * x", "c.UNUSED * x"),
        ("c", "K = 2", "K = 3"),
        ("c", "K = 2", "K = 2\nK += 1"),
        ("b", "log = ", "import torch\ntorch.set_flush_denormal(True)\nlog = "),
    ],
)
def test_edits_that_can_change_a_number_change_the_digest(package, module, old, new):
    before = digest("timellama.a:g")
    edit(package / f"{module}.py", old, new)
    assert digest("timellama.a:g") != before


def test_the_whole_module_counts_if_it_is_the_entry(package):
    before = digest("timellama.a")
    edit(package / "a.py", "return 7", "return 8")
    assert digest("timellama.a") != before


def test_a_local_name_hides_that_of_the_module(package):
    (package / "d.py").write_text("def k():\n    return 1\n\n\ndef use(k):\n    return [k for k in k]\n")
    before = digest("timellama.d:use")
    edit(package / "d.py", "return 1", "return 2")
    assert digest("timellama.d:use") == before


def test_a_module_may_be_moved_and_renamed(package):
    before = digest("timellama.a:g", "timellama.b:h")
    (package / "room").mkdir()
    (package / "room/__init__.py").write_text('"""Room."""\n')
    for old, new in (("b", "room/bee"), ("c", "room/sea"), ("d", "room/dee")):
        (package / f"{old}.py").rename(package / f"{new}.py")
    edit(package / "a.py", "timellama.b", "timellama.room.bee")
    edit(package / "room/bee.py", "from timellama import c", "from timellama.room import sea")
    edit(package / "room/bee.py", "c.K", "sea.K")
    edit(package / "room/bee.py", "timellama.d:D", "timellama.room.dee:D")
    assert digest("timellama.a:g", "timellama.room.bee:h") == before


def test_a_definition_may_be_renamed(package):
    before = digest("timellama.a:g")
    edit(package / "b.py", "def f(", "def better(")
    edit(package / "a.py", "from timellama.b import f", "from timellama.b import better")
    edit(package / "a.py", "f(np.abs", "better(np.abs")
    edit(package / "a.py", "def g(", "def gee(")
    assert digest("timellama.a:gee") == before


def test_excluded_modules_do_not_count(package):
    left_out = {"without": ("timellama.c",)}
    before = digest("timellama.a:g", **left_out)
    edit(package / "c.py", "K = 2", "K = 3")
    assert digest("timellama.a:g", **left_out) == before


@pytest.mark.parametrize("entry", ["timellama.nowhere", "timellama.a:nothing", "nowhere_at_all:x"])
def test_an_entry_that_does_not_exist_is_refused(package, entry):
    with refused(entry.split(":")[0], error=ValueError):
        digest(entry)


@pytest.fixture
def visitor(tmp_path, monkeypatch):
    """An external package that is only a folder, without `__init__.py`."""
    (tmp_path / "visitor").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path / "visitor"
    forget()


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    ("line", "used"), [("from visitor.parts import K", "K"), ("from visitor import parts", "parts.K")]
)
def test_external_code_counts(visitor, bare, line, used):
    if not bare:
        (visitor / "__init__.py").write_text("")
    (visitor / "model.py").write_text(f"{line}\n\n\nclass Model:\n    k = {used}\n")
    (visitor / "parts.py").write_text("K = 1\nL = 1\n")
    before = digest("visitor.model:Model")
    edit(visitor / "parts.py", "L = 1", "L = 2")
    assert digest("visitor.model:Model") == before
    edit(visitor / "parts.py", "K = 1", "K = 2")
    assert digest("visitor.model:Model") != before


def test_modules_may_import_each_other(visitor):
    (visitor / "parts.py").write_text("K = 1\n\n\ndef f():\n    from visitor.model import Model\n    return Model.k\n")
    (visitor / "model.py").write_text("from visitor.parts import f\n\n\nclass Model:\n    k = 1\n    name = f.name\n")
    before = digest("visitor.model:Model")
    assert digest("visitor.parts:f") != before
    edit(visitor / "model.py", "k = 1", "k = 2")
    assert digest("visitor.model:Model") != before


@pytest.mark.parametrize(
    "line", ["from visitor.fast import K", "import visitor.fast as fast", "from visitor import fast"]
)
def test_a_compiled_module_counts_as_a_whole(visitor, line):
    compiled = visitor / f"fast{EXTENSION_SUFFIXES[0]}"
    compiled.write_bytes(b"one")
    (visitor / "model.py").write_text(f"{line}\n\n\nclass Model:\n    k = {line.split()[-1]}\n")
    before = digest("visitor.model:Model")
    compiled.write_bytes(b"two")
    assert digest("visitor.model:Model") != before


@pytest.mark.parametrize(
    ("body", "of_the_module"),
    [
        ("if x:\n        K = 1", False),
        ("for K in x:\n        pass", False),
        ("with x as K:\n        pass", False),
        ("try:\n        x()\n    except OSError as K:\n        pass", False),
        ("while x:\n        if x:\n            (K, x) = x", False),
        ("[x for y in x if (K := y)]", False),
        ("def K():\n        pass", False),
        ("pass", True),
        ("def inner():\n        K = 1", True),
        ("class Inner:\n        K = 1", True),
        ("[K for K in x]", True),
    ],
)
def test_a_name_that_a_function_binds_is_not_the_modules(package, body, of_the_module):
    (package / "e.py").write_text(f"K = 2\n\n\ndef f(x):\n    {body}\n    return K\n")
    forget()
    assert subject.code_used("timellama.e:f") == ["timellama.e:K"] * of_the_module + ["timellama.e:f"]
