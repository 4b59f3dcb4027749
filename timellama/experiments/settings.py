"""What the files set for a run besides the defaults, layer by layer, and where each layer stands."""

from collections.abc import Mapping, Sequence
from typing import Literal

from timellama.experiments.configuration import Configuration, DatasetSetting, Override
from timellama.experiments.methods_file import MethodEntry

Layer = tuple[str, Mapping]  # its place, as messages name it, and what it sets


def layers_of(
    kind: Literal["options", "training"],
    *,
    method: str,
    dataset: str,
    methods: Mapping[str, MethodEntry],
    entry: str,
    of_all: Mapping[str, Configuration | DatasetSetting | None],
    overrides: Mapping[str, Mapping[str, Override]],
) -> list[Layer]:
    """The layers of a kind in rising order. A method's override also applies to its variants, except what defines them.

    `entry` is the place of the method's entry. `of_all` sets for all methods and `overrides` for single ones, both by
    place. A place ends where a key can follow.
    """
    spec = methods[method]
    named = [method] if spec.as_published and kind == "training" else dict.fromkeys([spec.method, method])
    made = makes(kind, spec, methods)
    found = [(entry, spec, ()), (f"{entry}datasets.{dataset}.", spec.datasets.get(dataset), ())]
    found += [(place, layer, ()) for place, layer in of_all.items()]
    for place, source in overrides.items():
        for name in named:
            override, at = source.get(name), f"{place}{name}."
            kept = made if name != method else ()
            found.append((at, override, kept))
            found.append((f"{at}datasets.{dataset}.", override and override.datasets.get(dataset), kept))
    # A layer that is missing or may not set this kind sets nothing.
    return [
        (f"{place}{kind}", {key: value for key, value in getattr(layer, kind, {}).items() if key not in kept})
        for place, layer, kept in found
    ]


def merged(layers: Sequence[Layer]) -> dict:
    """What the layers set together."""
    return {key: value for _, layer in layers for key, value in layer.items()}


def place_of(key: str, layers: Sequence[Layer]) -> str:
    """Where the value of a key that a layer sets was taken from."""
    return next(place for place, layer in reversed(layers) if key in layer)


def makes(kind: str, spec: MethodEntry, methods: Mapping[str, MethodEntry]) -> frozenset[str]:
    """The settings in which a variant differs from the entry of its method."""
    base = methods.get(spec.method, spec)
    return frozenset(k for k, value in getattr(spec, kind).items() if getattr(base, kind).get(k, Ellipsis) != value)
