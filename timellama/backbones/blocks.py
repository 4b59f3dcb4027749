"""The first L blocks of a frozen language model, written out so that adapters can be put on each linear module.

A linear is called through `project(group, x)`: a group is the set of linear modules that read the same input, written
as its letters (QKV, O, GU, D; GPT-2 has no gate G). The blocks compute what transformers' own blocks compute, for every
family (tests/model/test_backbone.py). transformers itself is only needed to prepare a backbone, because importing it
takes longer than a small run.

Paper: section 3.5 (the modules Q K V O G U D) and 4.3 (the first L blocks). Reference: transformers 5,
models/<family>/modeling_<family>.py, whose tensor names the prepared folder keeps.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from timellama.backbones.families import Family, every_family
from timellama.backbones.recompute import Recomputing, recomputed
from timellama.core.errors import InputError
from timellama.core.layout import BLOCKS, RECORD

Project = Callable[
    [str, Tensor], tuple[Tensor, ...]
]  # (group, x [B, S, in]) -> one [B, S, out] per letter of the group
Frozen = tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]  # weights [in, out] and biases [out], one per letter
Memory = tuple[Tensor, Tensor]  # a block's keys and values of earlier tokens, each [1, heads, P, head width]
Rope = tuple[Tensor, Tensor]  # cosine and sine, each [1, 1, S, head width / 2]

ACTIVATIONS = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What a model's tensors do not say about it; stored in `backbone.json` of a prepared folder."""

    family: str
    head_width: int
    max_tokens: int  # positions that the model has, or the window that its attention covers
    norm_epsilon: float
    activation: str
    frequencies: tuple[float, ...]  # of the rotary angles, radians per position [head width / 2]; none in GPT-2


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension (Zhang and Sennrich 2019, arXiv 1910.07467)."""

    def __init__(self, *, weight: Tensor, epsilon: float):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(weight), epsilon

    def forward(self, x: Tensor) -> Tensor:
        """x [..., D] -> [..., D]."""
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.epsilon)


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, over the last dimension (Ba et al. 2016, arXiv 1607.06450)."""

    def __init__(self, *, weight: Tensor, bias: Tensor, epsilon: float):
        super().__init__()
        self.weight, self.bias, self.epsilon = nn.Parameter(weight), nn.Parameter(bias), epsilon

    def forward(self, x: Tensor) -> Tensor:
        """x [..., D] -> [..., D]."""
        return F.layer_norm(x, self.weight.shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.epsilon)


class Block(nn.Module):
    """The weights of one pre-norm block: its linear modules by letter and its norms."""

    def __init__(self, *, linears: dict[str, nn.Module], norms: tuple[nn.Module, nn.Module], head_norms: list):
        super().__init__()
        self.linears = nn.ModuleDict(linears)
        self.norms = nn.ModuleList(norms)
        self.head_norms = nn.ModuleList(head_norms)  # Qwen3 normalises each head of Q and of K; the other families none


class Backbone(Recomputing):
    """The first L blocks, the final norm and the positions of a language model; every parameter is frozen.

    `weights` are those of the base model without its embedding table, under transformers' names. Raises ValueError for
    an unknown family or an activation that is not in `ACTIVATIONS`.
    """

    def __init__(self, *, architecture: Architecture, weights: Mapping[str, Tensor]):
        super().__init__()
        for name, value, known in (
            ("family", architecture.family, every_family()),
            ("activation", architecture.activation, ACTIVATIONS),
        ):
            if value not in known:
                raise ValueError(f"the backbone's {name} is {value!r}; it must be one of {', '.join(known)}")
        self.architecture = architecture
        self.activate = ACTIVATIONS[architecture.activation]
        family = every_family()[architecture.family]
        self.groups = family.groups
        depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith(f"{family.blocks}."))
        self.layers = nn.ModuleList(
            _block(f"{family.blocks}.{i}.", weights, family, architecture.norm_epsilon) for i in range(depth)
        )
        self.norm = _norm(family.last_norm, weights, family, architecture.norm_epsilon)
        self.width = len(self.norm.weight)
        # Learned positions [positions, D] of GPT-2; the other families rotate queries and keys.
        self.position_table = nn.Parameter(weights[family.positions]) if family.positions else None
        frequencies = torch.tensor(architecture.frequencies, dtype=torch.float32)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.requires_grad_(False)

    @property
    def letters(self) -> str:
        """The linear modules of a block in the paper's order: QKVOGUD, or QKVOUD for GPT-2."""
        return "".join(self.groups)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Input and output width of each linear module of a block."""
        return {letter: tuple(self.layers[0].linears[letter].weight.shape[::-1]) for letter in self.letters}

    def linear(self, block: int, group: str, x: Tensor) -> tuple[Tensor, ...]:
        """The frozen linears of a group: x [B, S, in] -> one [B, S, out] per letter."""
        return tuple(self.layers[block].linears[letter](x) for letter in group)

    def matrices(self, block: int, group: str) -> Frozen:
        """Weights [in, out] and biases [out] (None if there is none) of a group, one per letter; views, not copies."""
        linears = [self.layers[block].linears[letter] for letter in group]
        return tuple(linear.weight.T for linear in linears), tuple(linear.bias for linear in linears)

    def enter(self, h: Tensor, *, positions: bool, first: int = 0) -> tuple[Tensor, Rope | None]:
        """Give tokens h [B, S, D] their positions from `first` on: added (GPT-2), or as angles for the blocks (others).

        Raises ValueError if the backbone has fewer positions than there are tokens.
        """
        if not positions:
            return h, None
        tokens = first + h.shape[1]
        limit = self.architecture.max_tokens
        if tokens > limit:
            raise ValueError(f"{tokens} tokens need as many positions; the backbone has {limit}: take one with more")
        if self.position_table is not None:
            return h + self.position_table[first:tokens], None
        angles = torch.arange(first, tokens, device=h.device)[:, None] * self.frequencies
        return h, (angles.cos().to(h.dtype)[None, None], angles.sin().to(h.dtype)[None, None])

    def block(
        self,
        index: int,
        h: Tensor,
        *,
        project: Project,
        rope: Rope | None,
        causal: bool,
        before: Memory | None = None,
    ) -> Tensor:
        """One pre-norm block: h [B, S, D] -> [B, S, D]; all tokens also attend to those `before` them."""
        of_tokens = partial(self._block, self.layers[index], project, rope, causal, before)
        return recomputed(of_tokens, h, on=self.recomputes)

    def _block(
        self, layer: Block, project: Project, rope: Rope | None, causal: bool, before: Memory | None, h: Tensor
    ) -> Tensor:
        h = h + self._attend(layer, layer.norms[0](h), project, rope, causal, before)
        if "GU" in self.groups:
            gate, up = project("GU", layer.norms[1](h))
            return h + project("D", self.activate(gate) * up)[0]
        return h + project("D", self.activate(project("U", layer.norms[1](h))[0]))[0]

    def _attend(
        self, layer: Block, x: Tensor, project: Project, rope: Rope | None, causal: bool, before: Memory | None
    ) -> Tensor:
        """Self-attention over the tokens; several query heads share a key and value head where those are fewer."""
        q, k, v = self._heads(layer, x, project, rope)
        mask = None
        if before is not None:
            tokens, earlier = x.shape[1], before[0].shape[2]
            k, v = (
                torch.cat([old.to(new.dtype).expand(len(new), -1, -1, -1), new], 2)
                for old, new in zip(before, (k, v), strict=True)
            )
            if causal:
                mask = torch.ones(tokens, earlier + tokens, dtype=torch.bool, device=x.device).tril(earlier)
        shared, alone = q.shape[1] != k.shape[1], causal and mask is None
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=alone, enable_gqa=shared)
        return project("O", attended.transpose(1, 2).flatten(2))[0]

    def _heads(self, layer: Block, x: Tensor, project: Project, rope: Rope | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of normalised tokens x [B, S, D], each [B, heads, S, head width]."""
        q, k, v = (part.unflatten(2, (-1, self.architecture.head_width)) for part in project("QKV", x))
        if layer.head_norms:
            q, k = layer.head_norms[0](q), layer.head_norms[1](k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return (q, k, v) if rope is None else (rotate(q, rope), rotate(k, rope), v)

    def forward(self, h: Tensor, *, causal: bool, before: Sequence[Memory] = ()) -> Tensor:
        """Run all blocks and the final norm on input embeddings h [B, S, D], with the frozen linears only.

        `before` is what `remember` returns for the tokens before these.
        """
        h, rope = self.enter(h, positions=True, first=before[0][0].shape[2] if before else 0)
        for index in range(len(self.layers)):
            given = {"project": partial(self.linear, index), "rope": rope, "causal": causal}
            h = self.block(index, h, **given, before=before[index] if before else None)
        return self.norm(h)

    @torch.no_grad()
    def remember(self, h: Tensor) -> list[Memory]:
        """Each block's keys and values of tokens h [1, P, D] that precede others and do not attend to them."""
        h, rope = self.enter(h, positions=True)
        memories = []
        for index, layer in enumerate(self.layers):
            project = partial(self.linear, index)
            memories.append(self._heads(layer, layer.norms[0](h), project, rope)[1:])
            h = self.block(index, h, project=project, rope=rope, causal=True)
        return memories

    def norm_parameters(self) -> list[nn.Parameter]:
        """Norms and learned positions: what GPT4TS trains of a backbone."""
        norms = [module for module in self.modules() if isinstance(module, RMSNorm | LayerNorm)]
        parameters = [parameter for norm in norms for parameter in norm.parameters()]
        return parameters + ([] if self.position_table is None else [self.position_table])


def _block(prefix: str, weights: Mapping[str, Tensor], family: Family, epsilon: float) -> Block:
    linears = {}
    for letter, path in family.linears.items():
        weight, bias = weights[f"{prefix}{path}.weight"], weights.get(f"{prefix}{path}.bias")
        if family.transposed:
            weight = weight.T
        sharing = [other for other, its in family.linears.items() if its == path]
        if len(sharing) > 1:
            part = sharing.index(letter)
            weight = weight.chunk(len(sharing))[part]
            bias = None if bias is None else bias.chunk(len(sharing))[part]
        linears[letter] = _linear(weight, bias)
    head_norms = [f"{prefix}self_attn.{name}" for name in ("q_norm", "k_norm")]
    return Block(
        linears=linears,
        norms=tuple(_norm(prefix + name, weights, family, epsilon) for name in family.norms),
        head_norms=[_norm(name, weights, family, epsilon) for name in head_norms if f"{name}.weight" in weights],
    )


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """weight [out, in] and bias [out] as they are, without a copy or a wasted initialisation."""
    linear = nn.Linear(*weight.shape[::-1], bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(weight)
    if bias is not None:
        linear.bias = nn.Parameter(bias)
    return linear


def _norm(name: str, weights: Mapping[str, Tensor], family: Family, epsilon: float) -> nn.Module:
    weight = weights[f"{name}.weight"]
    if f"{name}.bias" in weights:
        return LayerNorm(weight=weight, bias=weights[f"{name}.bias"], epsilon=epsilon)
    return RMSNorm(weight=weight + family.norm_offset if family.norm_offset else weight, epsilon=epsilon)


def rotate(x: Tensor, rope: Rope) -> Tensor:
    """Rotary positions (Su et al. 2021, arXiv 2104.09864) in transformers' half-split layout; x [B, heads, S, d]."""
    cosine, sine = rope
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


def load_backbone(folder: Path, *, dtype: torch.dtype) -> Backbone:
    """Load a prepared folder (`backbone.json`, `blocks.safetensors`) without its embedding table.

    Raises InputError if either file is truncated or if they do not belong together.
    """
    try:
        described = json.loads((folder / RECORD).read_text(encoding="utf-8"))["architecture"]
        architecture = Architecture(**{**described, "frequencies": tuple(described["frequencies"])})
        weights = {name: tensor.to(dtype) for name, tensor in load_file(folder / BLOCKS).items()}
        return Backbone(architecture=architecture, weights=weights).eval()
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        broken = f"{folder}: {RECORD} or {BLOCKS} is broken"
        raise InputError(f"{broken} ({error}); delete the folder and prepare it again") from error
