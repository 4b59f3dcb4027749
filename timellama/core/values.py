"""The kinds of values that configurations, catalogues and options hold, each with its bounds.

A field annotated with one of them is checked by pydantic wherever its class is part of a model. Nothing is converted:
YAML's `"4"`, `4.0` and `yes` are not whole numbers. A class that is built directly, as in a test, is not checked.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from timellama.core.errors import InputError

T = TypeVar("T")

PLACE = r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*"  # module:NAME

Count = Annotated[int, Field(strict=True, ge=1)]
Whole = Annotated[int, Field(strict=True, ge=0)]
Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
Positive = Annotated[float, Field(strict=True, gt=0)]
NotNegative = Annotated[float, Field(strict=True, ge=0)]
Share = Annotated[float, Field(strict=True, gt=0, le=1)]
Probability = Annotated[float, Field(strict=True, ge=0, lt=1)]  # of a dropout, which may not drop everything
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Several = Annotated[tuple[T, ...], Field(min_length=1)]


# Marks a dataclass field that was added after results were kept, and whose default changes nothing: `named_fields`
# omits it at that default, so a run without it keeps its identity.
ADDED = object()


def named_fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass and of those within it, without any `ADDED` field at its default."""
    fields = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if item == field.default and ADDED in getattr(field.type, "__metadata__", ()):
            continue
        fields[field.name] = named_fields(item) if dataclasses.is_dataclass(item) else item
    return fields


def refused(rule: str) -> PydanticCustomError:
    """The error of a value that breaks `rule`, which begins with "must" and ends with the remedy."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule})


def _distinct(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise refused("must not hold the same entry twice; remove one of them")
    return values


def _as_written(value: Any, check: Callable[[Any], Any]) -> Any:
    check(value)
    return value


def _not_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null", "must not be empty (null)")
    return value


def settings_text(value: Any) -> Any:
    """A mapping as JSON with its keys in order: options are hashed, which a mapping cannot be."""
    return json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else value


def _settings(value: Any) -> Any:
    text = settings_text(value)
    try:
        plain = isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        plain = False
    if not plain:
        raise refused("must be a mapping (key: value)")
    return text


class _WithoutNull:
    """Removes null from the JSON Schema of `Maybe`."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Callable[[Any], dict]) -> dict:
        [form] = [form for form in handler(core_schema)["anyOf"] if form != {"type": "null"}]
        return form


def open_choice(own: Iterable[str], *, load: Callable[[str], Any]) -> Any:
    """Text that names one of `own`, an entry point, or `module:NAME` from outside the package.

    `load` finds what it names, and raises InputError if it cannot.
    """

    def check(value: str) -> str:
        try:
            load(value)
        except InputError as error:
            raise refused(str(error)) from error
        return value

    forms = [{"type": "string", "enum": list(own)}, {"type": "string", "pattern": f"^{PLACE}$"}]
    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "anyOf": forms})]


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float | bool):
        raise refused("must be text, a number, or true or false")
    return value


Distinct = Annotated[tuple[T, ...], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]
SeveralDistinct = Annotated[
    tuple[T, ...], Field(min_length=1), AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})
]
# Checked as T, and kept as the file has it: only the keys that are set, and 1 instead of 1.0, which has another digest.
AsWritten = Annotated[T, WrapValidator(_as_written)]
# A key that may be omitted but not null: in YAML, `seeds:` with nothing after it is a mistake.
Maybe = Annotated[T | None, BeforeValidator(_not_null), _WithoutNull()]
# Named settings of something from another library: a mapping in a file, and its text in an option. Where options are
# built directly, their `__post_init__` converts it to text.
Settings = Annotated[str, BeforeValidator(_settings), WithJsonSchema({"type": "object"})]
Scalar = Annotated[Any, AfterValidator(_scalar), WithJsonSchema({"type": ["string", "integer", "number", "boolean"]})]
