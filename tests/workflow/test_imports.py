"""Which scripts of the workflow may load torch: a table or a download that waits for it wastes seconds per job."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from timellama.core.code_files import module_file

HEAVY = ("torch", "transformers", "tokenizers", "safetensors", "gguf", "peft")
NEEDS_TORCH = {"train.py", "calibrate.py"}  # those that compute with a model in their own process
LOADS_IT_LATE = {"backbone.py"}  # needs torch, but not before its files are fetched
DRAWS = {"figure.py"}


@pytest.fixture(scope="module")
def scripts(root) -> dict[str, Path]:
    found = {path.name: path for path in sorted((root / "workflow/scripts").glob("*.py"))}
    assert NEEDS_TORCH | LOADS_IT_LATE | DRAWS | {"fetch.py", "normalise.py", "table.py"} <= set(found)
    return found


def imported(path: Path) -> list[str]:
    """The package's modules that a script imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "timellama":
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [module for module in [node.module, *inner] if module_file(module)]
    assert names, f"{path} imports nothing of the package"
    return names


def libraries(module: str) -> set[str]:
    """The top-level packages that a module's code imports anywhere, including inside a function."""
    tree = ast.parse(module_file(module).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


def loaded(root: Path, *scripts: Path) -> set[str]:
    """The top-level packages in memory after a new interpreter has made the scripts' imports."""
    names = {name for script in scripts for name in imported(script)}
    code = "\n".join([*(f"import {name}" for name in sorted(names)), "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, text=True, capture_output=True)
    modules = {name.split(".")[0] for name in done.stdout.split()}
    assert "timellama" in modules
    return modules


def test_only_the_named_scripts_load_torch(root, scripts):
    for name in NEEDS_TORCH:
        modules = loaded(root, scripts[name])
        assert "torch" in modules, f"{name} no longer loads torch: take it off the list"
        assert "matplotlib" not in modules, name
    for name in DRAWS:
        modules = loaded(root, scripts[name])
        assert "matplotlib" in modules and not modules & set(HEAVY), name
    # If all of them together do not load a library, none of them does.
    others = [script for name, script in scripts.items() if name not in NEEDS_TORCH | DRAWS]
    assert not loaded(root, *others) & {*HEAVY, "matplotlib"}


def test_no_other_script_loads_torch_later(scripts):
    """Includes imports inside functions, wherever in the package the script's calls may lead."""
    graph = grimp.build_graph("timellama", exclude_type_checking_imports=True)
    for name, script in scripts.items():
        used = set(imported(script)).union(*(graph.find_upstream_modules(module) for module in imported(script)))
        users = {module for module in used if libraries(module) & set(HEAVY)}
        assert bool(users) == (name in NEEDS_TORCH | LOADS_IT_LATE), (name, users)
