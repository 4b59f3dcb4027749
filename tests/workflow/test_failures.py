"""A failing run affects only itself: the rest finishes, and no report that lacks it looks complete."""

import json
import re
import shlex

import pytest
import yaml

BLOCKED = "results/checkpoints/long-term/Synthetic/rlinear"
REPORTS = ["reports/table_long_term.md", "reports/table_router.md", "reports/table_failures.md"]


class Failing:
    """A project in which a diverging method and one that cannot write fail, while two others succeed."""

    def __init__(self, project, root):
        self.project, self.root = project, root
        self.block = project.folder / BLOCKED
        self.configure(learning_rate=1e38)
        self.block.parent.mkdir(parents=True)
        self.block.write_text("a file where a folder has to be", encoding="utf-8")

    def configure(self, *, learning_rate: float) -> None:
        config = yaml.safe_load((self.root / "config/smoke.yaml").read_text(encoding="utf-8"))
        config["seeds"] = [0]
        config["overrides"]["dlinear"] = {"training": {"learning_rate": learning_rate}}
        config["experiments"] = {
            "long_term": {
                "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
                "methods": ["dlinear", "itransformer", "rlinear", "seasonal-naive"],
            },
            "router": {
                "train_percent": 10,
                "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
                "methods": ["time-llama"],
                "not_run": ["look-back-mean", "seasonal-naive", "hour-of-day-mean"],  # else floors would have results
                "overrides": {"time-llama": {"training": {"learning_rate": 1e30}}},
            },
        }
        if learning_rate < 1:
            config["experiments"]["router"]["overrides"] = {}
        (self.project.folder / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def report(self, name: str) -> str:
        return (self.project.folder / f"reports/{name}").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def failing(make_project, root):
    found = Failing(make_project(), root)
    found.done = found.project.snakemake("all", "--keep-going")
    return found


def cells(markdown: str) -> dict[str, list[str]]:
    """The printed numbers of each method in a table of methods."""
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in markdown.splitlines() if line.startswith("|")]
    found: dict[str, list[str]] = {}
    for header, ours in zip(lines, lines[2:], strict=False):
        if header[0] == "Data set":
            for name, text in zip(header[3:], ours[3:], strict=True):
                found.setdefault(name.rsplit(" ", 1)[0], []).append(text)
    return found


def test_the_rest_finishes_and_the_table_shows_dashes(failing):
    assert failing.done.returncode != 0, "a failure is reported to the caller"
    table = failing.report("table_long_term.md")
    shown = cells(table)
    assert shown["DLinear"] == shown["RLinear"] == ["–", "–"]  # noqa: RUF001
    for name in ("iTransformer", "Look-back mean", "Seasonal naive", "Hour-of-day mean"):
        assert re.search(r"\d\.\d{3}", shown[name][0]), shown
    assert "NOT COMPLETE: 2 of 6 runs have no result" in table
    assert "NOT COMPLETE: 2 of 6" in failing.report("table_long_term.tex").replace("\n", " ")
    assert "None of the runs of router has a result" in failing.report("table_router.md")
    # Every report of the configuration is there, and the figures say what is missing.
    assert (failing.project.folder / "reports/figures/forecasts_Synthetic.pdf").is_file()


def test_the_failures_are_listed_with_reason_and_command(failing):
    text = failing.report("table_failures.md")
    assert "3 of 7 results of configuration smoke are absent" in text
    assert text.count("loss is NaN or infinite") == 2 and "NotADirectoryError" in text
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("    ")]
    assert len(commands) == 3
    for words in commands:
        assert words[:2] == ["snakemake", "-j1"] and f"**{words[2]}**" in text.replace("\\", "")


def test_only_failed_trainings_leave_an_error(failing):
    files = sorted((failing.project.folder / "results/logs").rglob("*.error.json"))
    errors = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    assert sorted(error["type"] for error in errors) == ["NotADirectoryError", "TrainingFailed", "TrainingFailed"]
    for error in errors:
        if error["type"] == "TrainingFailed":
            assert 1 <= error["step"] <= error["total"] and "learning_rate" in error["parameters"]


def test_a_second_pass_computes_nothing(failing):
    again = failing.project.snakemake("all", environment={"TIMELLAMA_PARTIAL": "1"})
    assert again.returncode == 0 and "Nothing to be done" in again.stdout, again.stdout
    planned = failing.project.snakemake("-n", "all")
    assert planned.stdout.count("rule train:") == 3, "only the failed runs are tried again"


def test_adding_missing_results_rebuilds_the_reports(failing):
    """Must be last, since it repairs the project."""
    failing.block.unlink()
    (words,) = [
        shlex.split(line)
        for line in failing.report("table_failures.md").splitlines()
        if line.startswith("    ") and "rlinear" in line
    ]
    alone = failing.project.snakemake(*words[2:])
    assert alone.returncode == 0, alone.stdout
    failing.configure(learning_rate=5e-3)
    done = failing.project.snakemake(*REPORTS, "--keep-going")
    assert done.returncode == 0, done.stdout
    table = failing.report("table_long_term.md")
    assert "NOT COMPLETE" not in table and "–" not in table and len(cells(table)) == 6  # noqa: RUF001
    assert "NOT COMPLETE" not in failing.report("table_router.md")
    assert failing.report("table_failures.md").startswith("Failures: none. All 7 results")
    unchanged = failing.project.snakemake(*REPORTS, environment={"TIMELLAMA_PARTIAL": "1"})
    assert unchanged.returncode == 0 and "Nothing to be done" in unchanged.stdout, unchanged.stdout
