"""Reads YAML and checks it against a JSON Schema, so that a slip in a configuration is told before anything runs.

The schemas are YAML too (`workflow/schemas/*.schema.yaml`, JSON Schema draft 2020-12). Every problem of a value is
listed at once: where it stands, what it is, the rule it breaks and what to do. Reading is that of `yaml.safe_load`
with three differences: a key given twice is an error instead of a silent choice of the last one, `1e-3` is a number
(YAML 1.1 reads it as text), and an empty file is an error.
"""

import difflib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from timellama.core.errors import InputError

EXPONENT_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$")
TYPE_NAMES = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty (null)",
}
SHOWN_CHARACTERS = 80  # our choice: a value longer than a line hides the message


# The parser in C reads the catalogues in a fifth of the time; a PyYAML built without it reads the same values.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """`yaml.SafeLoader` that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key, line = self.construct_object(key_node), key_node.start_mark.line + 1
            if key in lines:
                problem = f"the key {key!r} stands twice, on lines {lines[key]} and {line}; remove one of them"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            lines[key] = line
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT_FLOAT, list("-+.0123456789"))


def load_yaml(path: Path, *, schema: Path) -> dict:
    """The content of the YAML file `path`, checked against `schema`.

    Raises InputError when the file is absent, unreadable, empty, no YAML, or breaks the schema.
    """
    value = _read(path)
    check(value, schema=schema, origin=str(path))
    return value


def check(value: Any, *, schema: Path, origin: str) -> None:
    """Raises InputError listing every way in which `value` breaks `schema`; `origin` says where the value came from."""
    problems = list(_not_plain(value, path="", ancestors=()))
    if not problems:
        # A reference to another schema names a file beside this one.
        registry = Registry(retrieve=lambda name: Resource.from_contents(_read(schema.parent / name)))
        validator = Draft202012Validator(_read(schema), registry=registry)
        errors = sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
        typed = [list(error.absolute_path) for error in errors if error.validator == "type"]
        told = [e for e in errors if e.validator == "type" or list(e.absolute_path) not in typed]
        problems = [line for error in told for line in _explain(error)]
    if problems:
        many = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise InputError("\n  - ".join([f"{origin}: {many}", *problems]))


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error}); name an existing YAML file") from error
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 -- a SafeLoader: plain values only
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    if value is None:
        raise InputError(f"{path}: the file is empty; write at least one `key: value` line")
    return value


def _not_plain(value: Any, *, path: str, ancestors: tuple[int, ...]) -> Iterator[str]:
    """What YAML can say and JSON cannot: keys that are no text, NaN and infinity, and values that hold themselves."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path or 'top level'}: {value} is not allowed; give a finite number"
    if not isinstance(value, dict | list):
        return
    if id(value) in ancestors:
        yield f"{path or 'top level'}: the alias refers to a value that holds it; write the value out"
        return
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and not isinstance(key, str):
            yield f"{path or 'top level'}: the key {key!r} is not text; put it in quotes"
            continue
        yield from _not_plain(child, path=_join(path, key), ancestors=(*ancestors, id(value)))


def _explain(error: ValidationError) -> Iterator[str]:
    """One line a problem: key path, value, rule, remedy."""
    place = ""
    for part in error.absolute_path:
        place = _join(place, part)
    rule, value = error.validator_value, error.instance
    if error.validator == "additionalProperties" and isinstance(value, dict):
        known, patterns = list(error.schema.get("properties", {})), list(error.schema.get("patternProperties", {}))
        for key in value:
            if key in known or any(re.search(pattern, key) for pattern in patterns):
                continue
            if patterns:
                yield f"{_join(place, key)}: the name must match the pattern {' or '.join(patterns)}"
            else:
                yield f"{_join(place, key)}: unknown key{_suggest(key, known)}"
        return
    if error.validator == "required":
        for key in [key for key in rule if key not in value]:
            what = error.schema.get("properties", {}).get(key, {}).get("description", "").strip()
            yield f"{_join(place, key)}: is missing; add it{f' ({what})' if what else ''}"
        return
    if error.validator in ("anyOf", "oneOf") and error.context:
        yield from _explain_choice(error, place)
        return
    what = _describe(error.validator, rule, value)
    if list(error.absolute_schema_path)[-2:-1] == ["propertyNames"]:
        yield f"{_join(place, str(value))}: the name {what or error.message}"
        return
    yield f"{place or 'top level'}: is {_show(value)}, but {what or error.message}"


def _explain_choice(error: ValidationError, place: str) -> Iterator[str]:
    """Of several allowed forms, the problems of the one that comes nearest: the fewest, and of the right type."""
    forms: dict[int, list[ValidationError]] = {}
    for child in error.context:
        forms.setdefault(child.relative_schema_path[0], []).append(child)
    wrong_type = {form for form, of in forms.items() if any(c.validator == "type" and not c.relative_path for c in of)}
    if wrong_type == set(forms):
        kinds = [kind for of in forms.values() for child in of for kind in _as_list(child.validator_value)]
        expected = " or ".join(TYPE_NAMES.get(kind, kind) for kind in dict.fromkeys(kinds))
        yield f"{place or 'top level'}: is {_show(error.instance)}, but must be {expected}"
        return
    nearest = min((of for form, of in forms.items() if form not in wrong_type), key=len)
    for child in nearest:
        yield from _explain(child)


def _describe(validator: str, rule: Any, value: Any) -> str:
    """The broken rule in plain words; empty for a rule that has none here."""
    if validator == "type":
        expected = " or ".join(TYPE_NAMES.get(kind, kind) for kind in _as_list(rule))
        hint = ""
        if isinstance(value, bool) and "string" in _as_list(rule):
            hint = " (YAML reads yes, no, on and off as true or false: put the word in quotes)"
        elif isinstance(value, str) and {"number", "integer"} & set(_as_list(rule)):
            hint = " (write the number without quotes)"
        return f"must be {expected}{hint}"
    if validator == "enum":
        return f"must be one of {', '.join(map(str, rule))}{_suggest(str(value), list(map(str, rule)), listed=True)}"
    words = {
        "const": f"must be {rule!r}",
        "minimum": f"must be at least {rule}",
        "maximum": f"must be at most {rule}",
        "exclusiveMinimum": f"must be greater than {rule}",
        "exclusiveMaximum": f"must be less than {rule}",
        "multipleOf": f"must be a multiple of {rule}",
        "minLength": f"must have at least {rule} characters",
        "maxLength": f"must have at most {rule} characters",
        "minItems": f"must have at least {rule} entries",
        "maxItems": f"must have at most {rule} entries",
        "minProperties": f"must have at least {rule} entries",
        "uniqueItems": "must not hold the same entry twice",
        "pattern": f"must match the pattern {rule}",
    }
    return words.get(validator, "")


def _suggest(word: str, known: list[str], listed: bool = False) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    guess = f"; did you mean {near[0]}?" if near else ""
    return guess if listed else f"{guess or ';'} Allowed keys: {', '.join(known) or 'none'}"


def _join(path: str, part: str | int) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
