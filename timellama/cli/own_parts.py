"""The methods and prompts that a configuration names as `module:NAME`, and its plan where some cannot be loaded."""

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from timellama.cli.console import configuration
from timellama.core.errors import InputError
from timellama.core.schema import read_yaml, validate
from timellama.core.shipped import METHODS, shipped
from timellama.experiments.configuration import Configuration
from timellama.experiments.matrix import Matrix, make_matrix
from timellama.experiments.methods_file import load_methods
from timellama.methods.registry import method_of
from timellama.methods.time_llama.prompts import PromptName, prompt_kind

STAND_IN = "seasonal-naive"  # it runs on every data set at any size, and nothing that is set for training concerns it


def planned(configfile: Path) -> Matrix:
    """The plan of a configuration, also where it has methods and prompts that cannot be loaded.

    Such a method is planned as the seasonal naive forecast, and such a prompt as the default one, so that the needs of
    everything else are known. `config` of the plan is as written. Raises InputError for any other mistake.
    """
    found = configuration(configfile)
    config = read_yaml(found)
    validate(config, Configuration, origin=str(found))
    plan = make_matrix(_loadable(config), root=Path(), origin=str(found))
    return dataclasses.replace(plan, config=config)


def problems(places: Iterable[str], load: Callable[[str], Any]) -> dict[str, str]:
    """Why each of the places cannot be loaded, for those that cannot."""
    found = {}
    for place in places:
        try:
            load(place)
        except InputError as error:
            found[place] = str(error)
    return found


def own_methods(config: Mapping[str, Any]) -> list[str]:
    """The methods that a checked configuration names as `module:NAME`, each once."""
    return list(dict.fromkeys(code for code in _codes(config).values() if ":" in code))


def own_prompts(config: Mapping[str, Any]) -> list[str]:
    """The prompts that a checked configuration names as `module:NAME`, each once."""
    return list(dict.fromkeys(options[key] for options, key in _prompts(config)))


def _loadable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what cannot be loaded."""
    made: dict[str, Any] = copy.deepcopy(dict(config))
    absent = problems(own_prompts(made), prompt_kind)
    for options, key in list(_prompts(made)):
        if options.get(key) in absent:  # an alias of YAML is one mapping in several places
            del options[key]
    absent = problems(own_methods(made), method_of)
    entries = [name for name, code in _codes(made).items() if code in absent]
    for name in entries:
        without = {key: value for key, value in made["methods"][name].items() if key != "backbone"}
        made["methods"][name] = without | {"method": STAND_IN, "options": {}, "datasets": {}}
    for overrides in _overrides(made):
        for name in (*entries, *absent):
            overrides.pop(name, None)
    return made


def _codes(config: Mapping[str, Any]) -> dict[str, str]:
    """The `method` of each entry of the configuration's `methods`."""
    named = {name: entry.get("method") for name, entry in config.get("methods", {}).items()}
    return {name: code for name, code in named.items() if isinstance(code, str)}


def _overrides(config: Mapping[str, Any]) -> list[dict]:
    """The `overrides` of a configuration and of its experiments."""
    return [section.get("overrides", {}) for section in (config, *config["experiments"].values())]


def _prompts(config: Mapping[str, Any]) -> Iterator[tuple[dict, str]]:
    """Where a configuration names a prompt as `module:NAME`: the options and their key."""
    shared = load_methods(shipped(METHODS), added={}, origin="")
    codes = {name: entry.method for name, entry in shared.items()} | _codes(config)
    for section in (config.get("methods", {}), *_overrides(config)):
        for name, entry in section.items():
            for part in (entry, *_mapping(entry.get("datasets")).values()):
                options = _mapping(_mapping(part).get("options"))
                for key in _prompt_options(codes.get(name, name)):
                    if isinstance(place := options.get(key), str) and ":" in place:
                        yield options, key


def _prompt_options(method: str) -> list[str]:
    """The options of a method that name a prompt; none if it cannot be loaded."""
    try:
        kind = method_of(method).options
    except InputError:
        return []
    return [field.name for field in dataclasses.fields(kind) if field.type == PromptName]


def _mapping(value: Any) -> dict:
    """What should be a mapping and is not checked yet."""
    return value if isinstance(value, dict) else {}
