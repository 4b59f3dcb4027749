"""Finds methods: those of this package, those that installed packages offer, and those that a configuration names.

A package offers a method through an entry point of the group `timellama.methods`, whose object is a `Method`. A
configuration names one by `module:Name`, where Name is a `Method`, or a network whose further keyword-only parameters
are its options. Such a module is imported when a configuration is planned, and torch with it.
"""

import dataclasses
import functools
import importlib
import inspect
import pkgutil
from typing import Annotated, Any

from pydantic import Strict

from timellama import methods
from timellama.core.errors import InputError
from timellama.core.outside import loaded, offered
from timellama.methods.method import Method

GROUP = "timellama.methods"
# What `training.build.build` gives a network beside its options.
SIZES = ("context", "horizon", "variates", "season")
OF_BACKBONE = ("backbone", "prompt", "description", "embedding_table", "embedding_scale", "tokenise")


@functools.cache
def every_method() -> dict[str, Method]:
    """The methods of this package and of installed ones, by name. Raises InputError where a name is taken twice."""
    found: dict[str, Method] = {}
    for module in pkgutil.iter_modules(methods.__path__):
        if module.ispkg:
            for method in importlib.import_module(f"{methods.__name__}.{module.name}").METHODS:
                found[method.name] = method
    return offered(found, group=GROUP, kind=Method)


def trains_nothing() -> tuple[str, ...]:
    """The names of the methods that have nothing to train."""
    return tuple(name for name, method in every_method().items() if not method.trains)


@functools.cache
def method_of(name: str) -> Method:
    """The method of a name, or of `module:Name`. Raises InputError, with what there is, where there is none."""
    if ":" in name:
        return _named(name)
    known = every_method()
    if name not in known:
        raise InputError(
            f"method {name!r} is unknown; there are {', '.join(known)}. Give one of them, or module:Class of your own"
        )
    return known[name]


def _named(place: str) -> Method:
    found = loaded(place, of="method")
    if isinstance(found, Method):
        return dataclasses.replace(found, name=place)
    if not inspect.isclass(found):
        raise InputError(f"method {place!r} is neither a Method nor a class; name a network's class")
    return _of_class(place, found)


def _of_class(place: str, network: type) -> Method:
    """A method of a network alone: its other parameters are options, which need an annotation."""
    parameters = inspect.signature(network).parameters.values()
    fields: list[Any] = []
    for parameter in parameters:
        if parameter.name in (*SIZES, *OF_BACKBONE):
            continue
        if parameter.annotation is parameter.empty or parameter.kind is not parameter.KEYWORD_ONLY:
            raise InputError(
                f"method {place!r}: {parameter.name} is no keyword-only parameter with an annotation, so it can be no "
                "option; write `*` before it and its type behind it"
            )
        default = () if parameter.default is parameter.empty else (dataclasses.field(default=parameter.default),)
        # "16" is no whole number, as in the package's own options.
        plain = parameter.annotation in (int, float, bool)
        kind = Annotated[parameter.annotation, Strict()] if plain else parameter.annotation
        fields.append((parameter.name, kind, *default))
    options = dataclasses.make_dataclass(f"{network.__name__}Options", fields, frozen=True, kw_only=True)
    options.__doc__ = (network.__doc__ or place).strip().split("\n")[0]
    names = {parameter.name for parameter in parameters}
    return Method(
        name=place,
        options=options,
        network=place,
        backbone=bool(names & set(OF_BACKBONE)),
        prompt=bool(names & {"prompt", "description"}),
        table="embedding_table" in names,
    )
