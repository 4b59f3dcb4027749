"""Editing a definition changes the digests of exactly the steps whose numbers it can change."""

import ast
import shutil
from types import SimpleNamespace

import pytest

from tests.digest_caches import forget
from timellama.core import code_digest as subject
from timellama.core import code_files
from timellama.methods.registry import method_of
from timellama.results.digests import code_of_run, code_of_sweep

LONG = {"dlinear", "time-llama", "gpt4ts"}
SWEEPS = {"dlinear sweep", "gpt4ts sweep"}
REPORTS = {"tables"}


@pytest.fixture(scope="module")
def package(root, tmp_path_factory):
    """A copy of the package, and its parsed modules."""
    folder = tmp_path_factory.mktemp("copy") / "timellama"
    shutil.copytree(root / "timellama", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder, {}


@pytest.fixture
def copy(package, monkeypatch):
    """The copied folder, which is digested instead of the package, and a way to have a module reread."""
    folder, sources = package

    def source(module):
        if module not in sources:
            sources[module] = subject._parsed.__wrapped__(module, code_files.package())
        return sources[module]

    monkeypatch.setattr(code_files, "ROOT", folder)
    monkeypatch.setattr(subject, "_source", source)
    forget()
    yield folder, lambda module: sources.pop(f"timellama.{module}", None)
    forget()


def digests() -> dict[str, str]:
    forget()
    runs = {name: ("long-term", name) for name in LONG} | {"m4": ("short-term", "dlinear")}
    found = {}
    for name, (task, method) in runs.items():
        kind = method_of(method).prompt_kind(method_of(method).options())
        found[name] = code_of_run(SimpleNamespace(task=task, method=method, prompt_kind=kind))
    found |= {name: code_of_sweep(name.removesuffix(" sweep")) for name in SWEEPS}
    found["tables"] = subject.code_digest("timellama.reports.tables.of_experiments", "timellama.reports.render.markup")
    return found


@pytest.mark.parametrize(
    ("definition", "changed"),
    [
        ("cli.commands.plan:plan", set()),
        ("reports.render.markup:to_latex", REPORTS),
        ("reports.verify:verify", set()),
        ("cost.efficiency:timed", SWEEPS),
        ("cost.estimate:make_estimate", set()),
        ("results.aggregate:summarise", REPORTS),
        ("results.status:run_status", set()),
        ("training.steps.schedule:learning_rate", LONG | {"m4"}),
        ("training.scores.evaluation:evaluate", LONG),
        ("training.short_term:forecasts", {"m4"}),
        ("training.scores.m4_scores:owa", {"m4"} | REPORTS),
        ("experiments.matrix:make_matrix", set()),
        ("methods.time_llama.network:TimeLlama", {"time-llama"}),
        ("methods.time_llama.prompts:Descriptive", {"time-llama"}),
        ("methods.time_llama.prompts:Other", set()),
        ("methods.dlinear.network:DLinear", {"dlinear", "m4", "dlinear sweep"}),
        ("methods.patchtst.network:PatchTST", set()),
        ("backbones.blocks:load_backbone", {"time-llama", "gpt4ts", "gpt4ts sweep"}),
        ("backbones.gguf:gguf_weights", set()),
        ("data.windows:prepare", LONG),
        ("data.m4.windows:prepare_m4", {"m4"}),
        ("data.canonicalise:normalise", LONG | {"m4"}),
        ("data.fetch.synthetic:generate", set()),
        ("data.fetch.pypi:bring", set()),
        ("core.jobs.lock:locked", set()),
        ("core.provenance:hardware", set()),
    ],
)
def test_an_edit_changes_exactly_these_digests(copy, definition, changed):
    folder, read_again = copy
    module, name = definition.split(":")
    file = folder / f"{module.replace('.', '/')}.py"
    before, text = digests(), file.read_text(encoding="utf-8")
    [found] = [node for node in ast.parse(text).body if getattr(node, "name", None) == name]
    lines = text.splitlines(keepends=True)
    last = found.body[-1]
    lines.insert(last.lineno - 1, f"{' ' * last.col_offset}edited = 1\n")
    file.write_text("".join(lines), encoding="utf-8")
    read_again(module)
    after = digests()
    file.write_text(text, encoding="utf-8")
    read_again(module)
    assert {step for step in before if before[step] != after[step]} == changed
