"""Finds methods: those of this package, those that installed packages offer, and those that a configuration names.

A package offers a method through an entry point of the group `timellama.methods`, whose object is a `Method`. A
configuration names one by `module:Name`, where Name is a `Method`, or a network whose further keyword-only parameters
are its options. Such a module is imported when a configuration is planned, and torch with it.
"""

import dataclasses
import functools
import importlib
import inspect
import json
import operator
import pkgutil
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import Field, Strict, TypeAdapter
from pydantic.errors import PydanticUserError

from timellama import methods
from timellama.core.errors import InputError, did_you_mean
from timellama.core.outside import failure, is_own, loaded, offered
from timellama.methods.method import DESCRIPTION, Method

GROUP = "timellama.methods"
# What `training.build.build` passes to a network besides its options.
SIZES = ("context", "horizon", "variates", "season", "calendar")
OF_BACKBONE = ("backbone", "prompt", "description", "embedding_table", "embedding_scale", "tokenise")


@functools.cache
def every_method() -> dict[str, Method]:
    """The methods of this package and of installed ones, by name. Raises InputError if a name is taken twice."""
    found: dict[str, Method] = {}
    for module in pkgutil.iter_modules(methods.__path__):
        if module.ispkg:
            for method in importlib.import_module(f"{methods.__name__}.{module.name}").METHODS:
                found[method.name] = method
    return {name: _checked(method) for name, method in offered(found, group=GROUP, kind=Method).items()}


def trains_nothing() -> tuple[str, ...]:
    """The names of the methods that have nothing to train."""
    return tuple(name for name, method in every_method().items() if not method.trains)


def trains(name: str) -> bool:
    """Whether the method of a name, or of `module:Name`, has anything to train; true if it no longer exists."""
    try:
        return method_of(name).trains
    except InputError:
        return True


@functools.cache
def method_of(name: str) -> Method:
    """The method of a name, or of `module:Name`. Raises InputError, listing those that exist, if there is none."""
    if ":" in name:
        return _named(name)
    known = every_method()
    if name not in known:
        hint = did_you_mean(name, known)
        raise InputError(
            f"method {name!r} is unknown; give one of {', '.join(known)}, or module:Class of your own{hint}"
        )
    return known[name]


def _checked(method: Method) -> Method:
    """A record; one from outside the package has options that are read as strictly as the package's own.

    Raises InputError for a field that planning cannot use.
    """
    said, options = f"method {method.name!r}: in its record,", method.options
    if is_own(method.network) and is_own(getattr(options, "__module__", "")):
        return method
    if not (inspect.isclass(options) and dataclasses.is_dataclass(options) and options.__dataclass_params__.frozen):
        raise InputError(f"{said} options is {options!r}, but must be a frozen dataclass; decorate it so")
    for field in ("obstacles", "stack", "equal_cost", "parts"):
        if not callable(value := getattr(method, field)):
            raise InputError(f"{said} {field} is {value!r}, but must be a function; write `lambda options: {value!r}`")
    names = [field.name for field in dataclasses.fields(options)]
    for field in ("balance_weight", "column_order"):
        if (name := getattr(method, field)) and name not in names:
            raise InputError(
                f"{said} {field} is {name!r}, but must be the name of an option{did_you_mean(str(name), names)}"
            )
    try:
        kinds = get_type_hints(options, include_extras=True)
    except (NameError, SyntaxError, TypeError) as error:
        raise InputError(
            f"{said} an annotation of options cannot be resolved ({failure(error)}); correct it"
        ) from error
    fields = [
        (
            field.name,
            strict_type(kinds[field.name]),
            dataclasses.field(default=field.default, default_factory=field.default_factory),
        )
        for field in dataclasses.fields(options)
    ]
    # A subclass, so that the record's functions get what they expect.
    strict = dataclasses.make_dataclass(options.__name__, fields, bases=(options,), frozen=True, kw_only=True)
    strict.__doc__, strict.__module__ = options.__doc__, options.__module__
    return dataclasses.replace(method, options=strict)


def strict_type(kind: Any) -> Any:
    """The type of an option that a configuration's value must have as it stands: "16" is no number."""
    if kind in (int, float, bool):
        return Annotated[kind, Strict()]
    parts = tuple(each if each is ... else strict_type(each) for each in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return functools.reduce(operator.or_, parts)
    return tuple[parts] if get_origin(kind) is tuple else kind


def _named(place: str) -> Method:
    found = loaded(place, of="method", kind=(type, Method))
    if isinstance(found, Method):
        return _checked(dataclasses.replace(found, name=place))
    # Checked by name, because planning does not load torch.
    bases = [f"{base.__module__}.{base.__qualname__}" for base in found.__mro__] if inspect.isclass(found) else []
    if "torch.nn.modules.module.Module" not in bases:
        what = f"the class {found.__name__}" if inspect.isclass(found) else f"of type {type(found).__name__}"
        raise InputError(
            f"method {place!r} is {what}, which is neither a subclass of torch.nn.Module nor a "
            f"{Method.__module__}.Method; name a network's class"
        )
    return _of_class(place, found)


def _of_class(place: str, network: type) -> Method:
    """A method made from a network only: its other parameters are options, which need an annotation."""
    try:
        parameters = inspect.signature(network, eval_str=True).parameters
    except (NameError, SyntaxError, TypeError) as error:
        raise InputError(
            f"method {place!r}: an annotation of its constructor cannot be resolved ({failure(error)}); correct it"
        ) from error
    fields = [_option(place, each) for each in parameters.values() if each.name not in (*SIZES, *OF_BACKBONE)]
    options = dataclasses.make_dataclass(f"{network.__name__}Options", fields, frozen=True, kw_only=True)
    options.__doc__ = (network.__doc__ or place).strip().split("\n")[0]
    names = set(parameters)
    return Method(
        name=place,
        options=options,
        network=place,
        backbone=bool(names & set(OF_BACKBONE)),
        prompt=DESCRIPTION if names & {"prompt", "description"} else None,
        table="embedding_table" in names,
        calendar="calendar" in names,
        balance_weight="balance_weight" if "balance_weight" in names else "",
    )


def _option(place: str, parameter: inspect.Parameter) -> Any:
    """A field of the options' dataclass. Raises InputError for a parameter that cannot be one."""
    given = (*SIZES, *OF_BACKBONE)
    said, hint = (
        f"method {place!r}: its constructor's parameter {parameter.name!r}",
        did_you_mean(parameter.name, given),
    )
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise InputError(f"{said} accepts any arguments; name each parameter by itself")
    lacks = [] if parameter.kind is parameter.KEYWORD_ONLY else ["stands before `*`"]
    lacks += ["has no annotation"] if parameter.annotation is parameter.empty else []
    if lacks:
        raise InputError(
            f"{said} is not one of the values that a run provides ({', '.join(given)}); as an option it must be "
            f"keyword-only and annotated, but it {' and '.join(lacks)}. Rename it, or "
            f"write it behind `*`, as in `*, width: int = 16`{hint}"
        )
    try:
        TypeAdapter(parameter.annotation)
    except PydanticUserError as error:
        raise InputError(
            f"{said} is annotated with {parameter.annotation!r}, which no configuration can hold; give int, float, "
            "bool, str, or a tuple of these"
        ) from error
    kind = strict_type(parameter.annotation)
    if parameter.default is parameter.empty:
        about = f"an option of {place}, none of what a run gives: {', '.join(given)}{hint}"
        return parameter.name, Annotated[kind, Field(description=about)]
    try:
        hash(parameter.default), json.dumps(parameter.default)
    except TypeError as error:
        raise InputError(
            f"{said} has the default {parameter.default!r}, which no configuration can hold; give a number, a text, "
            "True, False, None, or a tuple of these"
        ) from error
    return parameter.name, kind, dataclasses.field(default=parameter.default)
