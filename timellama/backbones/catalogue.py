"""Backbones: the catalogue, and the preparation of a backbone's first L blocks as a folder that loads at once.

A prepared folder holds
    config.json             transformers' configuration, cut to L blocks
    blocks.safetensors      the blocks, the final norm and (GPT-2) the positions, by transformers' names
    embeddings.safetensors  one tensor, `weight` [V, D], so that a prompt's few rows are read without the others
    tokenizer.json          for the `tokenizers` library, which reads it in a tenth of AutoTokenizer's time
    backbone.json           what it is and where it comes from, with the SHA-256 of each file above

Paper: section 3 (the prompt is embedded by the backbone's own frozen embedder) and 4.3 (only the first L blocks of
Llama-2 7B, Llama-3.2 1B, Gemma 2B or GPT-2 large are used). The catalogue needs neither torch nor transformers, because
planning uses it.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timellama.backbones.catalogue_models import BACKBONES
from timellama.core.errors import InputError
from timellama.core.files import sha256_of
from timellama.core.layout import BLOCKS, CONFIG, EMBEDDINGS, RECORD, TOKENIZER
from timellama.core.schema import load_yaml
from timellama.data.fetch.sources import MIRROR_VARIABLE, Artifact, fetch

if TYPE_CHECKING:
    from timellama.backbones.weights import CheckpointWeights

INDEX = "model.safetensors.index.json"  # transformers' name for the list of shards


@dataclass(frozen=True, kw_only=True)
class BackboneEntry:
    """One entry of `config/backbones.yaml`; what the file may hold is in `timellama.backbones.catalogue_models`.

    kind: `gguf` (one artifact), `hub` (a repository of transformers files), `folder` (the same on this machine) or
    `random` (made here). source: an artifact's source, owner/name, or a path. pin: what fixes the weights: the GGUF's
    SHA-256, the hub's commit, `folder_digest`, or a seed. blocks: how many the model has. width: D. modules: the linear
    modules of a block by the paper's letters. files: a hub repository's files and their SHA-256, None where none was
    published. licence_page: where a gated repository's licence is accepted. note: what a reader of its numbers should
    know.
    """

    name: str
    kind: str
    licence: str
    pin: str
    width: int
    blocks: int
    modules: tuple[str, ...]
    source: str | None
    bytes: int | None
    archive_sha256: str | None
    files: dict[str, str | None] | None
    licence_page: str | None
    config: dict[str, Any] | None
    note: str | None = None


def load_backbones(path: Path) -> dict[str, BackboneEntry]:
    """The catalogue, by name. Raises InputError, listing every problem in the file."""
    absent = dict.fromkeys(field.name for field in fields(BackboneEntry))
    entries = load_yaml(path, BACKBONES)
    return {name: BackboneEntry(**absent | {"name": name} | dict(entry)) for name, entry in entries.items()}


def fetch_backbone(
    entry: BackboneEntry,
    *,
    blocks: int,
    weights: str,
    folder: Path,
    mirrors: Sequence[str],
    cache: Path,
    progress: bool,
) -> Path | None:
    """Fetch what `prepare` needs of an entry, and no more; the result is its `source`.

    Of a sharded repository, only the shards that hold the first `blocks` blocks are fetched; none if `weights` is
    "random". A mirror holds a repository's files at owner/name/file. A folder is used where it is; entries that are
    made here need nothing (None). Raises InputError as `sources.fetch` does; for a hub repository the message says how
    to fetch the file manually.
    """
    if entry.kind == "random":
        return None
    if entry.kind == "folder":
        return Path(entry.source).expanduser()
    if entry.kind == "gguf":
        target = folder / Path(entry.source).name
        artifact = Artifact(
            path=target.name,
            source=entry.source,
            sha256=entry.pin,
            bytes=entry.bytes,
            archive_sha256=entry.archive_sha256,
        )
        fetch(artifact, target, mirrors=mirrors, cache=cache, progress=progress)
        return target

    def get(file: str) -> None:
        artifact = Artifact(
            path=f"{entry.source}/{file}", source=f"hub:{entry.source}@{entry.pin}!{file}", sha256=entry.files.get(file)
        )
        try:
            fetch(artifact, folder / file, mirrors=mirrors, cache=cache, progress=progress)
        except InputError as error:
            raise InputError(f"{error}\n{_by_hand(entry, file)}") from error

    for file in (CONFIG, TOKENIZER):
        get(file)
    if weights == "pretrained":
        for file in _weight_files(entry, blocks=blocks, folder=folder, get=get):
            get(file)
    return folder


def _by_hand(entry: BackboneEntry, file: str) -> str:
    """How to get a file of a hub repository that cannot be fetched directly."""
    download = f"hf download {entry.source} --revision {entry.pin} --local-dir FOLDER/{entry.source}"
    if entry.files.get(file) is None:
        return (
            f"No SHA-256 of {file} is on record. Fetch the repository yourself ({download}) and add an entry of kind "
            "folder, or write the SHA-256 under `files`"
        )
    if entry.licence_page:
        return (
            f"{entry.name} is gated: accept its licence at {entry.licence_page} and set HF_TOKEN to a token of yours "
            f"with read access; or run `{download}` and set {MIRROR_VARIABLE}=FOLDER"
        )
    return f"By hand: `{download}`, then set {MIRROR_VARIABLE}=FOLDER"


def _weight_files(entry: BackboneEntry, *, blocks: int, folder: Path, get: Callable[[str], None]) -> list[str]:
    """The safetensors files of a hub repository with the first `blocks` blocks; fetches the index if there is one."""
    if INDEX not in entry.files:
        return [file for file in entry.files if file.endswith(".safetensors")]
    from timellama.backbones import weights as reading

    get(INDEX)
    config = reading.cut_config(reading.read_json(folder / CONFIG), blocks=blocks, where=entry.name)
    wanted = list(reading.empty_model(config, where=entry.name).state_dict())
    places = reading.shards_for(wanted, reading.tensors_by_name(folder), where=entry.name)
    return sorted({file for file, _ in places.values()})


def folder_digest(folder: Path) -> str:
    """The pin of a local transformers folder: the SHA-256 over the names and SHA-256s of its configuration, tokenizer
    and safetensors files. Raises InputError if the folder does not exist."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name a transformers folder with safetensors")
    files = sorted(p for p in folder.iterdir() if p.name in (CONFIG, TOKENIZER, INDEX) or p.suffix == ".safetensors")
    lines = "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def prepare(
    entry: BackboneEntry, *, blocks: int, source: Path | None, folder: Path, random_seed: int | None = None
) -> None:
    """Write the first `blocks` blocks of `entry` into the prepared folder `folder`.

    source: a GGUF file or a transformers folder, as `fetch_backbone` returns; None for entries that are made here.
    random_seed: draw all weights from this seed instead (a control: same architecture and tokenizer, nothing learnt).
    The same input gives the same bytes. The folder appears complete or not at all; an older prepared one is replaced.
    Raises InputError for missing, broken or mismatched files, for too many blocks, and if `folder` holds anything
    else.
    """
    from timellama.backbones import weights as reading

    if blocks < 1 or blocks > entry.blocks:
        raise InputError(f"{entry.name}: blocks={blocks} is not between 1 and its {entry.blocks}; change blocks")
    weights, seed = _weights(entry, blocks=blocks, source=source, random_seed=random_seed)
    width = reading.width_of(weights.config)
    if (width, weights.available) != (entry.width, entry.blocks):
        raise InputError(
            f"{entry.name}: the catalogue says width {entry.width} and {entry.blocks} blocks, the model has {width} "
            f"and {weights.available}; correct the entry"
        )
    record = {
        "name": entry.name,
        "model_type": weights.config["model_type"],
        "pin": entry.pin,
        "weights": "pretrained" if seed is None else "random",
        "seed": seed,
        "blocks": blocks,
        "blocks_available": entry.blocks,
        "width": width,
        "vocabulary": len(weights.embedding),
        "modules": list(entry.modules),
        "architecture": reading.architecture(weights.config, where=entry.name),
        "embedding_scale": reading.embedding_scale(weights.config),
        "licence": entry.licence,
        "storage": weights.note,
    }
    with _appearing_at_once(folder) as staging:
        _write(weights, record, staging)


def _weights(
    entry: BackboneEntry, *, blocks: int, source: Path | None, random_seed: int | None
) -> tuple["CheckpointWeights", int | None]:
    """The weights of a backbone, and the seed they were drawn from if they were."""
    from timellama.backbones import weights as reading

    if entry.kind == "random":
        seed = int(entry.pin) if random_seed is None else random_seed
        return reading.random_weights(
            entry.config, reading.byte_tokenizer(), blocks=blocks, seed=seed, where=entry.name
        ), seed
    if source is None or not source.exists():
        raise InputError(f"{entry.name}: its source {source} is missing; fetch the backbone first")
    if entry.kind == "folder" and (digest := folder_digest(source)) != entry.pin:
        raise InputError(
            f"{entry.name}: the pin is {entry.pin}, the files of {source} give {digest}; set the pin that you mean"
        )
    if entry.kind == "gguf":
        from timellama.backbones import gguf as gguf_blocks

        if sha256_of(source) != entry.pin:
            raise InputError(
                f"{entry.name}: {source} does not have its pinned SHA-256 {entry.pin}; delete it and fetch it again"
            )
        if random_seed is None:
            return gguf_blocks.gguf_weights(source, blocks=blocks), None
        config, reader = gguf_blocks.gguf_config(source)
        tokenizer = gguf_blocks.gguf_tokenizer(source, reader)
    elif random_seed is None:
        return reading.folder_weights(source, blocks=blocks), None
    else:
        config, tokenizer = reading.read_json(source / CONFIG), reading.read_text(source / TOKENIZER)
    return reading.random_weights(config, tokenizer, blocks=blocks, seed=random_seed, where=source), random_seed


def _write(weights: "CheckpointWeights", record: dict[str, Any], folder: Path) -> None:
    """Write the five files of a prepared folder."""
    from safetensors.torch import save_file

    _write_json(folder / CONFIG, weights.config)
    (folder / TOKENIZER).write_text(weights.tokenizer, encoding="utf-8")
    metadata = {"format": "pt"}  # what transformers' own files say
    save_file({name: t.contiguous() for name, t in weights.blocks.items()}, folder / BLOCKS, metadata=metadata)
    save_file({"weight": weights.embedding.contiguous()}, folder / EMBEDDINGS, metadata=metadata)
    for file in (BLOCKS, EMBEDDINGS):
        shutil.copymode(folder / CONFIG, folder / file)  # safetensors writes files that only their owner may read
    digests = {file: sha256_of(folder / file) for file in (CONFIG, BLOCKS, EMBEDDINGS, TOKENIZER)}
    _write_json(folder / RECORD, {**record, "sha256": digests})


@contextmanager
def _appearing_at_once(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write into, renamed to it at the end; removed on failure.

    What a killed process left there is removed first, so two processes must not prepare the same folder at once.
    """
    replaceable = not folder.exists() or (folder.is_dir() and ((folder / RECORD).exists() or not any(folder.iterdir())))
    if not replaceable:
        raise InputError(f"{folder} exists and is not a prepared backbone; name another folder or remove it")
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
