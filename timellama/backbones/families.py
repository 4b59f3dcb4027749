"""The families of language models: where each keeps the parts of a block, and what its configuration calls its sizes.

A family is one record. A family from outside the package is an entry point of the group `timellama.families`, whose
object is a `Family`. Paper: section 3.5 (the modules Q K V O G U D) and 4.3. Reference: transformers 5,
models/<family>/modeling_<family>.py and configuration_<family>.py.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timellama.core.errors import InputError
from timellama.core.outside import offered

GROUP = "timellama.families"  # of entry points


@dataclass(frozen=True, kw_only=True)
class Family:
    """Decoders of pre-norm blocks: x + O(attention(norm x)), then x + D(f(G norm x) * U norm x), or D(f(U norm x)).

    name: transformers' `model_type`. linears: the path of each linear module in a block, by letter, group by group;
    letters with one path share a matrix, cut evenly between them. norms: before attention, before the feed-forward
    layers. embedding, positions: tensors; with `positions` None, queries and keys are rotated.

    transposed: linears are kept as [in, out]. norm_offset: added to the weight of each norm. scaled: embeddings are
    multiplied by sqrt(D). depth, width, epsilon, activation: what its configuration calls them. required: what the
    configuration must say for the blocks to be these.
    """

    name: str
    blocks: str
    linears: Mapping[str, str]
    norms: tuple[str, str]
    last_norm: str
    embedding: str
    positions: str | None = None
    transposed: bool = False
    norm_offset: float = 0.0
    scaled: bool = False
    depth: str = "num_hidden_layers"
    width: str = "hidden_size"
    epsilon: str = "rms_norm_eps"
    activation: str = "hidden_act"
    required: Mapping[str, Any] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """The sets of linear modules that read the same input."""
        return ("QKV", "O", "GU", "D") if "G" in self.linears else ("QKV", "O", "U", "D")


LINEARS = {
    "Q": "self_attn.q_proj",
    "K": "self_attn.k_proj",
    "V": "self_attn.v_proj",
    "O": "self_attn.o_proj",
    "G": "mlp.gate_proj",
    "U": "mlp.up_proj",
    "D": "mlp.down_proj",
}
_LLAMA = {
    "blocks": "layers",
    "linears": LINEARS,
    "norms": ("input_layernorm", "post_attention_layernorm"),
    "last_norm": "norm",
    "embedding": "embed_tokens.weight",
}
FAMILIES = {
    family.name: family
    for family in (
        Family(name="llama", **_LLAMA),
        Family(name="mistral", **_LLAMA),
        Family(name="qwen2", **_LLAMA),
        Family(name="qwen3", **_LLAMA),
        Family(name="gemma", **_LLAMA, norm_offset=1.0, scaled=True),  # its norms multiply by 1 + weight
        Family(
            name="gpt2",
            blocks="h",
            linears={
                "Q": "attn.c_attn",
                "K": "attn.c_attn",
                "V": "attn.c_attn",
                "O": "attn.c_proj",
                "U": "mlp.c_fc",
                "D": "mlp.c_proj",
            },
            norms=("ln_1", "ln_2"),
            last_norm="ln_f",
            embedding="wte.weight",
            positions="wpe.weight",
            transposed=True,
            depth="n_layer",
            width="n_embd",
            epsilon="layer_norm_epsilon",
            activation="activation_function",
            required={"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False},
        ),
    )
}


@functools.cache
def every_family() -> dict[str, Family]:
    """The families of this package and of installed ones, by name. Raises InputError for one that is not a `Family`."""
    return offered(FAMILIES, group=GROUP, kind=Family)


def family_of(config: Mapping[str, Any], *, where: object) -> Family:
    """The family of a transformers configuration. Raises InputError, listing the known ones, for any other."""
    name, known = config.get("model_type"), every_family()
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{where}: model_type is {name!r}; only {', '.join(known)} are supported. Name one of these")
    return known[name]
