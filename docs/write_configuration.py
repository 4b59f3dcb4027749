"""Writes docs/configuration.md and config/schema/*.json from the models that configurations are checked against.

Run by `make schemas` (a part of `make docs`). A test fails if the files differ from what this script writes.
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from timellama.backbones.catalogue_models import BACKBONES
from timellama.core.schema import json_schema
from timellama.data.catalogue.entries import Datasets
from timellama.experiments import run as specs
from timellama.experiments.configuration import Configuration
from timellama.experiments.methods_file import methods_file
from timellama.methods.registry import every_method

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/configuration.md"
SCHEMAS = ROOT / "config/schema"  # the first line of each file in config/ points an editor here
TOP = """<!-- Written by docs/write_configuration.py; edit the model or the dataclass, then `make schemas`. -->

# Configuration

A configuration says what is run: data sets, methods, horizons, seeds, language models, budgets. Five come with the
project, in `config/`; one of your own is a copy with other values, named with `CONFIG=` (make) or `--configfile`
(snakemake, timellama). It is checked before anything runs. Keys in bold must be given.

All configurations write their reports to the same folder, `reports/`, so the reports of one replace those of another.
Results never mix. To keep reports, copy the folder, or run the other configuration in another clone.

An editor with a YAML language server completes keys and marks mistakes as you type: the first line of each file in
`config/` names its JSON Schema in `config/schema/`.

A setting is taken, in rising order, from the default below, the method's published settings in `config/methods.yaml`,
those for the data set there, `training` of the configuration, `overrides` of the configuration, and `overrides` of the
experiment.

## What cannot be run

A cell is a data set, a look-back, a horizon and a method, for some methods on a language model. One that cannot be run
is left out when the plan is made, and stops no other:

- a part of the data set has no window at this look-back and horizon;
- the look-back holds fewer seasons than the hour-of-day mean reads, which is two;
- more blocks are asked for than the language model has, or a window takes more tokens than it has positions;
- a patch is longer than the look-back (PatchTST, GPT4TS, Time-LLM);
- an option does not fit the language model, such as `features` of Time-LLM above its width, or does not fit the
  method's other options, such as heads that do not divide a width.

`timellama plan` and `timellama doctor` name each reason with its cells and what to change, and a note under a table has
the reason of each dash. The seasonal naive forecast is not left out below a season: it repeats the last value, and a
note says so.

These are errors, and nothing is run: a name, a key or a value that no file may hold; a method with a language model
where none is named; a setting that M4 cannot have (its horizon, its loss, a share of its training rows), or `sampling:
variates` of a method that does not forecast each variate alone, or does not say so; a data set that has no window in
any cell of the configuration; and an experiment of which nothing can be run.
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

TABLES = {  # models that have their own table, and its anchor
    "Training": "training-settings",
    "Experiment": "an-experiment",
    "Override": "overrides",
    "LanguageModel": "a-language-model",
    "Search": "the-search",
    "Efficiency": "the-efficiency-experiment",
}


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each kind of file in config/, by name."""
    kinds = {"config": Configuration, "datasets": Datasets, "backbones": BACKBONES, "methods": methods_file()}
    made = {}
    for name, kind in kinds.items():
        made[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **json_schema(kind)}
        for of in (specs.Training, *(method.options for method in every_method().values())):
            properties = made[name].get("$defs", {}).get(of.__name__, {}).get("properties", {})
            for key, note in _notes(of).items():
                if key in properties and note:
                    properties[key]["description"] = note
    return made


def page() -> str:
    """The whole page."""
    made = schemas()
    config, kinds = made["config"], made["config"]["$defs"]
    lines = [TOP, "\n## The whole file\n", *_table(config, kinds)]
    titles = (
        ("Experiment", "An experiment", "Each entry of `experiments` but `search` and `efficiency`."),
        ("LanguageModel", "A language model", "An entry of `backbones`."),
        ("Search", "The search", "The entry `search` of `experiments`: an experiment with an effort."),
        ("Efficiency", "The efficiency experiment", "The entry `efficiency` of `experiments`."),
        (
            "Override",
            "Overrides",
            "What `overrides` may hold under the name of a method. An override also applies to the method's variants, "
            "except for\nthe settings that define a variant.",
        ),
    )
    for name, title, remark in titles:
        lines += [f"\n## {title}\n\n{remark}\n", *_table(kinds[name], kinds)]
    kinds = made["methods"]["$defs"]
    lines += [TRAINING, *_defaults(kinds["Training"], kinds), OPTIONS]
    for name, method in every_method().items():
        options = method.options
        lines += [f"### {name}\n", (options.__doc__ or "").split("\n")[0] + "\n"]
        if kinds[options.__name__]["properties"]:
            lines += [*_defaults(kinds[options.__name__], kinds), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(part: dict, kinds: dict) -> Iterator[str]:
    yield "| key | value | what |\n|---|---|---|"
    yield from _rows(part, kinds, prefix="")


def _rows(part: dict, kinds: dict, *, prefix: str) -> Iterator[str]:
    """One row per key; the keys of a mapping without its own table follow it."""
    for key, rule in part["properties"].items():
        shown = f"**`{prefix}{key}`**" if key in part.get("required", ()) else f"`{prefix}{key}`"
        yield f"| {shown} | {_value(rule, kinds)} | {_cell(_described(rule, kinds))} |"
        inner, place = rule, f"{prefix}{key}."
        if rule.get("type") == "array":
            inner, place = rule["items"], f"{prefix}{key}[]."
        elif isinstance(rule.get("additionalProperties"), dict):
            inner, place = rule["additionalProperties"], f"{prefix}{key}.<name>."
        name = inner.get("$ref", "").split("/")[-1]
        if name and name not in TABLES:
            yield from _rows(kinds[name], kinds, prefix=place)


def _described(rule: dict, kinds: dict) -> str:
    """What a key is for, with its default if that is worth mentioning."""
    default = rule.get("default")
    shown = f" Default: `{default}`." if default not in (None, [], {}) else ""
    return rule.get("description", "") + shown


def _value(rule: dict, kinds: dict) -> str:
    """A description of the allowed values."""
    for inner, word in ((rule, "a mapping"), (rule.get("items", {}), "a list"), (_rest(rule), "a mapping")):
        name = inner.get("$ref", "").split("/")[-1]
        if name in TABLES:
            return f"[{word}](#{TABLES[name]})"
    if "$ref" in rule:
        return "a mapping"
    if "enum" in rule:
        return ", ".join(f"`{choice}`" for choice in rule["enum"])
    if "anyOf" in rule:
        return " or ".join(_value(form, kinds) for form in rule["anyOf"])
    if rule["type"] == "array":
        return f"list; each entry: {_value(rule['items'], kinds)}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    words |= {"object": "a mapping", "null": "null"}
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"), ("exclusiveMaximum", "below"))
    limits = "".join(f" {word} {rule[bound]:g}" for bound, word in bounds if bound in rule)
    limits = limits.replace(f"{2**32 - 1:g}", str(2**32 - 1))
    return words[rule["type"]] + limits + (f", as `{_cell(rule['pattern'])}`" if "pattern" in rule else "")


def _rest(rule: dict) -> dict:
    rest = rule.get("additionalProperties")
    return rest if isinstance(rest, dict) else {}


def _defaults(part: dict, kinds: dict) -> Iterator[str]:
    """One row per field, with its default and what the source code says about it."""
    yield "| key | value | default | where it comes from |\n|---|---|---|---|"
    for name, rule in part["properties"].items():
        default = rule.get("default")
        default = default if isinstance(default, str) else json.dumps(default)
        yield f"| `{name}` | {_value(rule, kinds)} | {default} | {_cell(rule.get('description', ''))} |"


def _notes(kind: type) -> dict[str, str]:
    """The comment after each field of a dataclass, with those above it."""
    notes, above = {}, []
    for line in inspect.getsource(kind).split("\n"):
        if comment := re.fullmatch(r" +# (.*)", line):
            above.append(comment[1])
        elif found := re.match(r"    (\w+): [^#]*(?:  # (.*))?$", line):
            notes[found[1]] = " ".join([*above, *([found[2]] if found[2] else [])])
            above = []
    return notes


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def files() -> dict[Path, str]:
    """The content of every file that is written."""
    made = {SCHEMAS / f"{name}.json": json.dumps(schema, indent=1) + "\n" for name, schema in schemas().items()}
    return made | {PAGE: page()}


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8", newline="\n")
