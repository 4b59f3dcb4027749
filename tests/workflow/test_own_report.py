"""An external table and figure, as printed in docs/adding.md, built by the workflow."""

import re
import shutil

import pytest
import yaml

from tests.printed import block
from tests.refusal import refused
from timellama.core.outside import loaded
from timellama.reports.catalogue import OWN
from timellama.reports.registry import reports


@pytest.fixture(scope="module")
def project(copy_of_finished):
    project = copy_of_finished()
    (project.folder / "my_reports.py").write_text(block("python", "WINDOWS = Report"), encoding="utf-8")
    config = yaml.safe_load((project.folder / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["seasonal-naive"]}
    section["not_run"] = ["look-back-mean", "hour-of-day-mean"]  # floors that would be planned as well
    config |= {"seeds": [0], "experiments": {"long_term": section}, **yaml.safe_load(block("yaml", "reports: ["))}
    (project.folder / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return project


def test_the_workflow_builds_them_and_rebuilds_them_when_their_module_changes(project):
    pdf = ["reports/table_windows.pdf"] if shutil.which("pdflatex") else []
    done = project.snakemake("reports/table_windows.tex", "reports/figures/steps.png", *pdf)
    assert done.returncode == 0, done.stdout
    # 240 test rows of 1200, horizon 24.
    assert "| seasonal-naive | 217 |" in (project.folder / "reports/table_windows.md").read_text(encoding="utf-8")
    assert (project.folder / "reports/figures/steps.png").read_bytes().startswith(b"\x89PNG")
    for file in pdf:
        assert (project.folder / file).read_bytes().startswith(b"%PDF")
    assert (project.folder / "reports/table_windows.csv").read_text(encoding="utf-8").splitlines() == [
        "dataset,horizon,method,n_windows",
        "Synthetic,24,seasonal-naive,217",
    ]
    again = project.snakemake("-n", "reports/table_windows.tex", "reports/figures/steps.png")
    assert "Nothing to be done" in again.stdout
    module = project.folder / "my_reports.py"
    module.write_text(module.read_text(encoding="utf-8") + "\nANOTHER = 1\n", encoding="utf-8")
    everything = project.snakemake("all", "-n")
    assert everything.returncode == 0
    assert "reports/table_windows.tex" in everything.stdout and "reports/figures/steps.pdf" in everything.stdout


def test_a_report_that_the_configuration_does_not_have_is_refused_without_a_traceback(project):
    done = project.snakemake("-n", "reports/table_depth.tex")
    assert done.returncode != 0 and "table_depth" in done.stdout and "Traceback (most recent" not in done.stdout


@pytest.mark.parametrize("place", ["json", "no_such_module:X", "timellama.reports.catalogue:NONE", "math:pi"])
def test_a_place_that_holds_no_report_is_refused(place):
    with refused(place):
        reports({}, more=[place])


def test_two_reports_with_the_same_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "same_name.py").write_text("from timellama.reports.catalogue import OWN\n\nCLAIMS = OWN[0]\n")
    with refused(f"'{OWN[0].name}'"):
        reports({"long_term": {"datasets": {"ETTh1": {}}}}, more=["same_name:CLAIMS"])


def test_every_builder_and_selection_of_the_catalogue_exists():
    for report in OWN:
        for place in filter(None, (report.build, report.needs.runs)):
            assert callable(loaded(place, of=report.name))


def test_the_documentation_lists_every_report_and_no_other(root):
    page = (root / "docs/reports.md").read_text(encoding="utf-8")
    rows = page.partition("| target | what |")[2].partition("\n\n")[0].splitlines()[2:]
    listed = {name.split("/")[-1] for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    known = {report.name.format(dataset="<data set>") for report in OWN}
    assert listed == known | {"README.md", "provenance.json"}
