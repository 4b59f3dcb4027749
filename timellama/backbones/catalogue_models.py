"""What `config/backbones.yaml` may hold: the models behind `config/schema/backbones.json`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, model_validator

from timellama.backbones.families import FAMILIES, every_family, family_of
from timellama.core.errors import InputError
from timellama.core.schema import Model, broken
from timellama.core.values import AsWritten, Count, Maybe, Scalar, SeveralDistinct, Sha256, Text, refused

NEEDED = ("config.json", "tokenizer.json")
PICKLES = (".bin", ".pt", ".pth")

Name = Annotated[str, Field(pattern="^[A-Za-z0-9]+([.-][A-Za-z0-9]+)*$")]
Address = Annotated[str, Field(pattern="^https://")]
# A name without folders. Safetensors only; pickles can run code.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.(json|safetensors)$")]
Commit = Annotated[str, Field(pattern="^[0-9a-f]{40}$", description="The commit of the repository.")]
Digest = Annotated[Sha256 | None, Field(description="SHA-256; null where none is on record: the file is not fetched.")]


def _family(name: str) -> str:
    try:
        family_of({"model_type": name}, where="config")
    except InputError:
        raise refused(f"must be one of {', '.join(every_family())}") from None
    return name


FamilyName = Annotated[str, AfterValidator(_family), Field(json_schema_extra={"enum": list(FAMILIES)})]


class _Entry(Model):
    licence: Text = Field(description="The terms under which the weights are published.")
    licence_page: Maybe[Address] = Field(None, description="Where a gated repository's licence is accepted.")
    note: Maybe[Text] = Field(None, description="What a reader of its numbers should know; reports print it.")
    width: Count = Field(description="D, the width of the hidden states.")
    blocks: Count = Field(description="How many blocks the model has.")
    modules: SeveralDistinct[Literal["Q", "K", "V", "O", "G", "U", "D"]] = Field(
        description="The linear modules of a block by the paper's letters (section 3.5)."
    )


class Gguf(_Entry):
    """One GGUF file."""

    kind: Literal["gguf"] = Field(description="One GGUF file.")
    source: Text = Field(description="Where it is published, as for a file of a data set.")
    pin: Sha256 = Field(description="SHA-256 of the GGUF file.")
    bytes: Maybe[Count] = Field(None, description="Its size in bytes, where known.")
    archive_sha256: Maybe[Sha256] = Field(None, description="SHA-256 of the package that it comes in.")


class Hub(_Entry):
    """A repository of transformers files."""

    kind: Literal["hub"] = Field(description="A repository of transformers files.")
    source: Text = Field(description="owner/name.")
    pin: Commit
    files: dict[FileName, Digest] = Field(
        description="What is read of it: config.json, tokenizer.json and safetensors, each with its SHA-256.",
        json_schema_extra={"additionalProperties": False, "required": list(NEEDED), "minProperties": 3},
    )

    @model_validator(mode="before")
    @classmethod
    def _no_pickle(cls, entry: Any) -> Any:
        files = entry.get("files") if isinstance(entry, dict) else None
        if isinstance(files, dict) and (pickles := [name for name in files if name.endswith(PICKLES)]):
            rule = "is a pickle, which can run code on loading; name a revision that has safetensors"
            raise broken((("files", pickles[0]), None, rule))
        return entry

    @model_validator(mode="after")
    def _is_whole(self) -> "Hub":
        rule = "is missing; add it (the repository has it)"
        problems = [(("files", name), None, rule) for name in NEEDED if name not in self.files]
        if not any(name.endswith(".safetensors") for name in self.files):
            problems.append((("files",), None, "names no safetensors file; add those of the repository"))
        if problems:
            raise broken(*problems)
        return self


class Folder(_Entry):
    """A folder of transformers files on this machine."""

    kind: Literal["folder"] = Field(description="A folder of transformers files, with safetensors, on this machine.")
    source: Text = Field(description="The folder.")
    pin: Sha256 = Field(description="Its digest; with a wrong one, the error names the right one.")


class Architecture(Model):
    """A configuration of transformers."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    model_type: FamilyName = Field(description="The family of the model.")
    vocab_size: int = Field(strict=True, ge=257, description="The bytes and an end token.")


class Random(_Entry):
    """Weights that are made here."""

    kind: Literal["random"] = Field(description="Nothing is fetched; the weights are drawn here.")
    pin: str = Field(pattern="^[0-9]+$", description="The seed of the weights, a whole number in quotes.")
    config: AsWritten[Architecture] = Field(description="The transformers configuration.")


Entry = Annotated[Gguf | Hub | Folder | Random, Field(discriminator="kind")]
BACKBONES = TypeAdapter(
    Annotated[
        dict[Name, Entry],
        Field(
            min_length=1,
            json_schema_extra={"title": "The catalogue of language models", "additionalProperties": False},
        ),
    ]
)
