"""Writes docs/configuration.md from the schemas and from the dataclasses that hold the defaults.

`python docs/write_configuration.py` (a part of `make docs`). A test fails while the page is not what this makes.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from timellama.experiments import run as specs

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/configuration.md"
SCHEMAS = ROOT / "workflow/schemas"
TOP = """<!-- Written by docs/write_configuration.py; edit the schema or the dataclass, then `make docs`. -->

# Configuration

A configuration says what is run: data sets, methods, horizons, seeds, language models, budgets. Four come with the
project, in `config/`; one of your own is a copy with other values, named with `CONFIG=` (make) or `--configfile`
(snakemake, timellama). It is checked against its schema before anything runs. Keys in bold must be given.

A setting is taken, in rising order, from the default below, the method's published settings in `config/methods.yaml`,
those for the data set there, `training` of the configuration, `overrides` of the configuration, and `overrides` of the
experiment.
"""
TRAINING = """
## Training settings

What `training` may hold, in `config/methods.yaml`, in a configuration and in its `overrides`.
"""
OPTIONS = """
## Options of the methods

What `options` may hold in `config/methods.yaml`. A variant is an entry of its own there, with other options under
another name.
"""


def page() -> str:
    """The whole page."""
    config = _schema("config")
    lines = [TOP, "\n## The whole file\n", *_table(config, config)]
    titles = (
        ("experiment", "An experiment", "Each entry of `experiments` but `efficiency`."),
        ("backbones", "A language model", "An entry of `backbones`."),
        ("efficiency", "The efficiency experiment", "The entry `efficiency` of `experiments`."),
        ("overrides", "Overrides", "What stands under a method's name in `overrides`."),
    )
    for key, title, remark in titles:
        part = config["$defs"][key]
        part = part.get("items") or (part if "properties" in part else part["additionalProperties"])
        lines += [f"\n## {title}\n\n{remark}\n", *_table(part, config)]
    methods = _schema("methods")
    lines += [TRAINING, *_defaults(specs.Training, methods["$defs"]["training"])]
    lines += [OPTIONS]
    for name, options in specs.OPTIONS.items():
        lines += [f"### {name}\n", (options.__doc__ or "").split("\n")[0] + "\n"]
        if dataclasses.fields(options):
            lines += [*_defaults(options, methods["$defs"][name]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _schema(name: str) -> dict:
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def _table(part: dict, config: dict) -> Iterator[str]:
    yield "| key | value | what |\n|---|---|---|"
    yield from _rows(part, config, prefix="")


def _rows(part: dict, config: dict, *, prefix: str) -> Iterator[str]:
    """A row a key; keys of a mapping that is written out in place follow it."""
    for key, rule in part["properties"].items():
        shown = f"**`{prefix}{key}`**" if key in part.get("required", ()) else f"`{prefix}{key}`"
        yield f"| {shown} | {_value(rule, config)} | {_cell(rule.get('description', ''))} |"
        inner, place = rule, f"{prefix}{key}."
        if rule.get("type") == "array" and "$ref" not in rule:
            inner, place = rule["items"], f"{prefix}{key}[]."
        elif isinstance(rule.get("additionalProperties"), dict):
            inner, place = rule["additionalProperties"], f"{prefix}{key}.<name>."
        if "properties" in inner:
            yield from _rows(inner, config, prefix=place)


def _value(rule: dict, config: dict) -> str:
    """What a value must be, in words."""
    if "$ref" in rule:
        name = rule["$ref"].split("/")[-1]
        target = {"training": "training-settings", "experiment": "an-experiment", "overrides": "overrides"}
        target |= {"backbones": "a-language-model", "efficiency": "the-efficiency-experiment"}
        if name in target:
            return f"[{'a list' if name == 'backbones' else 'a mapping'}](#{target[name]})"
        return _value(config["$defs"][name], config)
    if "enum" in rule:
        return ", ".join(f"`{choice}`" for choice in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    words |= {"object": "a mapping", "null": "null"}
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
    limits = "".join(f" {word} {rule[bound]}" for bound, word in bounds if bound in rule)
    limits += f", as `{_cell(rule['pattern'])}`" if "pattern" in rule else ""
    parts = [f"list; each entry: {_value(rule['items'], config)}" if kind == "array" else words[kind] for kind in kinds]
    return " or ".join([parts[0] + limits, *parts[1:]])


def _defaults(kind: type, rules: dict) -> Iterator[str]:
    """A row a field, with its default and what the source says about it."""
    notes = _notes(kind)
    yield "| key | value | default | where it comes from |\n|---|---|---|---|"
    for field in dataclasses.fields(kind):
        default = (
            "null" if field.default is None else str(field.default).lower() if field.type is bool else field.default
        )
        rule = _value(rules["properties"][field.name], rules)
        yield f"| `{field.name}` | {rule} | {default} | {_cell(notes.get(field.name, ''))} |"


def _notes(kind: type) -> dict[str, str]:
    """The comment behind each field of a dataclass, or the ones above it."""
    body = Path(specs.__file__).read_text(encoding="utf-8").split(f"class {kind.__name__}:")[1].split("\n\n\n")[0]
    notes, above = {}, []
    for line in body.split("\n"):
        if comment := re.fullmatch(r" +# (.*)", line):
            above.append(comment[1])
        elif found := re.match(r"    (\w+): [^#]*(?:  # (.*))?$", line):
            notes[found[1]] = " ".join([*above, *([found[2]] if found[2] else [])])
            above = []
    return notes


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
