"""The code digest sees code and nothing else, and only the code that a step uses."""

import pytest

from timellama import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of four modules: a imports b, b imports c in a function, d stands alone."""
    root = tmp_path / "timellama"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "a.py").write_text(
        '"""Doc."""\nfrom timellama.b import f\n\n\ndef g(x):\n    """Doc."""\n    return f(x) + 1\n'
    )
    (root / "b.py").write_text("def f(x):\n    from timellama import c\n    return c.K * x\n")
    (root / "c.py").write_text("K = 2\n")
    (root / "d.py").write_text("import json\n")
    monkeypatch.setattr(provenance, "ROOT", root)

    def digest(*modules):
        provenance._parsed.cache_clear()
        provenance.source_digest.cache_clear()
        return provenance.source_digest(*modules)

    yield root, digest
    provenance._parsed.cache_clear()
    provenance.source_digest.cache_clear()


def test_imports_are_followed_also_from_inside_functions(package):
    _, digest = package
    digest("timellama.a")
    assert provenance.modules_used(("timellama.a",)) == [f"timellama{m}" for m in ("", ".a", ".b", ".c")]


def test_comments_layout_and_docstrings_do_not_count(package):
    root, digest = package
    before = digest("timellama.a")
    (root / "a.py").write_text(
        '"""Other words."""\n# Why.\nfrom timellama.b import f\n\n'
        'def g(x):\n    """Other."""\n    return (f(x)\n            + 1)\n'
    )
    assert digest("timellama.a") == before


@pytest.mark.parametrize(("module", "text"), [("a", "from timellama.b import f\n"), ("c", "K = 3\n")])
def test_code_counts_also_where_it_is_only_imported(package, module, text):
    root, digest = package
    before = digest("timellama.a")
    (root / f"{module}.py").write_text(text)
    assert digest("timellama.a") != before


def test_other_modules_do_not_count(package):
    root, digest = package
    before = digest("timellama.a")
    (root / "d.py").write_text("import csv\n")
    assert digest("timellama.a") == before
    assert digest("timellama.d") != before


def test_a_module_that_is_not_there_is_an_error(package):
    _, digest = package
    with pytest.raises(ValueError, match=r"timellama\.nowhere"):
        digest("timellama.nowhere")


def test_the_model_belongs_to_its_own_runs_only():
    from timellama.build import METHODS, modules_of

    for method in METHODS:
        used = provenance.modules_used(("timellama.experiment", *modules_of(method)))
        assert ("timellama.model.time_llama" in used) == (method == "time-llama"), method
        assert "timellama.train" in used and "timellama.tables" not in used


def test_commit_and_versions_are_told():
    assert set(provenance.commit()) == {"git_commit", "git_dirty"}
    assert provenance.versions()["torch"]
    assert provenance.hardware()["cores"] >= 1
