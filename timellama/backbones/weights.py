"""What a prepared backbone is made of, taken from a transformers folder or freshly initialised.

`CheckpointWeights` holds the first L blocks of a language model under the tensor names of transformers' base model
(LlamaModel, GPT2Model, ...) and, apart from these, the embedding table, the configuration and the tokenizer. `gguf.py`
makes the same from a GGUF file; `catalogue.py` writes it to disk.

Paper: sections 3.5 and 4.3 (only the first L blocks are used). Reference for the names: transformers 5,
models/<family>/modeling_<family>.py. Only safetensors are read: they cannot run code, unlike pickles.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from timellama.backbones.families import family_of
from timellama.backbones.prepared import tokenizer_from
from timellama.core.errors import InputError

INDEX = "model.safetensors.index.json"  # transformers' name for the list of shards
SINGLE = "model.safetensors"
PREFIXES = ("", "model.", "transformer.")  # base model; models like Llama under a head; GPT-2 under a head
END_TOKEN = "<|endoftext|>"  # our choice for the byte tokenizer: GPT-2's own end token


@dataclass(frozen=True, kw_only=True)
class CheckpointWeights:
    """The first L blocks of a language model, in memory.

    config: as in `config.json`, already cut to L blocks of `available`. blocks: tensors by the base model's names,
    without the embedding. embedding: [V, D]. tokenizer: the text of `tokenizer.json`. note: how the numbers were stored
    at the source.
    """

    config: dict[str, Any]
    available: int
    blocks: dict[str, Tensor]
    embedding: Tensor
    tokenizer: str
    note: str


def depth_key(config: dict[str, Any]) -> str:
    """The key under which a configuration keeps its number of blocks."""
    return family_of(config, where="config.json").depth


def width_of(config: dict[str, Any]) -> int:
    """D, the width of the hidden states."""
    return config[family_of(config, where="config.json").width]


def embedding_scale(config: dict[str, Any]) -> float:
    """What the model multiplies its token embeddings by before the first block."""
    return float(width_of(config) ** 0.5) if family_of(config, where="config.json").scaled else 1.0


def architecture(config: dict[str, Any], *, where: object) -> dict[str, Any]:
    """What `backbones.blocks.Architecture` holds, with the defaults that transformers gives a configuration.

    Raises InputError as `family_of` and `empty_model` do, and if attention is scaled in a way that the blocks do not
    support.
    """
    family, model = family_of(config, where=where), empty_model(config, where=where)
    full = model.config
    positions, window = full.max_position_embeddings, getattr(full, "sliding_window", None)
    frequencies: list[float] = []
    plain = all(getattr(full, key) == value for key, value in family.required.items())
    if family.positions is None:
        rotary = type(model.rotary_emb)(full)  # not on the meta device, which keeps no numbers
        plain = plain and rotary.attention_scaling == 1
        frequencies = rotary.inv_freq.tolist()
    if not plain:
        raise InputError(f"{where}: the configuration scales attention, which is not supported; name another model")
    return {
        "family": family.name,
        "head_width": getattr(full, "head_dim", None) or full.hidden_size // full.num_attention_heads,
        "max_tokens": min(positions, window or positions),
        "norm_epsilon": getattr(full, family.epsilon),
        "activation": getattr(full, family.activation),
        "frequencies": frequencies,
    }


def cut_config(config: dict[str, Any], *, blocks: int, where: object) -> dict[str, Any]:
    """The same configuration with only the first `blocks` blocks.

    Raises InputError for an unknown family, for missing entries and for more blocks than there are.
    """
    family = family_of(config, where=where)
    missing = [key for key in (family.depth, family.width) if key not in config]
    if missing:
        raise InputError(f"{where}: the configuration lacks {', '.join(missing)}; take the model's own config.json")
    available = config[family.depth]
    if type(available) is not int:  # true is an int too
        raise InputError(
            f"{where}: {family.depth} is {available!r}, not a whole number; take the model's own config.json"
        )
    if not 1 <= blocks <= available:
        raise InputError(
            f"{where}: blocks={blocks} is not between 1 and the {available} that the model has; request fewer"
        )
    cut = {**config, family.depth: blocks}
    if cut.get("layer_types"):  # newer configurations list the attention of every block
        cut["layer_types"] = cut["layer_types"][:blocks]
    return cut


def empty_model(config: dict[str, Any], *, where: object) -> nn.Module:
    """The base model that `config` describes, without memory for its weights.

    Raises InputError if transformers refuses the configuration.
    """
    try:
        with torch.device("meta"):
            return AutoModel.from_config(AutoConfig.for_model(**config))
    except Exception as error:  # transformers raises many kinds here, all of them about the configuration
        raise InputError(f"{where}: transformers refuses this configuration: {error}") from error


def checked(weights: CheckpointWeights, *, where: object) -> CheckpointWeights:
    """`weights`, whose tensors are checked to have the names and shapes that the configuration requires.

    Raises InputError for a missing, superfluous or misshapen tensor, and for a tokenizer that does not fit the
    embedding.
    """
    expected = {name: tuple(t.shape) for name, t in empty_model(weights.config, where=where).state_dict().items()}
    found = {name: tuple(t.shape) for name, t in weights.blocks.items()}
    found[family_of(weights.config, where=where).embedding] = tuple(weights.embedding.shape)
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"{where}: tensor {name} has shape {found.get(name, 'none: it is missing')}, the configuration "
                f"requires {expected.get(name, 'none: it is unknown')}; weights and config.json must be of one model"
            )
    highest = max(tokenizer_from(weights.tokenizer, where=where).get_vocab(with_added_tokens=True).values())
    if highest >= len(weights.embedding):
        raise InputError(
            f"{where}: the tokenizer knows token {highest}, the embedding has {len(weights.embedding)} rows; "
            "tokenizer.json and the weights must belong to the same model"
        )
    return weights


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises InputError for a missing or broken file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; a transformers folder holds it. Fetch the backbone again") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not an object; fetch it again")
    return content


def read_text(path: Path) -> str:
    """A text file. Raises InputError if it is missing or not UTF-8."""
    if not path.is_file():
        raise InputError(f"{path} is missing; write one: AutoTokenizer.from_pretrained(model).save_pretrained(folder)")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}); fetch it again") from error


def folder_weights(source: Path, *, blocks: int) -> CheckpointWeights:
    """The first `blocks` blocks of a transformers folder with safetensors, in the dtype they are stored in.

    Raises InputError as `cut_config`, `checked` and `tensors_by_name` do.
    """
    whole = read_json(source / "config.json")
    config = cut_config(whole, blocks=blocks, where=source)
    wanted = list(empty_model(config, where=source).state_dict())
    tensors = read_tensors(source, wanted)
    embedding = tensors.pop(family_of(config, where=source).embedding)
    dtypes = sorted({str(t.dtype).removeprefix("torch.") for t in [embedding, *tensors.values()]})
    weights = CheckpointWeights(
        config=config,
        available=whole[depth_key(whole)],
        blocks=tensors,
        embedding=embedding,
        tokenizer=read_text(source / "tokenizer.json"),
        note=f"as published, {' and '.join(dtypes)}",
    )
    return checked(weights, where=source)


def shards_for(wanted: list[str], files: dict[str, str], *, where: object) -> dict[str, tuple[str, str]]:
    """Where each wanted base-model tensor is: name -> (file, name in that file), given a model's name -> file map.

    Raises InputError for a tensor that is nowhere.
    """
    for prefix in PREFIXES:
        if all(prefix + name in files for name in wanted):
            return {name: (files[prefix + name], prefix + name) for name in wanted}
    closest = min(PREFIXES, key=lambda prefix: sum(prefix + name not in files for name in wanted))
    lost = [name for name in wanted if closest + name not in files]
    raise InputError(
        f"{where}: {len(lost)} of {len(wanted)} tensors are missing, the first is {lost[0]}; weights and config.json "
        "must belong to the same, unquantised model"
    )


def tensors_by_name(source: Path) -> dict[str, str]:
    """Every tensor's name and its file, in a folder with one safetensors file or with several and an index.

    Raises InputError for pickled weights, for no weights at all and for a broken index.
    """
    if (source / INDEX).is_file():
        files = read_json(source / INDEX).get("weight_map")
        if not isinstance(files, dict) or not files:
            raise InputError(f"{source / INDEX} has no weight_map; fetch it again")
        for name, file in files.items():
            if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
                raise InputError(
                    f"{source / INDEX} says that {name} is in {file!r}; it must be a safetensors file of the same "
                    "folder; fetch it again"
                )
        return files
    if (source / SINGLE).is_file():
        return dict.fromkeys(open_tensors(source / SINGLE).keys(), SINGLE)
    pickles = sorted(p.name for suffix in ("bin", "pt", "pth") for p in source.glob(f"*.{suffix}"))
    if pickles:
        raise InputError(
            f"{source}: {pickles[0]} is a pickle, which can run code on loading; only safetensors are read. Convert it "
            "once where you trust it: AutoModel.from_pretrained(model).save_pretrained(folder)"
        )
    raise InputError(f"{source} has neither {SINGLE} nor {INDEX}; name a transformers folder with safetensors")


def open_tensors(path: Path) -> Any:
    """An open safetensors file, its tensors unread. Raises InputError for a missing, truncated or foreign file."""
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; fetch the backbone again") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is truncated or not safetensors ({error}); delete it and fetch it again") from error


def read_tensors(source: Path, wanted: list[str]) -> dict[str, Tensor]:
    """The wanted base-model tensors of a transformers folder, reading only the shards that hold them.

    Raises InputError for a missing tensor and for weights that are not floating point.
    """
    places = shards_for(wanted, tensors_by_name(source), where=source)
    tensors: dict[str, Tensor] = {}
    for file in sorted({file for file, _ in places.values()}):
        opened = open_tensors(source / file)
        names = [name for name in wanted if places[name][0] == file]
        held = set(opened.keys())
        for name in names:
            if places[name][1] not in held:
                raise InputError(f"{source / file} lacks {places[name][1]}, which {INDEX} promises; fetch both again")
            tensors[name] = opened.get_tensor(places[name][1])
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise InputError(
                f"{source}: {name} is {tensor.dtype}; name the unquantised model, whose weights are floating point"
            )
    return {name: tensors[name] for name in wanted}


def random_weights(
    whole: dict[str, Any], tokenizer: str, *, blocks: int, seed: int, where: object
) -> CheckpointWeights:
    """The first `blocks` blocks of the architecture `whole` with transformers' own initial weights, drawn from `seed`.

    Blocks, norms, positions and embeddings are all drawn, in float32, so nothing pretrained is left; torch's global
    generator is restored afterwards. Raises InputError as `cut_config` and `checked` do.
    """
    config = cut_config(whole, blocks=blocks, where=where)
    empty_model(config, where=where)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(AutoConfig.for_model(**config), dtype=torch.float32)
    tensors = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    embedding = tensors.pop(family_of(config, where=where).embedding)
    weights = CheckpointWeights(
        config=config,
        available=whole[depth_key(whole)],
        blocks=tensors,
        embedding=embedding,
        tokenizer=tokenizer,
        note=f"drawn from seed {seed}, float32",
    )
    return checked(weights, where=where)


def byte_tokenizer() -> str:
    """The text of `tokenizer.json` for a tokenizer of 257 tokens, made here: one for each byte, and an end token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.add_special_tokens([END_TOKEN])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer.to_str()
