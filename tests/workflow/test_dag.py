"""The workflow runs once, says in its reports what it did, and reruns exactly what an edit affects."""

import json
import re

import pytest
import yaml

from timellama.experiments.matrix import make_matrix


def test_every_result_exists_with_the_required_keys(finished):
    files = sorted(finished.folder.glob("results/long-term/Synthetic/*/*/metrics.json"))
    assert len(files) == 5, "three methods, and the two floors that are not listed"
    for file in files:
        metrics = json.loads(file.read_text(encoding="utf-8"))
        for key in ("mse", "mae", "n_windows", "dataset", "horizon", "method", "backbone", "seed", "parameters", "run"):
            assert key in metrics, (file, key)
        for key in ("git_commit", "git_dirty", "source_digest", "data_sha256", "versions", "hardware"):
            assert key in metrics["provenance"], (file, key)
        assert metrics["n_windows"] == 217, "240 test rows of 1200, horizon 24"
        assert (metrics["router"] is not None) == (metrics["method"] == "time-llama")


def test_the_table_holds_the_numbers_and_says_that_the_data_are_generated(finished):
    table = (finished.folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    for file in finished.folder.glob("results/long-term/Synthetic/*/*/metrics.json"):
        assert f"{json.loads(file.read_text(encoding='utf-8'))['mse']:.3f}" in table
    assert "Generated data" in table and "random weights" in table and "smoke" in table
    figure = finished.folder / "reports/figures/forecasts_Synthetic.png"
    assert figure.stat().st_size > 10_000
    remark = figure.with_suffix(".txt").read_text(encoding="utf-8")
    assert "Synthetic, H 24: 217 test windows, seed 0." in remark and "Code: commit" in remark


def test_generated_data_give_no_verdicts_and_the_abstract_says_so(finished):
    about_the_paper = [
        path for name in ("claims", "reproduction") for path in finished.folder.glob(f"reports/**/*{name}*")
    ]
    assert not about_the_paper, "none of the paper's data sets is here"
    page = (finished.folder / "reports/README.md").read_text(encoding="utf-8")
    assert "All data are generated" in page and "5 results" in page and "Verdicts" not in page
    linked = set(re.findall(r"\]\(([^)]+)\)", page)) - {"https://arxiv.org/abs/2502.13725"}
    made = {file.relative_to(finished.folder / "reports").as_posix() for file in finished.folder.glob("reports/**/*.*")}
    assert linked == made - {"README.md"}, "every report is linked, and every link leads to one"


def test_the_index_names_the_results_behind_each_report(finished):
    index = json.loads((finished.folder / "reports/provenance.json").read_text(encoding="utf-8"))["reports"]
    runs = index["reports/table_long_term.md"]["results"]
    assert len(runs) == 5
    for report in ("table_ranking.tex", "README.md"):
        assert index[f"reports/{report}"]["results"] == runs


@pytest.fixture(scope="module")
def copy(copy_of_finished):
    return copy_of_finished()


def test_nothing_runs_a_second_time(copy):
    done = copy.snakemake("all")
    assert done.returncode == 0 and "Nothing to be done" in done.stdout


def edited(project, files, *edits):
    """The plan after edits of files, each a pattern and its replacement; the edits are reverted."""
    before = {}
    for file in files:
        path = project.folder / "timellama" / file
        before[path] = text = path.read_text(encoding="utf-8")
        for pattern, replacement in edits:
            text, count = re.subn(pattern, replacement, text, count=1)
            assert count == 1, f"{pattern!r} is not in {file}"
        path.write_text(text, encoding="utf-8")
    try:
        return project.planned()
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")


def methods(planned):
    return {path.split("/")[3] for path in planned if path.startswith("results/long-term/")}


def test_a_comment_reruns_nothing(copy):
    files = (
        "methods/time_llama/network.py",
        "training/train.py",
        "data/canonicalise.py",
        "reports/tables/of_experiments.py",
    )
    assert edited(copy, files, (r'\A"""', '"""Other words. '), (r"\A", "# A remark.\n")) == set()


def test_an_edit_of_the_model_reruns_its_own_runs_and_what_depends_on_them(copy):
    planned = edited(copy, ["methods/time_llama/tokens.py"], (r"EPSILON = 1e-5", "EPSILON = 2e-5"))
    assert "time-llama" in methods(planned) and "dlinear" not in methods(planned)
    assert "reports/table_long_term.tex" in planned
    assert not [path for path in planned if path.startswith(("results/data", "results/backbones"))]


def test_an_edit_of_training_reruns_every_run_but_no_data(copy):
    planned = edited(copy, ["training/train.py"], (r"CHECK_EVERY = \d+", "CHECK_EVERY = 7"))
    assert methods(planned) == {"time-llama", "dlinear", "look-back-mean", "seasonal-naive", "hour-of-day-mean"}
    assert not [path for path in planned if path.startswith("results/data")]


def test_an_edit_of_the_table_writer_reruns_no_training_and_no_figure(copy):
    planned = edited(copy, ["reports/render/files.py"], (r"\Z", "\nANOTHER = 1\n"))
    tables = [f"table_{name}" for name in ("long_term", "ranking", "datasets", "failures")]
    assert planned == {
        *(f"reports/{stem}.{ending}" for stem in tables for ending in ("tex", "md", "html", "csv")),
        "reports/provenance.json",
    }


def test_a_measurement_takes_every_core_so_that_nothing_runs_beside_it(make_project, root):
    project = make_project()
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    (sweep,) = [sweep for sweep in make_matrix(config, root=root).efficiency() if sweep.run.variant == "dlinear"]
    target = f"results/{sweep.folder}.json"
    done = project.snakemake(target, "--configfile", "config/smoke.yaml")
    assert done.returncode == 0, done.stdout
    assert sweep.threads == 1 and "threads: 2" in done.stdout, "both cores of -j2 for one measured thread"
    rows = json.loads((project.folder / target).read_text(encoding="utf-8"))["rows"]
    assert [(row["variates"], row["forward_status"]) for row in rows] == [(7, "measured"), (21, "measured")]
    done = project.snakemake("-n", "results/efficiency/dlinear/H1-T1-abc.json", "--configfile", "config/smoke.yaml")
    assert done.returncode != 0 and "is no sweep of configuration 'smoke'" in done.stdout
