"""config/methods.yaml against its schema and the methods' options: the same fields, known sources, buildable."""

import copy
import dataclasses
import inspect

import jsonschema
import pytest
import yaml

from timellama.experiments.run import OPTIONS, TRAINS_NOTHING, Training
from timellama.methods.dlinear import DLinear
from timellama.methods.gpt4ts import GPT4TS
from timellama.methods.itransformer import ITransformer
from timellama.methods.naive import HourOfDayMean, SeasonalNaive
from timellama.methods.patchtst import PatchTST
from timellama.methods.rlinear import RLinear
from timellama.methods.time_llm import TimeLLM
from timellama.methods.timesnet import TimesNet

ORDER = [
    "time-llama",
    "time-llm",
    "gpt4ts",
    "patchtst",
    "dlinear",
    "timesnet",
    "itransformer",
    "rlinear",
    "seasonal-naive",
    "hour-of-day-mean",
]


@pytest.fixture(scope="module")
def methods(root) -> dict:
    return yaml.safe_load((root / "config" / "methods.yaml").read_text())


@pytest.fixture(scope="module")
def schema(root) -> dict:
    return yaml.safe_load((root / "workflow" / "schemas" / "methods.schema.yaml").read_text())


def test_file_fits_its_schema(methods, schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(methods, schema)


def test_schema_has_one_definition_a_method(schema):
    assert set(schema["$defs"]) == set(OPTIONS) | {"training"}
    patterns = schema["additionalProperties"]
    assert patterns["properties"]["method"]["enum"] == list(OPTIONS)
    assert [rule["if"]["properties"]["method"]["const"] for rule in patterns["allOf"]] == list(OPTIONS)


@pytest.mark.parametrize("name", ["training", *OPTIONS])
def test_schema_properties_are_the_fields_of_the_dataclass(schema, name):
    kind = Training if name == "training" else OPTIONS[name]
    definition = schema["$defs"][name]
    assert list(definition["properties"]) == [field.name for field in dataclasses.fields(kind)]
    assert definition["additionalProperties"] is False


@pytest.mark.parametrize("name", ["training", *OPTIONS])
def test_defaults_fit_the_schema(schema, name):
    kind = Training if name == "training" else OPTIONS[name]
    jsonschema.validate(dataclasses.asdict(kind()), schema["$defs"][name])


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
        ("seasonal-naive", SeasonalNaive),
        ("hour-of-day-mean", HourOfDayMean),
    ],
)
def test_options_are_what_a_constructor_asks_for_beside_sizes_and_backbone(name, kind):
    given = {"context", "horizon", "variates", "season", "backbone", "tokenise", "description"}
    given |= {"embedding_table", "embedding_scale"}
    parameters = inspect.signature(kind).parameters
    assert {field.name for field in dataclasses.fields(OPTIONS[name])} == set(parameters) - given
    assert all(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters.values())


def test_columns_are_in_order(methods):
    assert [name for name in methods if name in ORDER] == ORDER
    labels = [entry["label"] for entry in methods.values()]
    assert len(set(labels)) == len(labels)


def test_every_entry_builds_and_states_no_default(methods):
    assert methods
    for name, entry in methods.items():
        kind = OPTIONS[entry["method"]]
        for override in ({}, *entry["datasets"].values()):
            options = entry["options"] | override.get("options", {})
            training = entry["training"] | override.get("training", {})
            Training(**training)
            kind(**options)
            assert dataclasses.asdict(kind(**options)).items() >= options.items()
        default = dataclasses.asdict(kind())
        assert [key for key, value in entry["options"].items() if default[key] == value] == [], name
        if entry["method"] in TRAINS_NOTHING:
            assert entry["training"] == {}


def test_overrides_name_data_sets_of_the_catalogue(methods, root):
    catalogue = yaml.safe_load((root / "config" / "datasets.yaml").read_text())["datasets"]
    subsets = {name for name in catalogue if name.startswith("M4-")}
    assert len(subsets) == 6
    for name, entry in methods.items():
        assert set(entry["datasets"]) <= set(catalogue), name
        if entry["method"] not in TRAINS_NOTHING:
            assert set(entry["datasets"]) >= subsets, name
            assert {entry["datasets"][subset]["training"]["loss"] for subset in subsets} == {"smape"}


def test_overrides_change_something(methods):
    """An override that repeats what it overrides hides which settings a data set really changes."""
    seen = 0
    for name, entry in methods.items():
        base = {
            "options": dataclasses.asdict(OPTIONS[entry["method"]](**entry["options"])),
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
        options = OPTIONS["time-llama"](**(entry["options"] | override.get("options", {})))
        assert training.learning_rate == float(row["lr"]), row
        assert training.loss == row["loss"].lower()
        assert training.batch_size == int(row["batch_size"])
        assert training.epochs == int(row["epochs"])
        assert (options.heads, options.rank, options.active) == tuple(
            int(row[column]) for column in ("heads_K", "rank_r", "active_n")
        )


def test_floor_is_what_has_nothing_to_choose(methods):
    assert {name for name, entry in methods.items() if entry["floor"]} == {
        "rlinear",
        "seasonal-naive",
        "hour-of-day-mean",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["dlinear", "options", "kernal"], 25),
        (["dlinear", "datasets", "ETTh1"], {"options": {"rank": 8}}),
        (["dlinear", "datasets", "ETTh1"], {"seed": 3}),
        (["dlinear", "training", "learning_rate"], 0),
        (["dlinear", "training", "lr"], 0.1),
        (["dlinear", "method"], "autoformer"),
        (["dlinear", "note"], "x"),
        (["patchtst", "options", "dropout"], 1.0),
        (["D Linear"], {}),
    ],
)
def test_a_mistake_is_refused(methods, schema, path, value):
    broken = copy.deepcopy(methods)
    *parents, last = path
    entry = broken
    for parent in parents:
        entry = entry[parent]
    entry[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)
