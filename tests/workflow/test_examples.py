"""The worked examples of docs/adding.md, run as printed, on one copy of the project."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import printed
from tests.printed import block

UNKNOWN_PIN = "0" * 64


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n") + "\n" + text, encoding="utf-8")


def test_the_pages_data_set_language_model_and_method_can_be_added(make_project) -> None:
    project = make_project()
    folder, config = project.folder, project.folder / "config"

    def run(*command: str) -> None:
        given = os.environ | {"PYTHONPATH": str(folder), "GIT_CEILING_DIRECTORIES": str(folder.parent)}
        subprocess.run(command, cwd=folder, env=given, check=True)

    (folder / "data").mkdir()
    (folder / "data/ice_cream.csv").write_text(block("text", "ice cream"))
    append(config / "datasets.yaml", block("yaml", "reader: table"))
    run(sys.executable, "-c", block("python", "Qwen2Config"))
    append(config / "backbones.yaml", block("yaml", "kind: folder"))
    (folder / "my_methods.py").write_text(block("python", "class NLinear("))
    (config / "own.yaml").write_text(block("yaml", "name: own"))

    target = re.search(r"make (\S+) CONFIG=(\S+)", block("sh", "CONFIG=config/own.yaml"))
    command = (target[1], "--configfile", target[2])
    unpinned = project.snakemake(*command)
    told = re.search(
        rf"the pin is {UNKNOWN_PIN}, the files of models/tiny-qwen2 give ([0-9a-f]{{64}})", unpinned.stdout
    )
    assert unpinned.returncode != 0 and told, unpinned.stdout
    assert told[0].split(" give ")[0] in printed.text(), "the page shows a different message"
    entries = (config / "backbones.yaml").read_text(encoding="utf-8")
    (config / "backbones.yaml").write_text(entries.replace(UNKNOWN_PIN, told[1]), encoding="utf-8")

    done = project.snakemake(*command)
    assert done.returncode == 0, done.stdout
    found = [json.loads(file.read_text()) for file in folder.glob("results/long-term/IceCream/*/*/metrics.json")]
    assert {each["run"]["variant"] for each in found} == {"time-llama", "nlinear", "look-back-mean", "seasonal-naive"}
    assert {each["n_windows"] for each in found} == {3}, "4 test rows, horizon 2"
    assert {each["run"]["backbone"]["name"] for each in found if each["run"]["backbone"]} == {"tiny-qwen2"}
    table = (folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    assert "NLinear" in table and "IceCream" in table


def test_the_pages_method_metric_and_reports_can_be_added(copy_of_finished) -> None:
    project = copy_of_finished()
    folder, file = project.folder, project.folder / "config/nlinear.yaml"
    for name, holding in (("methods", "class NLinear("), ("metrics", "NEAR = Metric"), ("reports", "WINDOWS = Report")):
        (folder / f"my_{name}.py").write_text(block("python", holding))
    file.write_text(block("yaml", "name: nlinear"))
    for key in ("metrics: [", "reports: ["):
        append(file, block("yaml", key))
    targets = [target for target, _ in re.findall(r"make (\S+) CONFIG=(config/nlinear\S+)", printed.text())]
    done = project.snakemake(*targets, "--configfile", str(file))
    assert done.returncode == 0, done.stdout
    table = (folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    assert "NLinear Near" in table and "SmolLM2" not in table
    assert "| nlinear | 217 |" in (folder / "reports/table_windows.md").read_text(encoding="utf-8")
    assert (folder / "reports/figures/steps.png").is_file() and len(targets) == 3

    method = folder / "my_methods.py"
    method.write_text(method.read_text().replace("dim=2) + last", "dim=2)[:, :, :1] + last[:, :, :1]"))
    done = project.snakemake(targets[0], "--configfile", str(file))
    assert done.returncode != 0 and "Traceback (most recent" not in done.stdout
    told = (
        "'my_methods:NLinear' gives a tensor [2, 24, 1] of float32 for x [B 2, T 96, N 7], but a forecast is a tensor"
    )
    assert told in done.stdout


def test_the_pages_kinds_of_prompt_can_be_added(copy_of_finished) -> None:
    project = copy_of_finished()
    (project.folder / "my_prompts.py").write_text(block("python", "(Prompt)"))
    (project.folder / "config/prompts.yaml").write_text(block("yaml", "name: prompts"))
    [(target, configuration)] = re.findall(r"make (\S+) CONFIG=(config/prompts\S+)", printed.text())
    done = project.snakemake(target, "--configfile", configuration)
    assert done.returncode == 0, done.stdout
    files = project.folder.glob("results/long-term/Synthetic/*/*/metrics.json")
    found = {(each := json.loads(file.read_text()))["run"]["variant"]: each for file in files}
    first, last = found["first-sentence"], found["last-value"]
    assert first["run"]["options"]["prompt"] == "my_prompts:FirstSentence" and first["steps"] == last["steps"] == 8
    assert first["run"]["prompt"] == last["run"]["prompt"].partition(".")[0] + "."
    table = (project.folder / target).read_text(encoding="utf-8")
    assert f"{first['mse']:.3f}" in table and f"{last['mse']:.3f}" in table and first["mse"] != last["mse"]


def test_the_pages_methods_of_a_library_run(make_project) -> None:
    pytest.importorskip("statsforecast")
    project = make_project()
    file = project.folder / "config/statistical.yaml"
    # Smaller orders than on the page, since the fits of AutoARIMA take most of the time.
    text = block("yaml", "name: statistical")
    quick = text.replace("{order: 2, seasonal_order: 1}", "{order: 1, seasonal_order: 0}")
    assert quick != text
    file.write_text(quick)
    done = project.snakemake("reports/table_short_term.md", "--configfile", str(file))
    assert done.returncode == 0, done.stdout
    table = (project.folder / "reports/table_short_term.md").read_text(encoding="utf-8")
    assert all(f"{name} OWA" in table for name in ("AutoETS", "AutoTheta", "AutoARIMA", "Comb", "Naive2"))
    assert "AutoARIMA" in table.partition("each whole training series")[0].splitlines()[-1]
