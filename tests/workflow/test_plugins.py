"""The examples of docs/adding.md with other libraries, run as printed."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.printed import block

UNKNOWN_PIN = "0" * 64


def ran(project) -> dict:
    """The results of the runs on Synthetic, by method."""
    files = project.folder.glob("results/long-term/Synthetic/*/*/metrics.json")
    return {(found := json.loads(file.read_text()))["run"]["variant"]: found for file in files}


@pytest.mark.skipif(find_spec("neuralforecast") is None, reason="needs the extra neuralforecast")
def test_the_pages_networks_of_neuralforecast_run(copy_of_finished):
    project = copy_of_finished()
    (project.folder / "config/nixtla.yaml").write_text(block("yaml", "name: nixtla"))
    done = project.snakemake("reports/table_long_term.md", "--configfile", "config/nixtla.yaml")
    assert done.returncode == 0, done.stdout
    table = (project.folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    assert "NHITS" in table and "TSMixer" in table
    found = ran(project)
    assert {found[name]["steps"] for name in ("nhits", "tsmixer")} == {20}
    assert "neuralforecast" in found["nhits"]["provenance"]["versions"]
    planned = subprocess.run(
        [
            project.python,
            "-c",
            "from timellama.cli.main import app; app()",
            "plan",
            "--configfile",
            "config/nixtla.yaml",
        ],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(project.folder)},
        capture_output=True,
        text=True,
    )
    assert planned.returncode == 0, planned.stderr


@pytest.mark.skipif(find_spec("chronos") is None, reason="needs the extra chronos")
def test_the_pages_chronos_model_runs(copy_of_finished):
    project = copy_of_finished()
    file = project.folder / "config/chronos.yaml"
    file.write_text(block("yaml", "name: chronos"))
    subprocess.run([sys.executable, "-c", block("python", "ChronosBolt")], cwd=project.folder, check=True)
    command = ("reports/table_long_term.md", "--configfile", "config/chronos.yaml")
    unpinned = project.snakemake(*command)
    told = re.search(rf"the pin is {UNKNOWN_PIN}, the files of models/tiny-bolt give ([0-9a-f]{{64}})", unpinned.stdout)
    assert unpinned.returncode != 0 and told, unpinned.stdout
    file.write_text(file.read_text().replace(UNKNOWN_PIN, told[1]))
    done = project.snakemake(*command)
    assert done.returncode == 0, done.stdout
    assert "Chronos-Bolt" in (project.folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    found = ran(project)["chronos-bolt"]
    assert found["steps"] == 0 and found["parameters"]["trainable"] == 0 < found["parameters"]["total"]
