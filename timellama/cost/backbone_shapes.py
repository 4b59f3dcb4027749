"""The sizes of a language model whose files are not here, so that its cost can be counted before it is fetched.

The catalogue's entry gives width, blocks and modules. The other sizes that the operations depend on (heads, inner
width, vocabulary) are in the model's own `config.json`. For the catalogue's backbones they are in
`timellama/backbones/published.py`. A prepared backbone has its own.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellama.backbones.catalogue import BackboneEntry
from timellama.backbones.families import family_of
from timellama.backbones.published import PUBLISHED
from timellama.core.errors import InputError
from timellama.core.layout import CONFIG


@dataclass(frozen=True, kw_only=True)
class BackboneShape:
    """The first L blocks without their numbers: `architecture` as in `model.backbone.Architecture`, the shape of each
    tensor by transformers' name, and the embedding table's [V, D]."""

    architecture: dict[str, Any]
    tensors: dict[str, tuple[int, ...]]
    vocabulary: int
    width: int


def backbone_config(entry: BackboneEntry, *, places: list[Path]) -> dict[str, Any]:
    """transformers' configuration of the whole model: the entry's own, that of the first of `places` (folders) that
    has one, or the published one. Raises InputError if none is known."""
    if entry.config:
        return dict(entry.config)
    if entry.kind == "folder":
        places = [Path(entry.source).expanduser(), *places]
    for folder in places:
        if (folder / CONFIG).is_file():
            return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if entry.name in PUBLISHED:
        return dict(PUBLISHED[entry.name])
    raise InputError(
        f"the sizes of backbone {entry.name!r} are not known before it is prepared: run "
        f"`snakemake -j1 results/backbones/{entry.name}/x1-pretrained/backbone.json` once, then plan again"
    )


def backbone_shape(entry: BackboneEntry, *, blocks: int, places: list[Path]) -> BackboneShape:
    """The shape of the first `blocks` blocks of an entry. Raises InputError as `backbone_config` does, and if
    transformers refuses the configuration."""
    from timellama.backbones import weights as reading

    config = backbone_config(entry, places=places)
    config[reading.depth_key(config)] = blocks
    config.pop("layer_types", None)  # one per block; transformers fills them in
    named = family_of(config, where=entry.name).embedding
    state = reading.empty_model(config, where=entry.name).state_dict()
    return BackboneShape(
        architecture=reading.architecture(config, where=entry.name),
        tensors={name: tuple(tensor.shape) for name, tensor in state.items() if name != named},
        vocabulary=state[named].shape[0],
        width=entry.width,
    )
