"""Every key of every configuration and catalogue, made invalid in each way that its schema knows, is reported.

The message must hold the key's location. The cases are not written down: they are generated from the schemas and from
the project's own files, so a new key is covered from the start.
"""

import copy
import functools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.refusal import refused
from timellama.core import schema as schema_module
from timellama.core.errors import InputError
from timellama.data.catalogue.datasets import load_catalogue
from timellama.experiments import matrix as plan_module
from timellama.experiments.matrix import make_matrix

CONFIGURATIONS = ("config", "smoke", "cpu", "paper")
CATALOGUES = ("datasets", "backbones", "methods")
STRANGER = "key_that_no_schema_knows"
# A value of a wrong type fails because of its type only. A mapping adds nothing to a list, and fractions follow below.
OF_TYPE = {"array": [], "string": "many", "boolean": True, "null": None}
LEAST_CASES = {"config": 400, "smoke": 450, "cpu": 480, "paper": 340, "datasets": 220, "backbones": 190, "methods": 900}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A mistake: the value `wrong` at `place` or, if `kind` is "missing", no value there."""

    kind: str
    place: tuple[str | int, ...]
    wrong: Any = None

    def applied(self, content: Any) -> Any:
        """A copy of `content` with the mistake. Missing mappings on the way to the key are created."""
        content = copy.deepcopy(content)
        *way, last = self.place
        at = content
        for part in way:
            at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
        if self.kind == "missing":
            del at[last]
        else:
            at[last] = self.wrong
        return content

    @property
    def told_as(self) -> str:
        """The location as messages write it."""
        text = ""
        for part in self.place:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
        return text


class Sweep:
    """Every case of one file under its schema. A rule that applies in many places is broken in the first of them."""

    def __init__(self, file: Path):
        self.root = json.loads(file.read_text(encoding="utf-8"))

    def cases(self, value: Any) -> list[Case]:
        found: dict[tuple, Case] = {}
        for rule, case in self._of(self.root, value, ()):
            found.setdefault((rule, case.kind, repr(case.wrong)), case)
        return list(found.values())

    def _of(self, node: Any, value: Any, place: tuple) -> Iterator[tuple[tuple, Case]]:
        """The cases of the schema `node`; `value` is the file's content there, or None for nothing.

        Each is paired with a key for its rule: the identity of the schema's node, which stays alive in `root`.
        """
        if not isinstance(node, dict):
            return
        rule = (id(node),)  # that of a reference, so that each key that refers to a rule still counts
        node, nullable = self._resolved(node), False
        if {"type": "null"} in node.get("anyOf", ()):
            [form] = [form for form in node["anyOf"] if form != {"type": "null"}]
            node, nullable = self._resolved(form), True
        if place:
            yield from ((rule, case) for case in self._values(node, place) if not nullable or case.wrong is not None)
        if "discriminator" in node:
            chooser = node["discriminator"]
            if isinstance(value, dict):
                yield from self._of({"$ref": chooser["mapping"][value[chooser["propertyName"]]]}, value, place)
            return
        yield from self._keys(node, value, place)
        if isinstance(value, list) and "items" in node:
            for number, item in enumerate(value[:1]):
                yield from self._of(node["items"], item, (*place, number))

    def _resolved(self, node: dict) -> dict:
        while "$ref" in node:
            node = self.root["$defs"][node["$ref"].split("/")[-1]]
        return node

    def _keys(self, node: dict, value: Any, place: tuple) -> Iterator[tuple[tuple, Case]]:
        """The cases of an object: each key that the schema names and each key of the file."""
        if not isinstance(value, dict):
            return
        named = node.get("properties", {})
        if node.get("type") == "object" and node.get("additionalProperties") is False:
            yield (id(node),), Case(kind="unknown", place=(*place, STRANGER), wrong=1)
        for key in node.get("required", ()):
            if key in value:
                yield (id(node), key), Case(kind="missing", place=(*place, key))
        for key, child in named.items():
            yield from self._of(child, value.get(key), (*place, key))
        others = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
        for key, item in value.items():
            for child in others if key not in named else ():
                yield from self._of(child, item, (*place, key))

    def _values(self, node: dict, place: tuple) -> Iterator[Case]:
        """Values that each break one rule of `node`."""
        kinds = node.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        for kind, wrong in OF_TYPE.items():
            if kinds and kind not in kinds and not (wrong is True and "on" in node.get("enum", ())):  # YAML's own `on`
                yield Case(kind="type", place=place, wrong=wrong)
        if kinds and {"integer", "number"} & set(kinds):
            yield Case(kind="type", place=place, wrong=float("nan"))
            yield Case(kind="type", place=place, wrong=float("inf"))
        if kinds and "integer" in kinds and "number" not in kinds:
            yield Case(kind="type", place=place, wrong=1.5)
        outside = {
            "minimum": lambda rule: rule - 1,
            "maximum": lambda rule: rule + 1,
            "exclusiveMinimum": lambda rule: rule,
            "exclusiveMaximum": lambda rule: rule,
            "minLength": lambda rule: "x" * (rule - 1),
            "minItems": lambda rule: [],
            "minProperties": lambda rule: {},
            "enum": lambda rule: "none of them",
            "const": lambda rule: "none of them",
            "uniqueItems": lambda rule: [1, 1],
            "pattern": lambda rule: "../../\n",
        }
        for rule, wrong in outside.items():
            if rule in node:
                yield Case(kind="range", place=place, wrong=wrong(node[rule]))


@pytest.fixture(scope="module")
def planned(root):
    """Plans a configuration; a file whose content was read before is not reread."""
    patch = pytest.MonkeyPatch()
    patch.setattr(schema_module, "read_yaml", once(schema_module.read_yaml))
    datasets = once(load_catalogue)
    patch.setattr(plan_module, "load_datasets", lambda folder: datasets(folder / "config/datasets.yaml"))
    for name in ("load_backbones", "load_methods"):
        patch.setattr(plan_module, name, once(getattr(plan_module, name)))
    yield functools.partial(make_matrix, root=root)
    patch.undo()


def once(read):
    """`read`, with its results cached by the content of the file."""
    kept = {}

    def reading(path, **more):
        key = (path.read_bytes(), str(more))
        if key not in kept:
            kept[key] = read(path, **more)
        return kept[key]

    return reading


def content(root: Path, name: str) -> Any:
    return yaml.safe_load((root / f"config/{name}.yaml").read_text(encoding="utf-8"))


def swept(cases: list[Case], told) -> list[str]:
    """The cases whose location `told` does not report, or that raise anything other than an InputError."""
    wrong = []
    for case in cases:
        try:
            told(case)
        except InputError as error:
            if case.told_as not in str(error):
                wrong.append(f"{case}: not named in {str(error)[:200]!r}")
        except Exception as error:
            wrong.append(f"{case}: {type(error).__name__}: {str(error)[:200]}")
        else:
            wrong.append(f"{case}: accepted without an error")
    return wrong


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_mistake_in_a_configuration_is_reported_with_its_location(planned, root, name):
    config = content(root, name)
    cases = Sweep(root / "config/schema/config.json").cases(config)
    assert len(cases) >= LEAST_CASES[name]
    assert {case.kind for case in cases} == {"missing", "unknown", "type", "range"}
    assert swept(cases, lambda case: planned(case.applied(config))) == []


@pytest.fixture
def changed(planned, root, tmp_path):
    """Plans a small configuration in a project whose catalogue `name` has other content."""
    (tmp_path / "config").mkdir()
    for name in CATALOGUES:
        shutil.copy(root / f"config/{name}.yaml", tmp_path / "config")
    smoke = content(root, "smoke")

    def matrix(name: str, catalogue: Any):
        methods = list(catalogue) if name == "methods" else ["time-llama", "dlinear"]
        grid = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": methods}
        file = tmp_path / f"config/{name}.yaml"
        # JSON is YAML, except for two numbers, and is written and read in a fraction of the time.
        text = json.dumps(catalogue).replace("NaN", ".nan").replace("Infinity", ".inf")
        file.write_text(text, encoding="utf-8")
        try:
            return planned(smoke | {"overrides": {}, "experiments": {"long_term": grid}}, root=tmp_path)
        finally:
            assert sorted(path.name for path in tmp_path.iterdir()) == ["config"]

    return matrix


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_mistake_in_a_catalogue_is_reported_with_its_location(changed, root, name):
    catalogue = content(root, name)
    if name == "methods":  # one entry per method is enough
        catalogue = {entry["method"]: entry for entry in catalogue.values()}
    cases = Sweep(root / f"config/schema/{name}.json").cases(catalogue)
    assert len(cases) >= LEAST_CASES[name]
    assert {case.kind for case in cases} == {"missing", "unknown", "type", "range"}

    def told(case: Case) -> None:
        # Methods are checked one at a time, so that the others need not be read for each case.
        one = {key: entry for key, entry in catalogue.items() if key == case.place[0]}
        changed(name, case.applied(one if name == "methods" else catalogue))

    assert swept(cases, told) == []


@pytest.mark.parametrize("section", ["", "experiments.long_term."])
@pytest.mark.parametrize(
    ("overrides", "place", "named"),
    [
        ({"dlinear": {"options": {"kernal": 5}}}, "overrides.dlinear", ("options.kernal", "kernel?")),
        (
            {"time-llama-4": {"options": {"token_scale": 0}}},
            "overrides.time-llama-4",
            ("options.token_scale", 0),
        ),
        (
            {"dlinear": {"datasets": {"ETTh1": {"options": {"kernel": "5"}}}}},
            "overrides.dlinear.datasets.ETTh1",
            ("options.kernel", "'5'"),
        ),
        ({"dlinaer": {"training": {"epochs": 1}}}, "overrides", ("'dlinaer'", "dlinear?")),
        (
            {"dlinear": {"datasets": {"ETTh9": {}}}},
            "overrides.dlinear.datasets",
            ("'ETTh9'", "ETTh2?"),
        ),
    ],
)
def test_an_override_that_does_not_apply_is_reported(planned, root, section, overrides, place, named):
    config = content(root, "smoke")
    (config["experiments"]["long_term"] if section else config)["overrides"] = overrides
    with refused(f"{section}{place}", *named):
        planned(config)
