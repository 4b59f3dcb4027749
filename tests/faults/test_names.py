# ruff: noqa: RUF001 -- signs that look like others are what is tested
"""Names and labels with characters that LaTeX, Markdown, HTML, a shell or a file system interpret stay plain text."""

import copy
import functools
import html
import json
import re
import shlex
import shutil
import subprocess
import unicodedata

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import made_up
from tests.refusal import refused
from timellama.backbones.catalogue import BackboneEntry, fetch_backbone
from timellama.data.catalogue.datasets import load_catalogue
from timellama.data.fetch.sources import Artifact, fetch
from timellama.experiments.matrix import make_matrix
from timellama.reports.failures import Failure, command, to_markdown, to_table
from timellama.reports.figures.windows import draw_forecasts
from timellama.reports.render import style
from timellama.reports.render.markup import escape_latex, markdown_paragraph, to_latex
from timellama.reports.render.markup import to_markdown as table_to_markdown
from timellama.reports.tables.experiment import LONG_TERM
from timellama.reports.tables.of_experiments import errors

SIGNS = "%_&$#{}~^\\<>|\"'`*[]()!+-=.:;1 a\n\t@/?é漢🦙λ±−–"
TEXTS = st.text(st.one_of(st.sampled_from(SIGNS), st.characters(exclude_categories=["Cs"])), max_size=12)
HOSTILE = (
    "%_&$#{}~^\\",
    r"\input{/etc/passwd}",
    r"\write18{touch pwned}",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "<script>alert(1)</script>",
    "](javascript:alert(1))",
    "a | b || c",
    "- a\n- b",
    "1. first",
    "# head",
    "Ünïcödé 漢字 🦙",
    r"$\frac{$",
    "'\"",
)
# A control sequence that escaping produces, or a character that it escapes: no other special character may be left.
WRITTEN = re.compile(r"\\[a-zA-Z]+|\\[^a-zA-Z]|[{}]|[^\\{}%&$#_~^<>|\"]")


@functools.cache
def reader():
    return pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False, "html": True})


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip().replace("\0", "\N{REPLACEMENT CHARACTER}")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS)
@example("- a")
@example("1) a")
@example("===")
def test_markdown_prints_any_text_without_interpreting_it(text):
    rendered = reader().render(markdown_paragraph(text)).strip()
    assert html.unescape(re.sub(r"^<p>|</p>$", "", rendered)).strip() == one_line(text)
    assert set(re.findall("<[^>]*>", rendered)) <= {"<p>", "</p>"}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(TEXTS)
def test_latex_leaves_no_special_character_unescaped(text):
    written = escape_latex(text)
    assert written.isascii()
    bare = re.sub(r"\\ensuremath\{[^{}]*\}", "", written)  # the arguments of these commands are not part of the text
    assert "".join(WRITTEN.findall(bare)) == bare
    commands = set(re.findall(r"\\([a-zA-Z]+)", written))
    assert not commands & {"input", "include", "write", "openout", "immediate", "def", "csname", "catcode", "begin"}
    depth = 0
    for sign in re.findall(r"(?<!\\)[{}]", written):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0


@pytest.fixture
def table(inside):
    """The table of long-term forecasting, with the hostile labels as methods."""
    files = []
    for number in range(len(HOSTILE)):
        files.append(inside / f"{number}.json")
        result = made_up.document(variant=f"m{number}", identity=f"i{number}", mse=0.4 + number)
        files[-1].write_text(json.dumps(result), encoding="utf-8")
    methods = {f"m{number}": {"label": label, "floor": False} for number, label in enumerate(HOSTILE)}
    facts = {"configuration": "toy", "backbone": "none", "not_run": [], "remark": HOSTILE[0], "generated": ["ETTh1"]}
    facts |= {"methods": methods, "planned": [("ETTh1", 512, 96, name) for name in methods]}
    return errors(files, experiment="long_term", heading=LONG_TERM, facts=facts)


def test_markdown_and_html_print_the_labels(table):
    rendered = reader().render(table_to_markdown(table))
    tags = {tag.strip("</>").split()[0] for tag in re.findall("<[^>]*>", rendered)}
    assert tags <= {"p", "table", "thead", "tbody", "tr", "th", "td", "strong", "u", "sub", "hr"}, tags
    plain = html.unescape(re.sub("<[^>]*>", "", rendered))
    assert [label for label in HOSTILE if one_line(label) not in plain] == []


def test_latex_prints_the_labels_and_executes_nothing(table, inside):
    if shutil.which("pdflatex") is None or shutil.which("pdftotext") is None:
        pytest.skip("needs pdflatex and pdftotext")
    (inside / "t.tex").write_text(to_latex(table), encoding="utf-8")
    words = ["pdflatex", "-shell-escape", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(words, cwd=inside, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert not (inside / "pwned").exists()
    printed = subprocess.run(["pdftotext", "-raw", "t.pdf", "-"], cwd=inside, capture_output=True, text=True).stdout
    joined = "".join(printed.split())
    for piece in ("&$#{}", r"\input{/etc/passwd}", r"\write18{touchpwned}", "<script>", "a|b||c", "(U+6F22)"):
        assert piece in joined, printed


def test_labels_and_columns_are_drawn_literally(inside):
    cube = np.zeros((1, 4, 2))
    np.savez(
        inside / "forecasts.npz",
        context=cube,
        truth=cube,
        forecast=cube,
        columns=np.array([r"$\frac{$", "%_&#{}"]),
        start=np.array([0]),
    )
    figure = draw_forecasts([(label, inside / "forecasts.npz") for label in HOSTILE[:4]], dataset=HOSTILE[-2])
    style.save(figure, inside / "f.pdf", inside / "f.png", mark=HOSTILE[-2])
    assert (inside / "f.png").stat().st_size > 1000


@settings(max_examples=200, deadline=None, derandomize=True)
@given(TEXTS.filter(lambda text: "\0" not in text), TEXTS)
@example("results/$(touch pwned)/`touch pwned`; touch pwned #.json", "\n    rm")
def test_the_command_for_a_single_result_splits_into_its_original_words(target, reason):
    line = command(target, configfiles=["a b.yaml"], settings=["x=$(y)"])
    assert shlex.split(line) == ["snakemake", "-j1", target, "--configfile", "a b.yaml", "--config", "x=$(y)"]
    failure = Failure(result=f"results/{target}.json", reason=reason, command="snakemake")
    rendered = reader().render(to_markdown([failure], text="x"))
    tags = {tag.strip("</>") for tag in re.findall("<[^>]*>", rendered)}
    assert tags <= {"p", "strong", "pre", "code"}
    assert to_latex(to_table([failure], text="x")).isascii()


def test_a_shell_that_gets_that_command_executes_nothing_else(inside):
    for text in HOSTILE:
        line = command(text, configfiles=[], settings=[]).replace("snakemake", "printf '%s\\n'", 1)
        done = subprocess.run(["sh", "-c", line], cwd=inside, capture_output=True, text=True, check=True)
        assert done.stdout == f"-j1\n{text}\n"
    assert list(inside.iterdir()) == []


TRAVERSALS = ("../evil", "a/../../evil", "/tmp/evil", "..", ".", "", "a/b", "a\\b", "a b", "a\n", "-a", "a;b", "é", "~")


@pytest.fixture
def configuration(root):
    return yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("catalogue", ["datasets", "backbones", "methods"])
@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_name_that_would_be_another_folder_is_refused(inside, root, configuration, catalogue, name):
    shutil.copytree(root / "config", inside / "config")
    file = inside / f"config/{catalogue}.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries = content["datasets"] if catalogue == "datasets" else content
    # The other entries are not needed to refuse this one.
    kept = {name: copy.deepcopy(next(iter(entries.values())))}
    file.write_text(yaml.safe_dump({"datasets": kept} if catalogue == "datasets" else kept), encoding="utf-8")
    with refused(file, "name"):
        make_matrix(configuration, root=inside)


@pytest.mark.parametrize("name", [name for name in TRAVERSALS if name != "a b"] + ["a b", "$(a)"])
def test_the_name_of_a_configuration_must_be_plain(root, configuration, name):
    with refused("name", repr(name)):
        make_matrix(configuration | {"name": name}, root=root)


@pytest.mark.parametrize(
    "path", ["../evil.csv", "a/../../evil.csv", "/tmp/evil.csv", "..", "a\\..\\evil", "a.csv\n", ""]
)
def test_a_file_path_that_leaves_its_folder_is_refused(inside, root, path):
    content = yaml.safe_load((root / "config/datasets.yaml").read_text(encoding="utf-8"))
    content["datasets"] = {"ETTh1": content["datasets"]["ETTh1"]}
    content["datasets"]["ETTh1"]["files"] = [{"path": path, "source": "precious.csv"}]
    (inside / "datasets.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with refused("files[0].path", repr(path), "'..'"):
        load_catalogue(inside / "datasets.yaml")


@pytest.mark.parametrize("path", ["../evil.csv", "a/../../evil.csv", "/evil.csv", "..", "a\\..\\evil"])
def test_nothing_is_fetched_to_a_path_that_leaves_its_folder(inside, path):
    (inside / "mine.csv").write_text("a\n", encoding="utf-8")
    artifact = Artifact(path=path, source=str(inside / "mine.csv"))
    with refused(repr(path), "'..'"):
        fetch(artifact, inside / "raw/evil.csv", mirrors=[], cache=inside / "cache", progress=False)
    assert not (inside / "raw").exists()


@pytest.mark.parametrize("file", ["../../evil.safetensors", "/evil.safetensors", "a/evil.safetensors", ".safetensors"])
def test_a_repository_file_in_a_folder_is_refused(inside, root, configuration, file):
    shutil.copytree(root / "config", inside / "config")
    path = inside / "config/backbones.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["GPT-2"]["files"][file] = "0" * 64
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with refused(path, f"GPT-2.files.{file}"):
        make_matrix(configuration, root=inside)


@pytest.mark.parametrize("source", ["../../evil", "a/../../../evil"])
def test_a_repository_that_leaves_its_mirror_is_refused(inside, source):
    mirror = inside / "mirror"
    mirror.mkdir()
    files = dict.fromkeys(("config.json", "tokenizer.json", "model.safetensors"), "0" * 64)
    fields = dict.fromkeys(BackboneEntry.__dataclass_fields__) | {"name": "x", "kind": "hub", "licence": "MIT"}
    fields |= {"pin": "0" * 40, "width": 1, "blocks": 1, "modules": ("Q",), "source": source, "files": files}
    given = {"folder": inside / "raw", "mirrors": [str(mirror)], "cache": inside / "cache", "progress": False}
    with refused(source, "'..'"):
        fetch_backbone(BackboneEntry(**fields), blocks=1, weights="pretrained", **given)
