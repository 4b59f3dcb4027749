"""config/methods.yaml against its models and options dataclasses: known fields and sources, buildable entries."""

import dataclasses
import inspect
import json

import pytest
import yaml

from tests.refusal import refused
from timellama.core.schema import validate
from timellama.experiments.methods_file import methods_file
from timellama.experiments.run import Training
from timellama.methods.dlinear.network import DLinear
from timellama.methods.gpt4ts.network import GPT4TS
from timellama.methods.itransformer.network import ITransformer
from timellama.methods.m4_benchmarks.network import Comb, Naive1
from timellama.methods.naive.network import HourOfDayMean, LookBackMean, SeasonalNaive
from timellama.methods.patchtst.network import PatchTST
from timellama.methods.registry import every_method, method_of, trains_nothing
from timellama.methods.rlinear.network import RLinear
from timellama.methods.time_llm.network import TimeLLM
from timellama.methods.timesnet.network import TimesNet

M4_BENCHMARKS = ["naive1", "naive2", "ses", "holt", "damped", "theta", "comb"]
ORDER = [
    "time-llama",
    "time-llm",
    "gpt4ts",
    "patchtst",
    "dlinear",
    "timesnet",
    "itransformer",
    "rlinear",
    "look-back-mean",
    "seasonal-naive",
    "hour-of-day-mean",
    *M4_BENCHMARKS,
]


@pytest.fixture(scope="module")
def methods(root) -> dict:
    return yaml.safe_load((root / "config" / "methods.yaml").read_text())


def test_the_file_validates_and_settings_stay_as_written(methods):
    entries = validate(methods, methods_file(), origin="methods.yaml")
    assert list(entries) == list(methods)
    for name, entry in entries.items():
        assert (entry.method, entry.options, entry.training) == tuple(
            methods[name][key] for key in ("method", "options", "training")
        )


def test_the_file_may_name_every_method(methods):
    assert set(every_method()) == set(ORDER)
    for name in every_method():
        entry = methods["dlinear"] | {"method": name, "options": {}, "datasets": {}}
        assert validate({"a": entry}, methods_file(), origin="x")["a"].method == name


@pytest.mark.parametrize("name", ["training", *every_method()])
def test_defaults_satisfy_their_own_rules(methods, name):
    kind = Training if name == "training" else method_of(name).options
    given = {"training" if name == "training" else "options": dataclasses.asdict(kind()), "datasets": {}}
    entry = methods["dlinear"] | {"method": "dlinear" if name == "training" else name, "options": {}} | given
    assert validate({"a": entry}, methods_file(), origin="x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("time-llm", TimeLLM),
        ("gpt4ts", GPT4TS),
        ("patchtst", PatchTST),
        ("dlinear", DLinear),
        ("timesnet", TimesNet),
        ("itransformer", ITransformer),
        ("rlinear", RLinear),
        ("look-back-mean", LookBackMean),
        ("seasonal-naive", SeasonalNaive),
        ("hour-of-day-mean", HourOfDayMean),
        ("naive1", Naive1),
        ("comb", Comb),
    ],
)
def test_options_are_the_constructors_parameters_other_than_sizes_and_backbone(name, kind):
    given = {"context", "horizon", "variates", "season", "calendar", "backbone", "tokenise", "description"}
    given |= {"embedding_table", "embedding_scale"}
    parameters = inspect.signature(kind).parameters
    assert {field.name for field in dataclasses.fields(method_of(name).options)} == set(parameters) - given
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters.values())


def test_columns_are_in_order(methods):
    assert [name for name in methods if name in ORDER] == ORDER
    labels = [entry["label"] for entry in methods.values()]
    assert len(set(labels)) == len(labels)


def test_every_entry_builds_and_repeats_no_default(methods):
    assert methods
    for name, entry in methods.items():
        kind = method_of(entry["method"]).options
        for override in ({}, *entry["datasets"].values()):
            options = entry["options"] | override.get("options", {})
            training = entry["training"] | override.get("training", {})
            Training(**training)
            kind(**options)
            assert dataclasses.asdict(kind(**options)).items() >= options.items()
        default = dataclasses.asdict(kind())
        assert [key for key, value in entry["options"].items() if default[key] == value] == [], name
        if entry["method"] in trains_nothing():
            assert entry["training"] == {}


def test_overrides_name_data_sets_in_the_catalogue(methods, root):
    catalogue = yaml.safe_load((root / "config" / "datasets.yaml").read_text())["datasets"]
    subsets = {name for name in catalogue if name.startswith("M4-")}
    assert len(subsets) == 6
    for name, entry in methods.items():
        assert set(entry["datasets"]) <= set(catalogue), name
        if entry["method"] not in trains_nothing():
            assert set(entry["datasets"]) >= subsets, name
            assert {entry["datasets"][subset]["training"]["loss"] for subset in subsets} == {"smape"}


def test_overrides_change_something(methods):
    """An override that repeats what it overrides hides which settings a data set really changes."""
    seen = 0
    for name, entry in methods.items():
        base = {
            "options": dataclasses.asdict(method_of(entry["method"]).options(**entry["options"])),
            "training": dataclasses.asdict(Training(**entry["training"])),
        }
        for dataset, override in entry["datasets"].items():
            for part, changes in override.items():
                for key, value in changes.items():
                    assert base[part][key] != value, (name, dataset, key)
                    seen += 1
    assert seen > 50


def test_time_llama_follows_table_7(methods, root):
    with (root / "config" / "published" / "table7_training.csv").open() as file:
        header, *rows = (line.strip().split(",") for line in file)
    entry = methods["time-llama"]
    names = {"Electricity": "ECL", "M4": "M4-Monthly"}
    assert len(rows) == 7
    for row in (dict(zip(header, row, strict=True)) for row in rows):
        override = entry["datasets"].get(names.get(row["dataset"], row["dataset"]), {})
        training = Training(**(entry["training"] | override.get("training", {})))
        options = method_of("time-llama").options(**(entry["options"] | override.get("options", {})))
        assert training.learning_rate == float(row["lr"]), row
        assert training.loss == row["loss"].lower()
        assert training.batch_size == int(row["batch_size"])
        assert training.epochs == int(row["epochs"])
        assert (options.heads, options.rank, options.active) == tuple(
            int(row[column]) for column in ("heads_K", "rank_r", "active_n")
        )


def test_the_floor_consists_of_methods_with_nothing_to_choose(methods):
    assert {name for name, entry in methods.items() if entry["floor"]} == {
        "rlinear",
        "look-back-mean",
        "seasonal-naive",
        "hour-of-day-mean",
        *M4_BENCHMARKS,
    }


@pytest.mark.parametrize(
    ("path", "value", "place", "named"),
    [
        (["options", "kernal"], 25, "options.kernal", ("kernel?",)),
        (["datasets", "ETTh1"], {"options": {"rank": 8}}, "datasets.ETTh1.options.rank", ("kernel", "individual")),
        (["datasets", "ETTh1"], {"seed": 3}, "datasets.ETTh1.seed", ("options", "training")),
        (["datasets", "ETTh1"], {}, "datasets.ETTh1", ("options", "training")),
        (["training", "learning_rate"], 0, "training.learning_rate", (0,)),
        (["training", "lr"], 0.1, "training.lr", ("learning_rate",)),
        (["method"], "autoformer", "method", ("'autoformer'",)),
        (["note"], "x", "note", ("citation",)),
        (["backbone"], {"weights": "random"}, "backbone", ("random", "null")),
    ],
)
def test_a_mistake_is_refused(methods, path, value, place, named):
    broken = json.loads(json.dumps(methods))  # entries that share settings in the file share none here
    at = broken["dlinear"]
    for parent in path[:-1]:
        at = at[parent]
    at[path[-1]] = value
    with refused("methods.yaml", f"dlinear.{place}", *named) as caught:
        validate(broken, methods_file(), origin="methods.yaml")
    assert len(str(caught.value).splitlines()) == 2  # the one problem, on a line of its own


def test_the_name_of_an_entry_is_plain(methods):
    with refused("methods.yaml", "D Linear"):
        validate({"D Linear": methods["dlinear"]}, methods_file(), origin="methods.yaml")
