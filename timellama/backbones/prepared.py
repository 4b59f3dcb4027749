"""Reads a prepared backbone: what it is, and the embeddings of a prompt, without the rest of the embedding table.

`catalogue.py` writes the folder and says what is in it. Paper: section 3.4 (the prompt is embedded by the backbone's
own frozen embedder).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from timellama.core.errors import InputError
from timellama.core.layout import BLOCKS, CONFIG, EMBEDDINGS, RECORD, TOKENIZER
from timellama.core.schema import check_json, read_json
from timellama.core.values import Count, Positive, Whole

PREPARE = "Delete the folder and prepare it again."


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A prepared folder: its path, the content of `config.json` and that of `backbone.json`.

    weights: `pretrained` or `random`; seed: what random weights were drawn from. blocks: L of `blocks_available`.
    width: D. vocabulary: V. architecture: what the blocks are built from besides their weights. embedding_scale: what
    the model multiplies embeddings by. storage: how the source stored the numbers. sha256: by file name.
    """

    path: Path
    config: dict[str, Any]
    name: str
    model_type: str
    pin: str
    weights: str
    seed: Whole | None
    blocks: Count
    blocks_available: Count
    width: Count
    vocabulary: Count
    modules: tuple[str, ...]
    architecture: dict[str, Any]
    embedding_scale: Positive
    licence: str
    storage: str
    sha256: dict[str, str]


def load_prepared(folder: Path) -> Prepared:
    """What a prepared folder is; reads no weights. Raises InputError for a missing, incomplete or foreign folder."""
    lost = [file for file in (RECORD, CONFIG, BLOCKS, EMBEDDINGS, TOKENIZER) if not (folder / file).is_file()]
    if lost:
        raise InputError(f"{folder} is not a prepared backbone: {lost[0]} is missing; prepare it again")
    remedy = {"absent": PREPARE, "damaged": PREPARE}
    record, config = read_json(folder / RECORD, **remedy), read_json(folder / CONFIG, **remedy)
    given = record | {"path": folder, "config": config}
    return check_json(given, Prepared, path=folder / RECORD, remedy=PREPARE)


def prompt_rows(folder: Path, text: str) -> Tensor:
    """The embeddings of a prompt: [P, D] float32, times the model's own `embedding_scale`.

    These are the inputs that the model itself, loaded in float32, would give its first block. The tokens are those of
    the model's tokenizer with its own special tokens (Llama's begins with one). Only their rows are read. Empty text
    has no tokens at all and gives [0, D]; the caller decides whether that makes sense.
    """
    prepared = load_prepared(folder)
    ids = tokeniser(folder)(text) if text else []
    table = _open_embeddings(folder).get_slice("weight")
    rows = {token: table[token : token + 1] for token in sorted(set(ids))}
    gathered = torch.cat([table[:0], *(rows[token] for token in ids)])
    return gathered.float() * prepared.embedding_scale


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """What a prompt's text is embedded with: the tokenizer and embedding table of a prepared folder."""

    folder: Path

    @property
    def scale(self) -> float:
        """What the model multiplies its embeddings by."""
        return load_prepared(self.folder).embedding_scale

    @property
    def width(self) -> int:
        """D, the width of an embedding."""
        return load_prepared(self.folder).width

    def tokenise(self, text: str) -> list[int]:
        """The token ids of a text, with the model's own special tokens."""
        return self._tokeniser(text)

    def rows(self, text: str) -> Tensor:
        """The scaled embeddings of a text, [P, D] float32, as `prompt_rows`."""
        return prompt_rows(self.folder, text)

    def table(self) -> Tensor:
        """The whole table [V, D], as `embedding_table`."""
        return embedding_table(self.folder)

    @functools.cached_property
    def _tokeniser(self) -> Callable[[str], list[int]]:
        return tokeniser(self.folder)


def tokeniser(folder: Path) -> Callable[[str], list[int]]:
    """A function that turns a text into the model's token ids, with its own special tokens."""
    load_prepared(folder)
    tokenizer = tokenizer_from((folder / TOKENIZER).read_text(encoding="utf-8", errors="replace"), where=folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text).ids


def tokenizer_from(text: str, *, where: object) -> Tokenizer:
    """A tokenizer from the text of `tokenizer.json`. Raises InputError if it cannot be read."""
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise InputError(f"{where}: {TOKENIZER} cannot be read: {error}. Fetch or prepare it again") from error


def embedding_table(folder: Path) -> Tensor:
    """The whole embedding table [V, D], in its stored dtype and not scaled; it can be gigabytes."""
    load_prepared(folder)
    return _open_embeddings(folder).get_tensor("weight")


def _open_embeddings(folder: Path) -> Any:
    try:
        return safe_open(folder / EMBEDDINGS, framework="pt")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / EMBEDDINGS} is broken ({error}); prepare the backbone again") from error
