"""`timellama status` on the project's own smoke configuration: the counts match the files."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.refusal import unnamed
from timellama.core.jobs.job_state import JobError, write_error
from timellama.core.jobs.lock import locked
from timellama.experiments.matrix import make_matrix


@pytest.fixture
def project(root, tmp_path, monkeypatch) -> Path:
    """Only the project's configurations; nothing has been run."""
    shutil.copytree(root / "config", tmp_path / "config")
    (tmp_path / "Snakefile").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(project):
    config = yaml.safe_load((project / "config/smoke.yaml").read_text(encoding="utf-8"))
    return make_matrix(config, root=project).every_run()


def test_every_run_is_in_exactly_one_state(project, say):
    folders = list(runs(project))
    done, failed, running = folders[:3]
    (project / "results" / done).mkdir(parents=True)
    text = json.dumps({"mse": 0.25, "mae": 0.5, "steps": 4, "validation_loss": 0.125})
    (project / "results" / done / "metrics.json").write_text(text, encoding="utf-8")
    log = project / f"results/logs/train/{failed}.log"
    log.parent.mkdir(parents=True)
    write_error(log, JobError.of(ValueError("too hot")))
    with locked(project / "results/checkpoints" / running, purpose="the test"):
        told = json.loads(say("status", "--configfile", "config/smoke.yaml", "--json", code=1).stdout)
        text = say("status", "--configfile", "config/smoke.yaml", "--all", code=1).stdout
    assert told["total"] == {"done": 1, "running": 1, "failed": 1, "left": len(folders) - 3}
    states = {each["folder"]: each["state"] for each in told["runs"]}
    assert [states[folder] for folder in folders[:4]] == ["done", "failed", "running", "left"]
    assert sum(told["experiments"]["long_term"].values()) == 14 and told["experiments"]["efficiency"]["left"] == 2
    for wanted in ("ValueError: too hot", "mse 0.2500", "1 done run(s) were made by other code", done, running):
        assert wanted in text, wanted


def test_a_project_without_any_run_is_no_failure(project, say):
    told = json.loads(say("status", "--json").stdout)
    assert told["configuration"] == "default" and told["total"]["left"] == len(told["runs"]) - len(
        [each for each in told["runs"] if each["folder"].startswith("efficiency/")]
    )


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("absent.yaml", None, ("absent.yaml",)),
        ("bad.yaml", "seedz: 1\n", ("bad.yaml", "seedz", "seeds?")),
        ("torn.yaml", "a: [1\n", ("torn.yaml", "line 2")),
    ],
)
def test_an_invalid_configuration_is_reported(project, say, file, text, named):
    if text is not None:
        (project / file).write_text(text, encoding="utf-8")
    assert not unnamed(say("status", "--configfile", file, code=2).stderr, *named)


def test_a_folder_without_a_project_uses_the_packages_own_files(say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "configuration default" in say("status").stdout
    assert not unnamed(say("reference", "check", code=2).stderr, tmp_path)
