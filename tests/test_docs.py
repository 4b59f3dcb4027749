"""README.md and docs/: what they name exists, what they list is complete, and the site has no broken link."""

import ast
import dataclasses
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from typer.main import get_command

from docs.kept_numbers import NO_BREAK, by_seed, spread
from tests.kept import kept_runs
from timellama.cli.main import app
from timellama.experiments.run import Training
from timellama.methods.time_llama import TimeLlamaOptions

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
# Code spans that look like a path of the project; one with a placeholder or a star is not a path.
PATH = re.compile(r"`((?:timellama|config|docs|tests|workflow|benchmarks)/[\w./-]*)`")
# docs/adding.md, and what `timellama data add` writes
MADE_BY_THE_EXAMPLE = {
    *(f"config/{name}.yaml" for name in ("own", "nlinear", "prompts", "nixtla", "chronos", "statistical")),
    "config/local/datasets.yaml",
}
OPEN = re.compile(r"\bopen\b|our choice|none in the paper", flags=re.IGNORECASE)
OF_THE_PAPER = re.compile(r"\b(table|eq\.|section|figure) ?\d|^the paper")


@pytest.fixture(scope="module")
def pages(root: Path) -> dict[str, str]:
    """The text of README.md and of every page, by file name."""
    found = {path.name: path.read_text(encoding="utf-8") for path in [root / "README.md", *root.glob("docs/*.md")]}
    assert {"README.md", "index.md", "method.md", "protocol.md", "commands.md", "adding.md"} <= set(found)
    return found


def defined(path: Path) -> set[str]:
    """Functions, classes and methods (`Class.method`) of a module."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names


def test_paths_that_the_pages_name_exist(root, pages):
    named = {(page, path) for page, text in pages.items() for path in PATH.findall(text)}
    assert len(named) > 60
    absent = [(page, path) for page, path in named if path not in MADE_BY_THE_EXAMPLE and not (root / path).exists()]
    assert not absent


def test_code_that_the_pages_name_exists(root, pages):
    named = [
        (page, name, path)
        for page, text in pages.items()
        for name, path in re.findall(r"`([A-Za-z_][\w.]*)`\s+in\s+`(timellama/[\w/]+\.py)`", text)
    ]
    assert len(named) > 25
    assert not [each for each in named if each[1] not in defined(root / each[2])]


def test_every_equation_of_the_paper_has_its_code(pages):
    covered = set()
    sections = re.split(r"^## ", pages["method.md"], flags=re.MULTILINE)
    for section in sections:
        title = section.split("\n")[0]
        found = re.match(r"Equations? (\d+)(?: to (\d+))?:", title)
        if found:
            covered |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
            assert re.search(r"` in\s+`timellama/", section), f"no code is named under {title!r}"
    assert covered == set(range(1, 12))


def open_rows(text: str) -> list[list[str]]:
    """The cells of the page's first table, of open questions: question, paper, option, default, why."""
    text = text.split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.split("\n") if line.startswith("|")]
    assert len(rows) > 20 and all(len(row) == 5 for row in rows)
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("kind", [TimeLlamaOptions, Training])
def test_every_setting_is_from_the_paper_or_an_open_question(root, pages, kind):
    write = script(root, "write_configuration")
    asked = {name for row in open_rows(pages["open_questions.md"]) for name in re.findall(r"`(\w+)`", row[2])}
    notes = write._notes(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    assert len(names) > 10
    for name in names:
        note = notes.get(name, "")
        if OPEN.search(note):
            assert name in asked, f"{name}: its comment says that it is open; docs/open_questions.md lacks it"
        assert name in asked or OF_THE_PAPER.search(note), f"{name} is neither from the paper nor an open question"


def test_options_choices_and_defaults_of_the_open_questions_match_the_code(root, pages):
    defaults = {f.name: f.default for kind in (TimeLlamaOptions, Training) for f in dataclasses.fields(kind)}
    schema = json.loads((root / "config/schema/methods.json").read_text(encoding="utf-8"))["$defs"]
    rules = {**schema["Training"]["properties"], **schema["TimeLlamaOptions"]["properties"]}
    config = (root / "config/schema/config.json").read_text(encoding="utf-8")
    checked = 0
    for question, _, options, default, _ in open_rows(pages["open_questions.md"]):
        parts = [part for part in options.split(";") if re.match(r"\s*`\w+`", part)]
        for part in parts:
            for name in re.findall(r"`(\w+)`", part.split(":")[0]):
                assert name in defaults or f'"{name}":' in config, f"{question}: there is no option {name!r}"
        listed = re.match(r"`(\w+)`: (.*)", parts[0]) if parts else None
        if listed:
            choices = re.findall(r"`([\w-]+)`", listed[2])
            rule = rules[listed[1]]
            known = set(rule["enum"] if "enum" in rule else rule["anyOf"][0]["enum"])
            assert set(choices) <= known, question
            assert len(choices) == 1 or set(choices) == known, question
        if parts and parts[0].count("`") == 2 and parts[0].strip("` ") in defaults:
            value = defaults[parts[0].strip("` ")]
            assert default.split(",")[0].split(" and ")[0].strip("`") == ("none" if value is None else str(value)), (
                question
            )
            checked += 1
        elif listed and len(choices) > 1:
            assert f"`{defaults[listed[1]]}`" in default, question
            checked += 1
    assert checked > 10


def script(root: Path, name: str) -> ModuleType:
    """A module of docs/."""
    spec = importlib.util.spec_from_file_location(name, root / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_on_configuration_and_the_schemas_are_what_their_script_writes(root, pages):
    made = script(root, "write_configuration").files()
    differing = [str(path) for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert not differing, "run `make schemas` and commit what it writes"
    assert {path for path in made if path.suffix == ".json"} == set(root.glob("config/schema/*"))
    assert "`gate_gradient`" in pages["configuration.md"] and "**`seeds`**" in pages["configuration.md"]


def told(pages: dict[str, str], program: str) -> list[tuple[str, list[str]]]:
    """(page, words) of every command of that program that a page shows."""
    found = []
    for page, text in pages.items():
        for language, body in FENCE.findall(text):
            for line in body.split("\n"):
                words = line.removeprefix("$ ") if language in ("console", "sh") else ""
                if line.startswith("$ ") or (language == "sh" and line):
                    words = re.sub(r"^(\w+=\S+ )+", "", words)
                    found += [(page, shlex.split(words, comments=True))] if words.startswith(f"{program} ") else []
    return found


def test_commands_of_timellama_exist_and_take_these_options(pages):
    commands = get_command(app).commands
    shown = told(pages, "timellama")
    assert len(shown) > 6
    for page, (_, name, *words) in shown:
        if name == "--help":
            continue
        assert name in commands, f"{page}: there is no command {name!r}"
        command = commands[name]
        if hasattr(command, "commands"):  # a group: its command is the next word
            name, *words = words
            assert name in command.commands, f"{page}: there is no command {name!r}"
            command = command.commands[name]
        takes = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= takes, f"{page}: timellama {name}"
        command.make_context(name, list(words))


def test_every_command_is_shown_with_what_it_prints(pages):
    shown = {words[1] for page, words in told({"commands.md": pages["commands.md"]}, "timellama")}
    assert set(get_command(app).commands) <= shown


def test_make_targets_exist(root, pages):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    shown = told(pages, "make")
    assert len(shown) > 6
    for page, (_, target, *settings) in shown:
        assert target in targets or target.startswith(("reports/", "results/")), f"{page}: make {target}"
        assert {setting.split("=")[0] for setting in settings} <= {"CONFIG", "JOBS", "PYTHON"}, page
    listed = FENCE.search(pages["commands.md"])[2]
    assert targets == set(re.findall(r"^([a-z-]+)  +\S", listed, flags=re.MULTILINE)), "commands.md: `make help`"


def test_snakemake_takes_the_options_shown(root, pages):
    from snakemake.cli import get_argument_parser

    reference = root / "docs" / "reference" / "README.md"
    shown = told(pages, "snakemake")
    for path in (reference, *root.glob("timellama/cli/commands/*.py")):
        # -r: without it, and in $(), snakemake would make everything when nothing is missing.
        examples = re.findall(
            r"^(?: *|.* \| xargs -r )(snakemake -.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        shown += [(f"{path.parent.name}/{path.name}", shlex.split(example)) for example in examples]
    assert len(shown) > 6
    assert {"reference/README.md", "commands/reference.py"} <= {page for page, _ in shown}
    for page, words in shown:
        assert "$(" not in " ".join(words), f"{page}: $() that prints nothing leaves no target"
        options = get_argument_parser().parse_args(words[1:])  # ends the test on an unknown option
        # --configfile takes every word that follows: a target after it would be read as a configuration.
        assert all(path.suffix == ".yaml" for path in options.configfile or ()), f"{page}: {shlex.join(words)}"


def test_every_environment_variable_is_explained(root, pages):
    files = [path for folder in ("timellama", "workflow", "tests", "benchmarks") for path in (root / folder).rglob("*")]
    sources = [path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".smk")]
    assert len(sources) > 100
    read = {name for text in sources for name in re.findall(r"\"(TIMELLAMA_[A-Z_]+|HF_[A-Z_]+)\"", text)}
    assert "TIMELLAMA_MIRROR" in read
    assert not [name for name in read if f"`{name}`" not in pages["commands.md"]]


@pytest.mark.parametrize(
    ("message", "source"),
    [
        ("unknown key", "core/schema.py"),
        ("is missing; add it", "core/schema.py"),
        ("has no experiment", "experiments/matrix.py"),
        ("is not a checkout of the project, which has Snakefile and config/: change into one", "cli/console.py"),
        ("Remedy: check the network and run again", "data/fetch/sources.py"),
        ("is gated: accept its licence at", "backbones/catalogue.py"),
        ("is on record. Fetch the repository yourself", "backbones/catalogue.py"),
        ("set the pin that you mean", "backbones/catalogue.py"),
        ("correct the name after the colon", "core/outside.py"),
        ("as an option it must be keyword-only and annotated", "methods/registry.py"),
        ("return only that from its forward", "training/trial.py"),
        ("with equally many scores for every window", "training/trial.py"),
        ("the name of a table begins with `table_`", "reports/registry.py"),
        ("lower learning_rate or clip_norm, or check the data", "training/train.py"),
        ("it ended without an error message: stopped, or killed by the system", "reports/failures.py"),
        ("is already being computed by", "core/jobs/lock.py"),
        ("the training starts afresh", "training/steps/checkpoint.py"),
        ("Name the columns as the training data do", "results/forecasts/context_rows.py"),
        ("rows must be evenly spaced", "results/forecasts/context_rows.py"),
        ("Give more of the name", "results/read/runs.py"),
        ("if it was run again, build the reports again", "reports/verify.py"),
    ],
)
def test_messages_of_the_troubleshooting_page_are_those_of_the_code(root, pages, message, source):
    assert message in pages["troubleshooting.md"]
    code = (root / "timellama" / source).read_text(encoding="utf-8")
    assert message in re.sub(r"\"\n\s+f?\"", "", code)


def test_every_page_is_in_the_navigation_once(root, pages):
    listed = re.findall(r"^.+ <(\w+)>$", pages["index.md"], flags=re.MULTILINE)
    notebooks = {path.stem for path in (root / "docs").glob("*.ipynb")}
    assert sorted(listed) == sorted({name.removesuffix(".md") for name in pages} - {"README", "index"} | notebooks)


def test_the_site_builds_and_a_broken_link_or_anchor_fails(root, tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    shutil.copytree(root / "docs", tmp_path / "docs")
    shutil.copy2(root / "README.md", tmp_path / "README.md")

    def build() -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", "site"]
        return subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    done = build()
    assert done.returncode == 0, done.stdout
    made = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert "commands.html" in made and not re.search(r"(?:<script[^>]+src|<link[^>]+href)=\"https?:", made)
    for file, broken in (("README.md", "[a](docs/data.md#no-anchor)"), ("docs/protocol.md", "[b](no-page.md)")):
        with (tmp_path / file).open("a", encoding="utf-8") as page:
            page.write(f"\n{broken}\n")
    done = build()
    assert done.returncode != 0 and "no-anchor" in done.stdout and "no-page" in done.stdout, done.stdout


def test_the_results_shown_are_those_of_the_reference(root):
    results = script(root, "write_results")
    assert len(results.WRITTEN) == 9
    for path, name, block in results.WRITTEN:
        page = path.read_text(encoding="utf-8")
        assert page == results.replaced(page, name, block), (
            f"run `python -m docs.write_results` and commit {path.relative_to(root)}"
        )


def test_every_missing_result_is_counted_on_the_reference_page(root):
    page = (root / "docs/reference/README.md").read_text(encoding="utf-8")
    shown = page[page.index("<!-- missing: begin -->") : page.index("<!-- missing: end -->")]
    counts = [int(line.split("|")[5]) for line in shown.splitlines()[3:]]
    file = root / "docs/reference/cpu/absent.csv"
    assert sum(counts) == (len(file.read_text(encoding="utf-8").splitlines()) - 1 if file.is_file() else 0)


def test_the_reference_page_counts_the_repeated_runs(root):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    found = json.loads((root / "docs/reference/repeats.json").read_text(encoding="utf-8"))
    assert f"{len(found)} runs of `cpu` were trained again" in words
    assert {(each["kept_processor"], each["processor"]) for each in found} == {("AMD EPYC", "AMD EPYC (AVX2)")}


def test_the_reference_page_pairs_the_prefix_with_the_repeated_runs(root):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    again = json.loads((root / "docs/reference/repeats.json").read_text(encoding="utf-8"))
    kept = kept_runs(root).set_index("result")["mse"].to_dict()
    here = kept | {each["result"]: each["here"] for each in again if each["error"] == "mse"}
    worse = {}
    for horizon in (96, 192):
        for name, errors in (("kept", kept), ("here", here)):
            place = f"results/few-shot-5pct/Weather/{{}}/H{horizon}-"
            of = {
                variant: [error for path, error in errors.items() if path.startswith(place.format(variant))]
                for variant in ("time-llama", "time-llama-2")
            }
            assert all(len(each) == 3 for each in of.values())
            worse[horizon, name] = f"{(sum(of['time-llama-2']) / sum(of['time-llama']) - 1) * 100:.0f} %"
    assert worse[192, "kept"] == worse[192, "here"]
    assert (
        "it is {} worse at 96 instead of {}, and {} at 192 either way".format(
            *(worse[cell] for cell in ((96, "here"), (96, "kept"), (192, "kept")))
        )
        in words
    )


def test_a_result_shown_is_the_mean_over_the_seeds_of_its_runs(root):
    """Cells of docs/results.md, looked up one by one in the CSV of the kept runs."""
    shown = (root / "docs/results.md").read_text(encoding="utf-8")
    kept = kept_runs(root).set_index("result")

    def mean(pattern: str, error: str, runs: int) -> str:
        found = kept[kept.index.str.fullmatch(pattern)]
        assert len(found) == runs, pattern
        return f"{found[error].mean():.3f}"

    table1 = shown[shown.index("| ETTh1, H 96 |") :].split("\n")[0].split(" | ")
    assert table1[1:4] == ["2785", "0, 1, 2", "0.377"]
    assert table1[4] == mean(r".*long-term/ETTh1/time-llama/H96-T512-s\d-SmolLM2-135M-x6-\w+/metrics.json", "mse", 3)
    assert table1[6] == mean(r".*long-term/ETTh1/dlinear/H96-T512-s\d-\w+/metrics.json", "mse", 3)
    few = shown[shown.index("| Time-LlaMA-3, frozen blocks |") :].split("\n")[0].removesuffix(" |").split(" | ")
    assert few[2] == mean(r".*few-shot-5pct/ETTh1/time-llama-3/H192-T512-s\d-\S+/metrics.json", "mse", 3)
    assert few[4] == mean(r".*few-shot-5pct/Weather/time-llama-3/H96-T512-s\d-\S+/metrics.json", "mse", 3)
    hourly = shown[shown.index("| Hourly |") :].split("\n")[0].split(" | ")
    assert hourly[3] == mean(r".*M4-Hourly/time-llama/\S+/metrics.json", "owa", 3)


def test_a_cell_of_other_seeds_says_so_and_one_without_runs_has_no_number(root):
    results = script(root, "kept_numbers")
    runs = pd.DataFrame({"run/variant": "dlinear", "run/seed": [0, 2], "mse": [0.25, 0.5]})
    assert results.mean(runs, "mse", "seeds 0, 2") == "0.375"
    assert results.mean(runs, "mse", "seeds 0, 1, 2") == "0.375 (seeds 0, 2)"
    assert results.mean(runs[:1], "mse", "seeds 0, 2") == "0.250 (seed 0)"
    assert results.mean(runs[:0], "mse", "seeds 0, 2") == "not run"
    naive = runs[:1].assign(**{"run/variant": "seasonal-naive"})  # trains nothing, so no seed changes it
    assert results.mean(naive, "mse", "seeds 0, 2") == "0.250"


def test_a_spread_over_seeds_matches_hand_computed_values():
    def shown(*errors: float, seeds: str = "") -> str:
        return spread(pd.Series(errors, index=range(len(errors)), dtype=float), seeds).replace(NO_BREAK, " ")

    assert shown(0.25, 0.5, seeds="seeds 0, 1") == "0.375 ± 0.177"
    assert shown(0.25, 0.5, seeds="seeds 0, 1, 2") == "0.375 ± 0.177 (seeds 0, 1)"
    assert shown(0.25, seeds="seeds 0, 1") == "0.250 (seed 0)" and shown(0.25) == "0.250"
    assert shown() == "\N{EN DASH}"


def test_a_mean_over_cells_uses_only_the_seeds_that_all_cells_have():
    cells = [
        pd.DataFrame({"run/seed": [0, 1], "mse": [0.25, 0.5]}),
        pd.DataFrame({"run/seed": [1, 2], "mse": [1.5, 9.0]}),
    ]
    assert by_seed(cells).to_dict() == {1: 1.0}
    assert by_seed([cells[0], cells[1][:0]]).empty


def test_the_packages_of_the_readme_are_the_layers_of_the_import_contract_in_order(root, pages):
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"] for contract in settings["tool"]["importlinter"]["contracts"] if contract["type"] == "layers"
    )
    section = pages["README.md"].partition("## How the code is laid out\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| \S", section, flags=re.MULTILINE) == layers
    assert all((root / "timellama" / layer / "__init__.py").is_file() for layer in layers)
