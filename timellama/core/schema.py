"""Reads YAML and JSON and checks it against a pydantic model, so that a mistake is reported before anything runs.

All problems of a value are listed at once: the place, the value, the rule that it breaks and the remedy. YAML is read
as by `yaml.safe_load`, with three differences: a duplicate key is an error instead of silently overriding the first,
`1e-3` is a number (YAML 1.1 reads it as text), and an empty file is an error.

Messages take descriptions, allowed keys and allowed types from the JSON Schema of a model, which editors use too
(`config/schema`).
"""

import functools
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, InitErrorDetails

from timellama.core.errors import InputError, did_you_mean
from timellama.core.values import refused

T = TypeVar("T")

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
KEY = "[key]"  # pydantic's mark for the key of a mapping, instead of its value
BOUNDS = {  # pydantic's kind of error: the broken rule, filled in from the error's context
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be greater than {gt}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "finite_number": "must be a finite number",
}


class Model(BaseModel):
    """A mapping in a file, with a fixed set of keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Plain(GenerateJsonSchema):
    """Without titles that repeat a name, and without null as the default of an optional key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        described = super().default_schema(schema)
        return {key: value for key, value in described.items() if key != "default" or value is not None}


# The parser in C reads the catalogues in a fifth of the time; a PyYAML built without it reads the same values.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """`yaml.SafeLoader` that refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key, line = self.construct_object(key_node), key_node.start_mark.line + 1
            if key in lines:
                problem = f"the key {key!r} is a duplicate, on lines {lines[key]} and {line}; remove one of them"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            lines[key] = line
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT_FLOAT, list("-+.0123456789"))


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises InputError when it is absent, unreadable, empty or not YAML."""
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


def load_yaml(path: Path, kind: type[T] | TypeAdapter[T]) -> T:
    """The content of the YAML file `path` as `kind`. Raises InputError as `read_yaml` and `validate` do."""
    return validate(read_yaml(path), kind, origin=str(path))


def validate(value: Any, kind: type[T] | TypeAdapter[T], *, origin: str) -> T:
    """`value` as `kind`, a model, or an adapter of a type made of models.

    Raises InputError listing every rule that `value` breaks; `origin` says where the value came from.
    """
    if problems := list(_not_plain(value, path="", ancestors=())):
        raise _refusal(origin, problems)
    adapter = kind if isinstance(kind, TypeAdapter) else _adapter(kind)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _refusal(origin, _problems(error, adapter, to_be_edited=True)) from error


def json_schema(kind: type | TypeAdapter) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a model, or of what an adapter reads."""
    adapter = kind if isinstance(kind, TypeAdapter) else _adapter(kind)
    return adapter.json_schema(schema_generator=_Plain)


def broken(*problems: tuple[tuple[str | int, ...], Any, str]) -> ValidationError:
    """What a validator of several keys raises: (place below the model, value, rule) for each problem."""
    details = [InitErrorDetails(type=refused(rule), loc=place, input=value) for place, value, rule in problems]
    return ValidationError.from_exception_data("rule", details)


def read_json(path: Path, *, absent: str, damaged: str) -> dict[str, Any]:
    """The JSON object in a file that the workflow wrote.

    Raises InputError, ending with the remedy `absent` or `damaged`, if there is none.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). {absent}") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}). {damaged}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} does not hold a JSON object. {damaged}")
    return document


def check_json(document: dict[str, Any], kind: type[T], *, path: Path, remedy: str) -> T:
    """A JSON object that the workflow wrote, as `kind`. Nobody edits it, so the only remedy is `remedy`.

    Raises InputError naming the file and each key that is absent or wrong.
    """
    try:
        return _adapter(kind).validate_python(document)
    except ValidationError as error:
        raise _refusal(str(path), _problems(error, _adapter(kind), to_be_edited=False), remedy) from error


_adapter = functools.cache(TypeAdapter)  # building one takes longer than using it
_schema = functools.cache(json_schema)  # and its schema longer still


def _not_plain(value: Any, *, path: str, ancestors: tuple[int, ...]) -> Iterator[str]:
    """What YAML can express and JSON cannot: keys that are not text, NaN and infinity, and circular values."""
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


def _refusal(origin: str, problems: list[str], *remedy: str) -> InputError:
    many = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
    return InputError("\n".join(["\n  - ".join([f"{origin}: {many}", *problems]), *remedy]))


def _problems(error: ValidationError, adapter: TypeAdapter, *, to_be_edited: bool) -> list[str]:
    schema = _schema(adapter)
    return sorted(_explain(detail, schema, to_be_edited) for detail in error.errors(include_url=False))


def _explain(error: ErrorDetails, schema: dict[str, Any], to_be_edited: bool) -> str:
    """One line: key path, value, rule, remedy."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    place, parent, node = _follow(error["loc"], schema)
    missing = "is missing; add it" if to_be_edited else "is missing"
    if kind == "missing":
        what = node.get("description", "").strip()
        return f"{place}: {missing}{f' ({what})' if what and to_be_edited else ''}"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = list(parent.get("properties", {}))
        return f"{place}: unknown key{_suggest(str(error['loc'][-1]), known)}"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        key, allowed = context["discriminator"].strip("'"), _tags(node)
        words = ", ".join(allowed)
        if kind == "union_tag_not_found":
            return f"{_join(place, key)}: {missing} (one of {words})"
        hint = _suggest(context["tag"], allowed, listed=True)
        return f"{_join(place, key)}: is {_show(value.get(key))}, but must be one of {words}{hint}"
    if kind == "rule" and not context["rule"].startswith("must "):
        return f"{place or 'top level'}: {context['rule']}"
    if error["loc"][-1:] == (KEY,):
        return f"{place}: the name {_rule(kind, context) or error['msg']}"
    what = _rule(kind, context) or _choice(node, value) or _kinds(node, value) or error["msg"]
    return f"{place or 'top level'}: is {_show(value)}, but {what}"


def _follow(loc: Sequence[str | int], schema: dict[str, Any]) -> tuple[str, dict, dict]:
    """The place that `loc` names, the schema of the mapping or list that holds it, and its own schema."""
    place, parent, node = "", {}, _resolved(schema, schema)
    for part in loc:
        if part == KEY:
            continue
        if "discriminator" in node:  # pydantic names the form that it chose, which is not a key of the file
            node = _resolved({"$ref": node["discriminator"]["mapping"][part]}, schema)
            continue
        place, parent, rest = _join(place, part), node, node.get("additionalProperties", {})
        patterns = list(node.get("patternProperties", {}).values())
        below = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part)
        node = _resolved(below or (patterns[0] if patterns else rest if isinstance(rest, dict) else {}), schema)
    return place, parent, node


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its references resolved; for a value that may be null, the other form, marked as `nullable`."""
    while "$ref" in node:
        target = schema["$defs"][node["$ref"].split("/")[-1]]
        node = target | {key: value for key, value in node.items() if key != "$ref"}
    forms = [_resolved(form, schema) for form in node.get("anyOf", ())]
    if {"type": "null"} in forms:
        form = next(form for form in forms if form != {"type": "null"})
        node = form | {key: value for key, value in node.items() if key != "anyOf"} | {"nullable": True}
    return node


def _rule(kind: str, context: dict[str, Any]) -> str:
    """The broken rule in plain words; empty for a rule about the type."""
    if kind == "rule":
        return context["rule"]
    return BOUNDS[kind].format(**context) if kind in BOUNDS else ""


def _choice(node: dict[str, Any], value: Any) -> str:
    """The rule for a value with a fixed set of choices; empty for any other."""
    choices = node.get("enum", [node["const"]] if "const" in node else [])
    if not choices or (isinstance(value, bool) and node.get("type") == "string"):
        return ""
    words = ", ".join(map(str, choices))
    empty = f" or {TYPE_NAMES['null']}" if node.get("nullable") else ""
    return f"must be one of {words}{empty}{_suggest(str(value), list(map(str, choices)), listed=True)}"


def _kinds(node: dict[str, Any], value: Any) -> str:
    """The rule for the type of a value; empty if it has none."""
    kinds = [node["type"]] if isinstance(node.get("type"), str) else list(node.get("type", ()))
    kinds = kinds or (["object"] if "discriminator" in node else [])
    kinds += ["null"] if node.get("nullable") else []
    if not kinds:
        return ""
    hint = ""
    if isinstance(value, bool) and "string" in kinds:
        hint = " (YAML reads yes, no, on and off as true or false: put the word in quotes)"
    elif isinstance(value, str) and {"number", "integer"} & set(kinds):
        hint = " (write the number without quotes)"
    return f"must be {' or '.join(TYPE_NAMES.get(kind, kind) for kind in kinds)}{hint}"


def _tags(node: dict[str, Any]) -> list[str]:
    """The values of the key that selects a form, in the order of the forms."""
    tags = {place: tag for tag, place in node["discriminator"]["mapping"].items()}
    return [tags[form["$ref"]] for form in node["oneOf"]]


def _suggest(word: str, known: list[str], listed: bool = False) -> str:
    guess = did_you_mean(word, known)
    return guess if listed else f"{guess or ';'} Allowed keys: {', '.join(known) or 'none'}"


def _join(path: str, part: str | int) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
