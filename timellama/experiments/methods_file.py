"""What `config/methods.yaml` may hold: the models behind `config/schema/methods.json`.

A method's `options` are checked against its options dataclass, so a new method needs no schema of its own.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, Union

from pydantic import ConfigDict, Field, TypeAdapter, create_model, model_validator

from timellama.core.schema import Model, broken, read_yaml, validate
from timellama.core.values import AsWritten, Count, Flag, Maybe, Text
from timellama.experiments.run import Training
from timellama.methods.method import Method
from timellama.methods.registry import every_method, method_of

Options = TypeVar("Options")
VariantName = Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
DatasetName = Annotated[str, Field(pattern="^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$")]


class DatasetSettings(Model, Generic[Options]):
    """What a data set changes."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    options: AsWritten[Options] = Field(default_factory=dict, description="They override the method's options.")
    training: AsWritten[Training] = Field(default_factory=dict, description="They override the method's training.")

    @model_validator(mode="after")
    def _changes_something(self) -> "DatasetSettings":
        if not self.model_fields_set:
            raise broken(((), {}, "must have at least 1 entry; give options or training, or leave the data set out"))
        return self


class Control(Model):
    """What a method says about its language model: that its weights are random, or which one its authors used."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    weights: Maybe[Literal["random"]] = Field(None, description="The architecture without what it learned.")
    name: Maybe[Text] = Field(
        None,
        description="The authors' own, a key of config/backbones.yaml; for configurations with `authors_backbones`.",
    )
    blocks: Maybe[Count] = Field(None, description="How many of its first blocks the authors use.")

    @model_validator(mode="after")
    def _says_something(self) -> "Control":
        if not self.model_fields_set:
            raise broken(((), {}, "must have at least 1 entry; give weights, or name and blocks"))
        if (self.name is None) != (self.blocks is None):
            raise broken((("name",), self.name, "goes with blocks; give both or neither"))
        return self


class MethodEntry(Model, Generic[Options]):
    """A method, or a variant of one, with its published settings."""

    label: Text = Field(description="Its name in tables.")
    method: str = Field(description="The code that runs.")
    options: AsWritten[Options] = Field(description="Options that differ from their defaults.")
    backbone: Maybe[Control] = Field(
        None, description="For a control, or the authors' own; only for a method with a language model."
    )
    training: AsWritten[Training] = Field(description="Training settings that differ from their defaults.")
    datasets: dict[DatasetName, DatasetSettings[Options]] = Field(
        description="What individual data sets (keys of config/datasets.yaml) change.",
        json_schema_extra={"additionalProperties": False},
    )
    source: Text = Field(description="Where the settings were read: repository@commit path, or a table of a paper.")
    floor: Flag = Field(description="Whether a method has to beat it to be worth its cost.")
    citation: Text = Field(description="The paper of the method.")
    as_published: Flag = Field(
        False, description="Whether this entry keeps its training settings when a configuration sets its method's."
    )


def _entry(method: Method) -> type[MethodEntry]:
    """The entries whose code is this method."""
    fields: dict[str, Any] = {"method": (Literal[method.name], Field(description="The code that runs."))}
    if not method.backbone:
        fields["backbone"] = (None, Field(None, description="This method has no language model."))
    return create_model(method.name, __base__=MethodEntry[method.options], **fields)


@functools.cache
def methods_file(*places: str) -> TypeAdapter[dict[str, MethodEntry]]:
    """The reader of the whole file; `places` are the methods, `module:Name`, that it names besides the known ones."""
    entries = tuple(map(_entry, [*every_method().values(), *map(method_of, places)]))
    entry = Annotated[Union[entries], Field(discriminator="method")]  # noqa: UP007 -- of a tuple
    extra = {"title": "The methods, with their published settings", "additionalProperties": False}
    return TypeAdapter(Annotated[dict[VariantName, entry], Field(min_length=1, json_schema_extra=extra)])


def load_methods(path: Path, *, added: Mapping[str, Any], origin: str) -> dict[str, MethodEntry]:
    """The entries of the file at `path` and those `added` by the configuration `origin`, which override the file's.

    Raises InputError, listing every problem of either under its own name, and for a method that cannot be found.
    """
    entries = _read(read_yaml(path), str(path))
    return entries | _read(added, f"{origin}, methods") if added else entries


def _read(raw: Any, origin: str) -> dict[str, MethodEntry]:
    named = (entry.get("method") for entry in raw.values() if isinstance(entry, dict)) if isinstance(raw, dict) else ()
    places = {name for name in named if isinstance(name, str) and ":" in name}
    return validate(raw, methods_file(*sorted(places)), origin=origin)
