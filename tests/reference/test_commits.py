"""Short runs with the code of each kept commit, compared with those of the present code."""

import json

import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml

from benchmarks import commits
from tests.refusal import refused
from timellama.experiments.matrix import make_matrix
from timellama.reports.selection import CONTROLS


@pytest.fixture(scope="module")
def kept(root) -> pd.DataFrame:
    return pd.read_csv(commits.KEPT, low_memory=False)


@pytest.fixture(scope="module")
def catalogue(root) -> dict:
    return yaml.safe_load((root / "config/methods.yaml").read_text(encoding="utf-8"))


def test_every_kept_variant_is_planned(kept, root, catalogue):
    wanted = commits.variants_of(kept)
    settings = commits.configuration(wanted, trained=commits.trained_of(wanted, catalogue=catalogue), linear=True)
    runs = make_matrix(settings, root=root).every_run().values()
    planned = {(run.task, run.variant) for run in runs}
    asked = {(name.replace("_", "-"), each) for name in ("long_term", "short_term") for each in wanted[name]}
    assert asked <= planned
    daily = {"hour-of-day-mean"}  # which weekly data cannot have
    assert {run.variant for run in runs if run.task.startswith("few-shot")} >= set(wanted["few_shot"]) - daily
    assert {run.backbone.blocks for run in runs if run.backbone} == {commits.BLOCKS, *wanted["depth"]}
    assert {run.seed for run in runs} == {0}
    assert {run.training.max_steps for run in runs if run.training} == {commits.STEPS}
    two_layers = {run.variant for run in runs if getattr(run.options, "token_embedding", None) == "mlp"}
    assert two_layers >= {each for each in wanted["router"] if each.startswith("time-llama-scale")}


def test_a_commit_runs_only_what_is_kept_of_it():
    rows = pd.DataFrame(
        {
            "run/task": ["long-term", "few-shot-5pct", "short-term", "long-term", "long-term"],
            "run/train_percent": [100, 5, 100, 100, 100],
            "run/variant": ["dlinear", "rlinear", "theta", "time-llama-published", "time-llama-st"],
            "run/backbone/blocks": [None, None, None, 4, 6],
            "run/options/token_embedding": [None, None, None, "linear", "mlp"],
        }
    )
    assert commits.variants_of(rows) == {
        "long_term": ["dlinear", "time-llama"],
        "few_shot": ["rlinear"],
        "short_term": ["theta"],
        "router": ["time-llama-st"],
        "depth": [4],
    }


@pytest.fixture
def results(tmp_path):
    """Results folders with one run each, as written by `make(name, mse, weight)`."""

    def make(name: str, mse: float, weight: torch.Tensor, *, called: str = "head", best: int = 6):
        run = tmp_path / name / "long-term/ILI/dlinear/H24-T96-s0-abc"
        run.mkdir(parents=True)
        (run / "metrics.json").write_text(json.dumps({"mse": mse, "best_step": best, "seconds": {"total": mse}}))
        safetensors.torch.save_file({called: weight}, run / "weights.safetensors")
        return dict(commits.runs_in(tmp_path / name))

    return make


def test_runs_are_compared_bit_by_bit_and_regardless_of_weight_names(results):
    weight = torch.tensor([1.0, 2.0])
    present = results("present", 0.5, weight)
    after = torch.nextafter(torch.tensor(2.0), torch.tensor(3.0))
    for name, there in {
        "renamed": (results("renamed", 0.5, weight, called="decoder"), 1),
        "error": (results("error", 0.5 + 2**-53, weight), 0),
        "weight": (results("weight", 0.5, torch.stack([weight[0], after])), 0),
    }.items():
        found = commits.compared("ab12", 3, there[0], present)
        assert (found["runs"], found["same"]) == (1, there[1]), name
        assert len(found["apart"]) == 1 - there[1] and found["not_planned_now"] == []


def test_a_training_that_returns_its_start_is_marked(results):
    weight = torch.ones(2)
    then, began = results("then", 0.5, weight), results("began", 0.4, 0 * weight, best=0)
    other = results("other", 0.4, weight)
    for now, told in ((began, [True]), (other, [False]), (then, [])):
        assert [run["began"] for run in commits.compared("ab12", 1, then, now)["apart"]] == told
    assert commits.compared("ab12", 1, began, began)["apart"] == []
    another = results("another", 0.3, weight, best=0)
    [run] = commits.compared("ab12", 1, another, began)["apart"]
    assert not run["began"], "it returned its start before as well"


def test_only_values_that_both_recorded_are_compared():
    then, now = (
        {"mse": 0.5, "validation_loss": None, "weights": []},
        {"mse": 0.5, "validation_loss": 0.4, "weights": []},
    )
    assert commits.same(then, now) and not commits.same(then, now | {"mse": 0.6})
    assert not commits.same({"weights": []}, {"weights": []}), "nothing was compared"


def test_a_run_that_is_no_longer_planned_is_named_and_not_counted(results):
    there = results("there", 0.5, torch.zeros(1))
    found = commits.compared("ab12", 3, there, {})
    assert (found["runs"], found["same"]) == (0, 0)
    assert found["not_planned_now"] == ["long-term/ILI/dlinear/H24-T96-s0-abc"]


def test_the_kept_comparison_covers_every_kept_row(kept, root):
    document = json.loads(commits.OUTPUT.read_text(encoding="utf-8"))
    rows = kept["provenance/git_commit"].value_counts().to_dict()
    assert {each["commit"]: each["rows"] for each in document["commits"]} | document["alike"] == rows
    assert document["present"] in document["alike"]
    assert all(each["runs"] >= 1 for each in document["commits"])
    counted = [len(each["apart"]) + each["same"] == each["runs"] for each in document["commits"]]
    assert all(counted) and document["steps"] == commits.STEPS


def test_the_kept_comparison_can_be_recounted_without_training(results):
    one = commits.compared("one", 3, results("then", 0.5, torch.ones(1)), results("now", 0.4, torch.ones(1)))
    document = {"present": "now", "alike": {}, "commits": [one, {"commit": "gone"}]}
    trees = {"now": "a", "later": "a", "other": "b"}
    kept = pd.DataFrame({"provenance/git_commit": ["one", "later", "later", "now", "one"]})
    found = commits.recounted(document, kept, package=trees.__getitem__)
    assert found == {"present": "now", "alike": {"later": 2, "now": 1}, "commits": [one | {"rows": 2}]}
    kept.loc[len(kept)] = "other"
    with refused("other", error=ValueError):
        commits.recounted(document, kept, package=trees.__getitem__)


def test_a_comparison_of_some_commits_keeps_the_others():
    def document(*names: str, present: str = "now", **alike: int) -> dict:
        each = [{"commit": name, "from": names} for name in names]
        return {"present": present, "processor": "AMD", "steps": 6, "alike": alike, "commits": each}

    earlier, later = document("one", "two", now=1), document("two", "three", later=2)
    found = commits.joined(earlier, later)
    assert found["alike"] == {"now": 1, "later": 2} and found["present"] == "now"
    assert [each["commit"] for each in found["commits"]] == ["one", "two", "three"]
    assert found["commits"][1]["from"] == ("two", "three")
    assert commits.joined(document("one", present="other"), later) == commits.joined({}, later) == later
    for changed in ({"processor": "Intel"}, {"steps": 5}):
        assert commits.joined(earlier | changed, later) == later


def test_runs_of_other_settings_are_not_counted(tmp_path):
    run = tmp_path / "results/long-term/ILI/dlinear/H24/metrics.json"
    run.parent.mkdir(parents=True)
    run.write_text("{}", encoding="utf-8")
    commits.begin({"seeds": [0]}, tmp_path)
    commits.begin({"seeds": [0]}, tmp_path)
    assert run.is_file()
    commits.begin({"seeds": [1]}, tmp_path)
    assert not run.exists() and yaml.safe_load((tmp_path / "commits.yaml").read_text(encoding="utf-8")) == {
        "seeds": [1]
    }


def test_the_page_says_which_seeds_are_from_the_second_processor(kept, root):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    assert "seeds 1 and 2 of ETTm1, Weather (all rows, without TimesNet and the controls) and M4 are of the" in words
    assert "TimesNet on Weather and at the longer horizons of ETTh1 is only of the second" in words
    assert "So are the controls of the language model with all rows of ETTm1, Weather and ILI; the runs of" in words
    every = kept["provenance/hardware/processor"].str.contains("AVX2", regex=False).fillna(False)
    every |= kept["provenance/hardware/system"].str.contains("fc-v595", regex=False).fillna(False)
    timesnet = kept["run/variant"] == "timesnet"
    timesnet &= (kept["run/dataset"] == "Weather") | (kept["run/horizon"] > 96)
    controls = kept["run/variant"].isin(CONTROLS) & (kept["run/train_percent"] == 100)
    controls &= kept["run/dataset"].isin(["ETTm1", "Weather", "ILI"])
    assert every[timesnet | controls].all() and (timesnet.sum(), controls.sum()) == (7, 108)
    ours = kept[(kept["run/variant"] == "time-llama") & (kept["run/dataset"] == "ILI")]
    assert not every[ours.index].any() and len(ours) == 12
    kept = kept[~timesnet & ~controls]
    whole = [("long-term", "ETTm1"), ("long-term", "Weather")]
    for task, dataset in (*whole, ("short-term", "M4-Hourly"), ("short-term", "M4-Weekly")):
        rows = kept[(kept["run/task"] == task) & (kept["run/dataset"] == dataset) & (kept["steps"] > 0)]
        second = rows["provenance/hardware/processor"].str.contains("AVX2", regex=False).fillna(False)
        assert set(rows["run/seed"]) == {0, 1, 2} and (second == (rows["run/seed"] > 0)).all()


def test_the_page_says_what_a_later_change_of_the_code_did(root):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    before, later = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (commits.OUTPUT, commits.OUTPUT.with_name("commits_since.json"))
    )
    # Those that are younger than the first of the two changes.
    after = {
        each["commit"]
        for each in before["commits"]
        if each["commit"].startswith(("8afb150", "eda70fe", "76476d5", "bc3f209", "7a4cce4"))
    }
    assert {each["commit"] for each in later["commits"]} == set(before["alike"]) | after and len(after) == 5
    runs = sum(each["runs"] for each in later["commits"])
    assert runs == sum(each["same"] for each in later["commits"]) > 0
    said = (
        f"The {runs} short runs of the commits that have the code of {before['present'][:7]}, of 8afb150, of "
        "eda70fe, of 76476d5, of bc3f209 and of 7a4cce4"
    )
    assert f"{said}, all in float32, end with the bits of {later['present'][:7]}" in words


def test_methods_are_trained_if_the_catalogue_says_so(catalogue):
    wanted = {"long_term": ["dlinear", "seasonal-naive"], "few_shot": [], "short_term": [], "router": [], "depth": []}
    assert commits.trained_of(wanted, catalogue=catalogue) == {"dlinear"}
    assert commits.trained_of(wanted | {"depth": [4]}, catalogue=catalogue) == {"dlinear", "time-llama"}


def test_the_page_reports_the_findings(kept, root):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    document = json.loads(commits.OUTPUT.read_text(encoding="utf-8"))
    others = sum(each["rows"] for each in document["commits"])
    assert f"{others} of the {len(kept)} kept runs are of {len(document['commits'])} commits" in words
    assert f"and that of {document['present'][:7]} trained, on one machine, a short run" in words
    apart = {"patchtst": 0.0, "time-llama-order": 0.0}
    for each in document["commits"]:
        for run in each["apart"]:
            if not run["began"]:
                [name] = [name for name in apart if run["run"].split("/")[2].startswith(name)]
                apart[name] = max(apart[name], abs(run["now"]["mse"] / run["then"]["mse"] - 1))
    sizes = [f"{size:.0e}".replace("e-0", "e-") for size in apart.values()]
    assert f"test errors differ by {sizes[0]}." in words and f"the test errors differ by up to {sizes[1]}," in words
    again = kept[(kept["provenance/git_commit"] == document["present"]) & (kept["run/variant"] == "dlinear")]
    assert list(again["best_step"]) == [0, 0, 0]
    assert f"their mean is {again['mse'].mean():.3f} in place of" in words
