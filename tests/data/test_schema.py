"""Mistakes in configurations are reported with their location, value, rule and remedy, all at once."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jsonschema
import pytest
import yaml
from pydantic import Field, model_validator

from tests.printed import blocks
from tests.refusal import refused
from timellama.core import schema
from timellama.core.schema import Model, broken
from timellama.core.values import AsWritten, Count, Distinct, Maybe, Share

Word = Annotated[str, Field(pattern="^[a-z]+$")]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The contents of a dataclass are checked too."""

    batch_size: Annotated[Count, Field(description="Windows a step.")] = 8
    rate: float = 0.1


class Estimate(Model):
    batch_size: Count = 8
    rate: Annotated[float, Field(strict=True)] = 0.1
    loss: Literal["mse", "smape"] = "mse"
    name: Word = "a"
    steps: Count | None = None
    seeds: Maybe[Distinct[Count]] = None
    limits: AsWritten[Limits] = Field(default_factory=dict)


class Square(Model):
    kind: Literal["square"]
    side: Share = Field(description="Length of a side.")


class Circle(Model):
    kind: Literal["circle"]
    radius: float

    @model_validator(mode="after")
    def _fits(self) -> "Circle":
        if self.radius > 1:
            raise broken((("radius",), self.radius, "must fit into the square; make it smaller"))
        return self


class Toy(Model):
    budget: Estimate = Field(description="What a run may use.")
    runs: dict[Word, list[Annotated[int, Field(strict=True)]]] = Field(default_factory=dict)
    shapes: dict[str, Annotated[Square | Circle, Field(discriminator="kind")]] = Field(default_factory=dict)


def problems(value: object, *named: object) -> int:
    with refused("toy.yaml", *named) as caught:
        schema.validate(value, Toy, origin="toy.yaml")
    return str(caught.value).count("\n")  # one line per problem, below the first line


def test_a_valid_value_becomes_a_model_and_settings_stay_as_written() -> None:
    value = {"batch_size": 4, "rate": 1, "loss": "smape", "steps": None, "seeds": [1, 2], "limits": {"rate": 1}}
    toy = schema.validate({"budget": value, "runs": {"a": [1]}}, Toy, origin="toy.yaml")
    assert (toy.budget.batch_size, toy.budget.loss, toy.budget.seeds, toy.runs) == (4, "smape", (1, 2), {"a": [1]})
    assert repr(toy.budget.limits) == "{'rate': 1}"  # neither other keys nor 1.0, which would change the digest


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"budget": {"batch_sise": 4}}, ("budget.batch_sise", "batch_size?", "steps")),
        ({"budget": {"batch_size": 0}}, ("budget.batch_size", 0)),
        ({"budget": {"batch_size": "4"}}, ("budget.batch_size", "'4'", "quotes")),
        ({"budget": {"loss": "msa"}}, ("budget.loss", "'msa'", "mse", "smape", "mse?")),
        ({"budget": {"loss": True}}, ("budget.loss", True, "quotes")),
        ({"budget": {"name": "A b"}}, ("budget.name", "'A b'", "^[a-z]+$")),
        ({"budget": {"steps": "many"}}, ("budget.steps", "'many'", "null")),
        ({"budget": {"steps": 0}}, ("budget.steps", 0)),
        ({}, ("budget", "What a run may use.")),
        ([], ("top level", "[]", "key: value")),
        ({"budget": {}, "runs": {"A1": []}}, ("runs.A1", "^[a-z]+$")),
        ({"budget": {}, "runs": {"a": [1, "x"]}}, ("runs.a[1]", "'x'", "quotes")),
        ({"budget": {"seeds": [1, 1]}}, ("budget.seeds", "[1, 1]")),
        ({"budget": {"seeds": None}}, ("budget.seeds", None, "list")),
        (
            {"budget": {"limits": {"batch_sise": 4}}},
            ("budget.limits.batch_sise", "batch_size?"),
        ),
        ({"budget": {"limits": {"batch_size": 0}}}, ("budget.limits.batch_size", 0)),
        ({"budget": {"limits": []}}, ("budget.limits", "[]", "key: value")),
        (
            {"budget": {}, "shapes": {"a": {"kind": "square"}}},
            ("shapes.a.side", "Length of a side."),
        ),
        ({"budget": {}, "shapes": {"a": {"kind": "sqare"}}}, ("shapes.a.kind", "'sqare'", "square?")),
        ({"budget": {}, "shapes": {"a": {"side": 1}}}, ("shapes.a.kind", "square", "circle")),
        ({"budget": {}, "shapes": {"a": 1}}, ("shapes.a", 1, "key: value")),
        (
            {"budget": {}, "shapes": {"a": {"kind": "square", "side": 2}}},
            ("shapes.a.side", 2, "1.0"),
        ),
        (
            {"budget": {}, "shapes": {"a": {"kind": "circle", "radius": 2}}},
            ("shapes.a.radius", "2.0"),
        ),
        ({"budget": {"rate": float("nan")}}, ("budget.rate", "nan")),
        ({"budget": {"rate": float("inf")}}, ("budget.rate", "inf")),
        ({"budget": {7: 1}}, ("budget", 7, "quotes")),
    ],
)
def test_each_problem_names_location_value_and_remedy(value: object, named: tuple) -> None:
    assert problems(value, *named) == 1


def test_all_problems_are_reported_at_once() -> None:
    value = {"budget": {"batch_size": 0, "loss": "x", "extra": 1}, "more": 2}
    assert problems(value, "budget.batch_size", "budget.loss", "budget.extra", "more") == 4


def test_a_value_that_contains_itself_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("budget: &b\n  rate: *b\n")
    with refused(path, "budget.rate"):
        schema.load_yaml(path, Toy)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 1e-3), ("1E3", 1e3), ("-2.5e4", -2.5e4), (".5e1", 5.0), ("1.e-2", 0.01), ("3", 3)]
)
def test_numbers_with_an_exponent_are_numbers(text: str, number: float, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"budget: {{rate: {text}}}\n")
    assert schema.load_yaml(path, Toy).budget.rate == number


def test_words_with_digits_and_e_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("budget: {name: e}\n")
    assert schema.load_yaml(path, Toy).budget.name == "e"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ("key: value",)),
        ("# only a comment\n", ("key: value",)),
        ("budget: {}\nbudget: {}\n", ("budget", 1, 2)),
        ("budget: {rate: 1,\n  rate: 2}\n", ("rate", 1, 2)),
        ("budget: [", ("line 2", "column 1")),
        ("budget: !!python/object/apply:os.getcwd []", ("line 1", "column 9", "python/object/apply:os.getcwd")),
    ],
)
def test_an_empty_ambiguous_or_unsafe_file_is_refused(text: str, named: tuple, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with refused(path, *named):
        schema.load_yaml(path, Toy)


def test_merge_keys_may_override(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("budget: {<<: {rate: 1, batch_size: 2}, rate: 3}\n")
    budget = schema.load_yaml(path, Toy).budget
    assert (budget.rate, budget.batch_size) == (3, 2)


def test_an_absent_file_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "absent.yaml", "YAML"):
        schema.load_yaml(tmp_path / "absent.yaml", Toy)
    (tmp_path / "latin.yaml").write_bytes("budget: {name: é}\n".encode("latin-1"))
    with refused(tmp_path / "latin.yaml", "UTF-8"):
        schema.load_yaml(tmp_path / "latin.yaml", Toy)


FILES = {"config": "config", "smoke": "config", "cpu": "config", "gpu": "config", "paper": "config"}
FILES |= {name: name for name in ("datasets", "backbones", "methods")}
TYPOS = {  # a key of each kind of file, and its misspelling
    "config": ("experiments.long_term.methods", "metods"),
    "datasets": ("datasets.ETTh1.files", "flies"),
    "backbones": ("GPT-2.licence", "license"),
    "methods": ("dlinear.training.learning_rate", "lr"),
}


def opened(root: Path, name: str) -> tuple[dict, jsonschema.Draft202012Validator]:
    """A file of config/ and the validator that an editor uses for it."""
    return read_by_an_editor((root / f"config/{name}.yaml").read_text(encoding="utf-8"), root)


def read_by_an_editor(text: str, root: Path) -> tuple[dict, jsonschema.Draft202012Validator]:
    """What a file of config/ holds, and the validator of the schema that its first line names."""
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named, "the first line does not name a schema"
    loaded = json.loads((root / "config" / named[1]).read_text(encoding="utf-8"))
    assert loaded["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(loaded)
    return yaml.safe_load(text), jsonschema.Draft202012Validator(loaded)


def test_every_file_of_the_folder_is_checked(root: Path) -> None:
    assert {path.stem for path in root.glob("config/*.yaml")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_an_editor_accepts_the_file_and_marks_a_typo(root: Path, name: str) -> None:
    content, validator = opened(root, name)
    assert [error.message for error in validator.iter_errors(content)] == []
    place, typo = TYPOS[FILES[name]]
    *way, key = place.split(".")
    at = content
    for part in way:
        at = at[part]
    at[typo] = at.pop(key)
    assert typo in " ".join(error.message for error in validator.iter_errors(content))


def test_an_editor_accepts_the_configurations_that_docs_adding_prints(root: Path) -> None:
    printed = [text for text in blocks("yaml") if re.search(r"^name: ", text, flags=re.MULTILINE)]
    for text in printed:
        content, validator = read_by_an_editor(text, root)
        assert [error.message for error in validator.iter_errors(content)] == [], content["name"]
    assert len(printed) > 5


@pytest.mark.parametrize("name", sorted(set(FILES.values())))
def test_the_schemas_are_strict_and_described(root: Path, name: str) -> None:
    _, validator = opened(root, name)
    kinds = validator.schema.get("$defs", {})
    assert len(kinds) >= 4
    for kind, node in [*kinds.items(), ("the file", validator.schema)]:
        if kind != "Architecture":  # transformers' own configuration, whose keys are not ours
            assert node["additionalProperties"] is False, f"{kind} lets unknown keys pass"
        for key, rule in node.get("properties", {}).items():
            options = kind.endswith("Options")  # described where the source has a comment
            assert rule.get("description") or options, f"{kind}.{key} has no description"
