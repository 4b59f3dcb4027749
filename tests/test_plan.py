"""A configuration becomes exactly the runs it names; a mistake in it is reported with key, value and remedy."""

import copy
import dataclasses
import subprocess
import sys

import pytest
import yaml

from tests import made_up
from tests.refusal import refused
from timellama.experiments import matrix as plan_module
from timellama.experiments.matrix import make_matrix
from timellama.reports.report_facts import report_facts


@pytest.fixture
def smoke(root):
    """The smoke configuration with one small grid."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    grid = {
        "datasets": {"Synthetic": {"context": 96, "horizons": [24, 48]}},
        "methods": ["time-llama", "patchtst", "dlinear", "rlinear", "seasonal-naive", "hour-of-day-mean"],
        "also": [{"dataset": "Synthetic", "method": "dlinear", "context": 48, "horizons": [24]}],
    }
    changed = {"seeds": [0, 1], "training": {"max_steps": 8}, "overrides": {}, "experiments": {"long_term": grid}}
    return config | changed


def test_every_configuration_plans(root):
    files = sorted((root / "config").glob("*.yaml"))
    names = {"config.yaml", "smoke.yaml", "cpu.yaml", "paper.yaml"}
    found = [file for file in files if file.name in names]
    assert {file.name for file in found} == names
    for file in found:
        matrix = make_matrix(yaml.safe_load(file.read_text(encoding="utf-8")), root=root)
        runs = matrix.every_run()
        assert runs and len({run.digest for run in runs.values()}) == len(runs), file


def test_the_grid_matches_hand_computed_numbers(root, smoke):
    matrix = make_matrix(smoke, root=root)
    runs = matrix.experiment("long_term")
    trained, floors, horizons, seeds = 4, 3, 2, 2
    beside = seeds + floors  # DLinear at another look-back, and the floors there
    assert len(runs) == horizons * (trained * seeds + floors) + beside
    assert {run.context for run in runs if run.variant == "dlinear"} == {96, 48}
    assert {run.seed for run in runs if run.training is None} == {0}
    llama = next(run for run in runs if run.variant == "time-llama")
    assert llama.options.rank == 4 and llama.backbone.name == "tiny-gpt2" and "{" not in llama.prompt
    assert all(run.backbone is None and run.prompt is None for run in runs if run.variant != "time-llama")
    assert len(matrix.cells("long_term")) == 7 * 2 + 1 + 3


def test_settings_override_each_other_in_their_order(root, smoke):
    def training(config, variant="time-llama"):
        return next(r for r in make_matrix(config, root=root).experiment("long_term") if r.variant == variant).training

    assert training(smoke).max_steps == 8
    smoke["overrides"] = {"time-llama": {"training": {"max_steps": 5}}}
    assert training(smoke).max_steps == 5 and training(smoke, "dlinear").max_steps == 8
    smoke["overrides"]["time-llama"]["datasets"] = {"Synthetic": {"training": {"max_steps": 3}}}
    assert training(smoke).max_steps == 3
    assert training(smoke, "dlinear").learning_rate == 0.005, "the authors' published rate"


def test_a_published_schedule_is_kept_beside_a_budget_of_the_configuration(root, smoke):
    def schedule(name, training):
        config = smoke | {"overrides": {"patchtst": {"training": {"max_steps": 3}}}, "training": training}
        config["experiments"] = {
            "schedules": {
                "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
                "methods": ["patchtst", "patchtst-published"],
            }
        }
        [found] = {
            run.training for run in make_matrix(config, root=root).experiment("schedules") if run.variant == name
        }
        return found.epochs, found.max_steps, found.batch_size

    published = yaml.safe_load((root / "config/methods.yaml").read_text(encoding="utf-8"))["patchtst"]["training"]
    assert schedule("patchtst-published", {}) == (published["epochs"], None, published["batch_size"])
    assert schedule("patchtst", {}) == (published["epochs"], 3, published["batch_size"])


def test_options_of_a_method_apply_to_its_variants_except_those_that_define_them(root, smoke):
    smoke["experiments"]["long_term"]["methods"] = ["time-llama", "time-llama-4"]
    smoke["overrides"] = {
        "time-llama": {"options": {"adapter": "none", "token_scale": 20.0}},
        "time-llama-4": {"datasets": {"Synthetic": {"options": {"token_scale": 5.0}}}},
    }
    runs = {run.variant: run.options for run in make_matrix(smoke, root=root).experiment("long_term")}
    assert (runs["time-llama"].adapter, runs["time-llama"].token_scale) == ("none", 20.0)
    assert (runs["time-llama-4"].adapter, runs["time-llama-4"].token_scale) == ("static", 5.0)


def test_runs_that_a_setting_does_not_affect_keep_their_identity(root, smoke):
    before = {r.folder for r in make_matrix(smoke, root=root).experiment("long_term")}
    changed = copy.deepcopy(smoke)
    changed["overrides"] = {"dlinear": {"training": {"max_steps": 9}}}
    after = {r.folder for r in make_matrix(changed, root=root).experiment("long_term")}
    assert all("/dlinear/" in folder for folder in before ^ after) and before ^ after


def test_variants_share_everything_except_their_own_option(root, smoke):
    smoke["overrides"] = {"time-llama": {"training": {"max_steps": 5}}}
    names = [
        "time-llama",
        "time-llama-4",
        "time-llama-random-frozen",
        "time-llama-prompt-other",
        "time-llama-prompt-empty",
    ]
    smoke["experiments"]["long_term"]["methods"] = names
    runs = {run.variant: run for run in reversed(make_matrix(smoke, root=root).experiment("long_term"))}
    full = runs["time-llama"]
    assert {run.training for run in runs.values() if run.method == "time-llama"} == {full.training}
    assert full.training.max_steps == 5
    assert (full.options.adapter, runs["time-llama-4"].options.adapter) == ("dynamic", "static")
    assert (full.backbone.weights, runs["time-llama-random-frozen"].backbone.weights) == ("pretrained", "random")
    assert runs["time-llama-prompt-empty"].prompt == ""
    assert runs["time-llama-prompt-other"].prompt != full.prompt != ""


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("seedz",), [0], ("seedz", "seeds?")),
        (("seeds",), [], ("seeds", "[]", 1)),
        (("seeds",), "0", ("seeds", "'0'", "list")),
        (("precision",), "float16", ("precision", "float16", "bfloat16")),
        (("threads",), 0, ("threads", 0, "1")),
        (("training", "batch_size"), -3, ("training.batch_size", -3)),
        (("training", "learning_rat"), 1.0, ("learning_rat", "learning_rate?")),
        (("backbones", 0, "name"), "GPT-5", ("GPT-5", "tiny-gpt2")),
        (("experiments", "long_term", "methods"), ["prophet"], ("prophet", "time-llama")),
        (("experiments", "long_term", "datasets"), {"Mars": {"context": 8, "horizons": [4]}}, ("Mars", "ETTh1")),
        (("experiments", "long_term", "datasets", "Synthetic", "horizons"), [24, 24], ("horizons", [24, 24])),
    ],
)
def test_a_mistake_is_named_with_value_and_remedy(root, smoke, path, value, named):
    place = smoke
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with refused("smoke", *named):
        make_matrix(smoke, root=root)


def test_a_prompt_belongs_to_the_runs_that_read_it(root, smoke):
    smoke["experiments"]["long_term"]["methods"] = ["time-llama", "time-llama-1", "gpt4ts"]
    runs = {run.variant: run for run in make_matrix(smoke, root=root).experiment("long_term")}
    assert runs["time-llama"].prompt and runs["time-llama-1"].prompt is None and runs["gpt4ts"].prompt is None
    assert runs["gpt4ts"].backbone == runs["time-llama"].backbone


def test_a_method_that_is_too_heavy_is_a_column_without_runs(root, smoke):
    smoke["experiments"]["long_term"]["not_run"] = ["time-llm"]
    matrix = make_matrix(smoke, root=root)
    assert "time-llm" not in {run.variant for run in matrix.experiment("long_term")}
    columns = [
        method for dataset, context, horizon, method in matrix.cells("long_term") if (context, horizon) == (96, 24)
    ]
    assert columns[:3] == ["time-llama", "Time-LLM", "patchtst"], "the order of methods.yaml"
    smoke["experiments"]["long_term"]["not_run"] = ["prophet"]
    with refused("smoke", "experiments.long_term", "not_run", "'prophet'", "time-llama"):
        make_matrix(smoke, root=root)


def test_the_heatmap_shows_only_the_grid_whatever_runs_beside_it(root, smoke):
    from timellama.reports import planned, registry

    def heatmap(matrix):
        return planned.runs_of(registry.reports(matrix.config["experiments"])["router_heatmap"], matrix)

    section = smoke["experiments"]["long_term"]
    before = heatmap(make_matrix(smoke, root=root))
    (name, setting), *_ = section["datasets"].items()
    more = [
        {"dataset": name, "method": "time-llama", "context": setting["context"] * 2, "horizons": setting["horizons"]},
        {"dataset": "ECL", "method": "time-llama", "context": 96, "horizons": [24]},
    ]
    matrix = make_matrix(smoke | {"experiments": {"long_term": section | {"also": more}}}, root=root)
    assert len(matrix.experiment("long_term")) > len(before) > 0
    assert heatmap(matrix) == before


def test_a_single_run_can_have_its_own_seeds(root, smoke):
    section = smoke["experiments"]["long_term"]
    (name, setting), *_ = section["datasets"].items()
    single = {"dataset": name, "method": "timesnet", "context": setting["context"], "horizons": setting["horizons"]}
    section["also"] = [single | {"seeds": [5, 7]}]
    matrix = make_matrix(smoke, root=root)
    assert {run.seed for run in matrix.experiment("long_term") if run.variant == "timesnet"} == {5, 7}
    others = {run.seed for run in matrix.experiment("long_term") if run.variant == "time-llama"}
    assert others == set(smoke["seeds"])


def test_a_look_back_of_a_single_season_has_no_mean_over_seasons(root, smoke):
    ili = {"context": 96, "horizons": [24]}
    smoke["experiments"]["long_term"] |= {"datasets": {"ILI": ili}, "also": []}
    matrix = make_matrix(smoke, root=root)
    assert "hour-of-day-mean" not in {r.variant for r in matrix.experiment("long_term") if r.dataset == "ILI"}
    assert ("ILI", 96, 24, "Hour-of-day mean") in matrix.cells("long_term"), "the table shows a dash"


def test_a_user_supplied_file_is_part_of_the_identity(root, smoke, tmp_path, monkeypatch):
    own = tmp_path / "own.csv"
    catalogue = plan_module.load_datasets(root)
    file = dataclasses.replace(catalogue["Synthetic"].files[0], source=str(own), sha256=None)
    entry = dataclasses.replace(catalogue["Synthetic"], files=(file,))
    monkeypatch.setattr(plan_module, "load_datasets", lambda _: catalogue | {"Synthetic": entry})

    def digests():
        return {run.digest for run in make_matrix(smoke, root=root).experiment("long_term")}

    absent = digests()
    own.write_text("date,a\n", encoding="utf-8")
    before = digests()
    own.write_text("date,b\n", encoding="utf-8")
    assert not absent & before and not before & digests()


def test_an_absent_experiment_is_refused_and_the_configuration_named(root, smoke):
    with refused("smoke", "'long_trem'", "long_term?", "--configfile"):
        make_matrix(smoke, root=root).experiment("long_trem")
    with refused("smoke", "few_shot", "--configfile"):
        make_matrix(smoke, root=root).experiment("few_shot")


def test_backbones_are_needed_only_by_the_methods_that_run_on_one(root, smoke):
    with_one = make_matrix(smoke, root=root).every_run()
    del smoke["backbones"]
    with refused("experiments.long_term", "'time-llama'", "backbones"):
        make_matrix(smoke, root=root)
    grid = smoke["experiments"]["long_term"]
    grid["methods"].remove("time-llama")
    matrix = make_matrix(smoke, root=root)
    assert set(matrix.every_run()) == {folder for folder, run in with_one.items() if run.backbone is None}
    assert report_facts(matrix, "long_term", absent={})["backbone"] == ""
    grid |= {"methods": ["time-llama"], "backbones": [{"name": "tiny-gpt2", "blocks": 2, "rank": 4}], "also": []}
    again = make_matrix(smoke, root=root).every_run()
    assert {f for f, run in again.items() if run.backbone} == {f for f, run in with_one.items() if run.backbone}


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        (("experiments", "long_term", "methods"), ["dlinaer"], "dlinear"),
        (("experiments", "long_term", "datasets"), {"synthetic": {"context": 96, "horizons": [24]}}, "Synthetic"),
        (("experiments", "long_term", "not_run"), ["timelm"], "time-llm"),
        (("backbones", 0, "name"), "tiny_gpt2", "tiny-gpt2"),
        (("overrides",), {"patch-tst": {}}, "patchtst"),
    ],
)
def test_a_name_that_no_catalogue_has_is_reported_with_the_one_that_was_meant(root, smoke, path, value, meant):
    at = smoke
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    written = value if isinstance(value, str) else next(iter(value))
    with refused("smoke", f"'{written}'", f"{meant}?"):
        make_matrix(smoke, root=root)


def test_mistakes_in_user_supplied_methods_are_reported_with_the_configurations_file_and_key(root, smoke):
    own = made_up.METHOD | {"method": "dlinear", "options": {"kernle": 3}}
    with refused("config/own.yaml", "methods", "mine.options.kernle", "kernel?"):
        make_matrix(smoke | {"methods": {"mine": own}}, root=root, origin="config/own.yaml")


def test_planning_needs_no_torch(root):
    modules = "timellama.experiments.matrix, timellama.training.build, timellama.core.provenance"
    code = f"import sys, {modules}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "timellama.experiments.matrix" in loaded
    assert not {"torch", "transformers", "pandas", "numpy", "scipy"} & set(loaded)


def test_efficiency_sweeps_have_published_options_and_depend_on_nothing_else(root, smoke):
    section = {"settings_of": "Traffic", "context": 512, "horizon": 96, "variates": [7, 21], "batch_sizes": [1, 32]}
    section |= {
        "methods": ["patchtst", "time-llama"],
        "threads": 2,
        "seconds": 1,
        "longest_call": 9,
        "memory_share": 0.5,
    }
    smoke["experiments"]["efficiency"] = section
    matrix = make_matrix(smoke, root=root)
    ours, theirs = matrix.efficiency()
    assert (ours.run.variant, theirs.run.variant) == ("time-llama", "patchtst"), "the order of methods.yaml"
    assert "efficiency" not in matrix.runs and ours.run.folder not in matrix.every_run()
    assert (theirs.run.options.width, theirs.run.context, theirs.run.horizon) == (128, 512, 96)
    assert "862 sensors" in ours.run.prompt and ours.run.backbone.name == "tiny-gpt2"
    assert list(ours.cells()) == [(7, 1), (21, 1), (7, 32), (21, 32)]
    before = set(matrix.sweeps)
    smoke["training"], smoke["seeds"] = {"max_steps": 3}, [5]
    assert set(make_matrix(smoke, root=root).sweeps) == before
    section["threads"] = 1
    assert not set(make_matrix(smoke, root=root).sweeps) & before
    del smoke["experiments"]["efficiency"]
    with refused("smoke", "'efficiency'", "--configfile"):
        make_matrix(smoke, root=root).efficiency()


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("settings_of", "Mars", ("Mars", "Traffic")),
        ("variates", [], ("variates", [])),
        ("batch_sizes", [0], ("batch_sizes[0]", 0)),
        ("methods", ["prophet"], ("prophet", "time-llama")),
        ("seconds", 0, ("seconds", 0)),
        ("memory_share", 1.5, ("memory_share", 1.5)),
        ("second", 1, ("second", "seconds?")),
    ],
)
def test_a_mistake_in_the_efficiency_section_is_named(root, smoke, key, value, named):
    good = {"settings_of": "Traffic", "context": 512, "horizon": 96, "variates": [7], "batch_sizes": [1]}
    good |= {"methods": ["dlinear"], "threads": 1, "seconds": 1, "longest_call": 9, "memory_share": 0.5}
    smoke["experiments"]["efficiency"] = good | {key: value}
    with refused("smoke", *named):
        make_matrix(smoke, root=root)
