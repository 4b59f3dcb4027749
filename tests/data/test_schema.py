"""Configuration slips are told with their place, their value, the rule and the remedy, all at once."""

import re
from pathlib import Path

import pytest
import yaml

from timellama.core import schema
from timellama.core.errors import InputError

SCHEMA = """
$schema: https://json-schema.org/draft/2020-12/schema
type: object
additionalProperties: false
required: [budget]
properties:
  budget:
    description: What a run may use.
    type: object
    additionalProperties: false
    properties:
      batch_size: {description: Windows a step., type: integer, minimum: 1}
      rate: {description: Learning rate., type: number}
      loss: {description: The loss., type: string, enum: [mse, smape]}
      name: {description: A name., type: string, pattern: "^[a-z]+$"}
      steps: {description: Steps., anyOf: [{type: integer, minimum: 1}, {type: "null"}]}
  runs:
    description: Runs by name.
    type: object
    additionalProperties: false
    patternProperties:
      ^[a-z]+$: {description: A list., type: array, items: {description: One., type: integer}}
  marks:
    description: Marks by name.
    type: object
    propertyNames: {pattern: "^[a-z]+$"}
    additionalProperties: {type: integer}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "toy.schema.yaml"
    path.write_text(SCHEMA)
    return path


def problems(value: object, rules: Path) -> str:
    with pytest.raises(InputError) as caught:
        schema.check(value, schema=rules, origin="toy.yaml")
    return str(caught.value)


def test_a_right_value_passes(rules: Path) -> None:
    value = {"budget": {"batch_size": 4, "rate": 0.1, "loss": "mse", "steps": None}, "runs": {"a": [1]}}
    schema.check(value, schema=rules, origin="toy.yaml")


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ({"budget": {"batch_sise": 4}}, ["budget.batch_sise: unknown key; did you mean batch_size?", "Allowed keys:"]),
        ({"budget": {"batch_size": 0}}, ["budget.batch_size: is 0, but must be at least 1"]),
        ({"budget": {"batch_size": "4"}}, ["is '4', but must be a whole number (write the number without quotes)"]),
        ({"budget": {"loss": "msa"}}, ["must be one of mse, smape; did you mean mse?"]),
        ({"budget": {"loss": True}}, ["must be text (YAML reads yes, no, on and off as true or false"]),
        ({"budget": {"name": "A b"}}, ["budget.name: is 'A b', but must match the pattern ^[a-z]+$"]),
        ({"budget": {"steps": "many"}}, ["budget.steps: is 'many', but must be a whole number or empty (null)"]),
        ({"budget": {"steps": 0}}, ["budget.steps: is 0, but must be at least 1"]),
        ({}, ["budget: is missing; add it (What a run may use.)"]),
        ([], ["top level: is [], but must be a mapping"]),
        ({"budget": {}, "runs": {"A1": []}}, ["runs.A1: the name must match the pattern ^[a-z]+$"]),
        ({"budget": {}, "marks": {"A1": 1}}, ["marks.A1: the name must match the pattern ^[a-z]+$"]),
        ({"budget": {}, "runs": {"a": [1, "x"]}}, ["runs.a[1]: is 'x'"]),
        ({"budget": {"rate": float("nan")}}, ["budget.rate: nan is not allowed; give a finite number"]),
        ({"budget": {"rate": float("inf")}}, ["budget.rate: inf is not allowed"]),
        ({"budget": {7: 1}}, ["budget: the key 7 is not text; put it in quotes"]),
    ],
)
def test_each_problem_names_place_value_rule_and_remedy(value: object, parts: list[str], rules: Path) -> None:
    message = problems(value, rules)
    assert message.startswith("toy.yaml: 1 problem\n")
    for part in parts:
        assert part in message


def test_all_problems_come_at_once(rules: Path) -> None:
    message = problems({"budget": {"batch_size": 0, "loss": "x", "extra": 1}, "more": 2}, rules)
    assert message.startswith("toy.yaml: 4 problems\n")
    for place in ("budget.batch_size", "budget.loss", "budget.extra", "more"):
        assert f"- {place}: " in message


def test_a_value_that_holds_itself_is_told(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("budget: &b\n  rate: *b\n")
    with pytest.raises(InputError, match=re.escape("budget.rate: the alias refers to a value that holds it")):
        schema.load_yaml(path, schema=rules)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 1e-3), ("1E3", 1e3), ("-2.5e4", -2.5e4), (".5e1", 5.0), ("1.e-2", 0.01), ("3", 3)]
)
def test_numbers_with_an_exponent_are_numbers(text: str, number: float, rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"budget: {{rate: {text}}}\n")
    assert schema.load_yaml(path, schema=rules) == {"budget": {"rate": number}}


def test_words_with_digits_and_e_stay_text(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("budget: {name: e}\n")
    assert schema.load_yaml(path, schema=rules)["budget"]["name"] == "e"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("budget: {}\nbudget: {}\n", "the key 'budget' stands twice, on lines 1 and 2"),
        ("budget: {rate: 1,\n  rate: 2}\n", "the key 'rate' stands twice, on lines 1 and 2"),
        ("budget: [", "not valid YAML"),
        ("budget: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(text: str, part: str, rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(part)) as caught:
        schema.load_yaml(path, schema=rules)
    assert str(path) in str(caught.value)


def test_merge_keys_may_override(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("budget: {<<: {rate: 1, batch_size: 2}, rate: 3}\n")
    assert schema.load_yaml(path, schema=rules)["budget"] == {"rate": 3, "batch_size": 2}


def test_an_absent_file_and_a_binary_file_are_told(rules: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: cannot be read"):
        schema.load_yaml(tmp_path / "absent.yaml", schema=rules)
    (tmp_path / "latin.yaml").write_bytes("budget: {name: é}\n".encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read as UTF-8"):
        schema.load_yaml(tmp_path / "latin.yaml", schema=rules)


def walk(node: object, place: str) -> list[tuple[str, dict]]:
    """Every schema object below `node`, with its place."""
    if not isinstance(node, dict):
        return []
    found = [(place, node)]
    for group in ("properties", "patternProperties", "$defs"):
        for key, child in node.get(group, {}).items():
            found += walk(child, f"{place}/{group}/{key}")
    for key in ("items", "additionalProperties"):
        found += walk(node.get(key), f"{place}/{key}")
    for group in ("anyOf", "oneOf", "allOf"):
        for i, child in enumerate(node.get(group, [])):
            found += walk(child, f"{place}/{group}/{i}")
    return found


def test_every_schema_of_the_project_is_a_schema(root: Path) -> None:
    files = sorted((root / "workflow" / "schemas").glob("*.schema.yaml"))
    assert "datasets.schema.yaml" in [file.name for file in files]
    for file in files:
        loaded = yaml.safe_load(file.read_text())
        assert loaded["$schema"] == "https://json-schema.org/draft/2020-12/schema", file
        schema.Draft202012Validator.check_schema(loaded)


def test_a_schema_may_refer_to_its_neighbour(rules: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.schema.yaml"
    head = "$schema: https://json-schema.org/draft/2020-12/schema\n"
    other.write_text(head + "properties: {a: {$ref: 'toy.schema.yaml#/properties/budget'}}\n")
    with pytest.raises(InputError, match=re.escape("a.batch_size: is 0, but must be at least 1")):
        schema.check({"a": {"batch_size": 0}}, schema=other, origin="x")


def test_the_catalogues_schema_is_strict_and_described(root: Path) -> None:
    nodes = walk(yaml.safe_load((root / "workflow" / "schemas" / "datasets.schema.yaml").read_text()), "")
    assert len(nodes) > 30
    for place, node in nodes:
        if node.get("type") == "object":
            assert node.get("additionalProperties") is False, f"{place} lets unknown keys pass"
        for group in ("properties", "patternProperties"):
            for key, child in node.get(group, {}).items():
                assert child.get("description"), f"{place}/{group}/{key} has no description"
