"""The first L blocks of a frozen language model, block by block, so that adapters can be put on each linear module.

The layers are transformers' own modules with their own weights; what is written out here is only the order in which a
block calls its linears, because a gate per sample has to reach each of them. A linear is called through `project(group,
x)`: a group is the set of linear modules that read the same input, written as its letters (QKV, O, GU, D; GPT-2 has no
gate G). Without an adapter a block gives what transformers' own block gives (tests/model/test_backbone.py).

Paper: section 3.5 (the modules Q K V O G U D) and 4.3 (the first L blocks).
"""

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

# Where a family keeps the linear modules of each group; transformers 5, models/<family>/modeling_<family>.py.
GATED = {
    "QKV": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "O": ("self_attn.o_proj",),
    "GU": ("mlp.gate_proj", "mlp.up_proj"),
    "D": ("mlp.down_proj",),
}
FUSED = {"QKV": ("attn.c_attn",), "O": ("attn.c_proj",), "U": ("mlp.c_fc",), "D": ("mlp.c_proj",)}
FAMILIES = {"llama": GATED, "mistral": GATED, "qwen2": GATED, "qwen3": GATED, "gemma": GATED, "gpt2": FUSED}

Project = Callable[
    [str, Tensor], tuple[Tensor, ...]
]  # (group, x [B, S, in]) -> one [B, S, out] per letter of the group
Frozen = tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]  # weights [in, out] and biases [out], one a letter
Rope = tuple[Tensor, Tensor]  # cosine and sine, each [1, 1, S, head width]


class Backbone(nn.Module):
    """The first L blocks, the final norm and the positions of a language model; every parameter is frozen.

    Raises ValueError for a family that is not in `FAMILIES`.
    """

    def __init__(self, *, model: nn.Module):
        super().__init__()
        family = model.config.model_type
        if family not in FAMILIES:
            raise ValueError(f"the backbone's model_type is {family!r}; it must be one of {', '.join(FAMILIES)}")
        self.groups = FAMILIES[family]
        self.width = model.config.hidden_size
        self.max_tokens = model.config.max_position_embeddings
        self.sliding_window = getattr(model.config, "sliding_window", None)
        gated = self.groups is GATED
        self.layers = model.layers if gated else model.h
        self.norm = model.norm if gated else model.ln_f
        self.rotary = model.rotary_emb if gated else None
        self.position_table = None if gated else model.wpe
        self.requires_grad_(False)

    @property
    def letters(self) -> str:
        """The linear modules of a block in the paper's order: QKVOGUD, or QKVOUD for GPT-2."""
        return "".join(self.groups)

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Input and output width of each linear module of a block."""
        sizes = {}
        for group, paths in self.groups.items():
            outputs = []
            for path in paths:
                weight = attrgetter(path)(self.layers[0]).weight
                # GPT-2's Conv1D keeps [in, out], the reverse of nn.Linear, and fuses Q, K and V in one matrix.
                width_in, width_out = weight.shape if self.position_table else weight.shape[::-1]
                outputs += [(width_in, width_out * len(paths) // len(group))] * (len(group) // len(paths))
            sizes |= dict(zip(group, outputs, strict=True))
        return sizes

    def linear(self, block: int, group: str, x: Tensor) -> tuple[Tensor, ...]:
        """The frozen linears of a group: x [B, S, in] -> one [B, S, out] per letter."""
        outputs = [attrgetter(path)(self.layers[block])(x) for path in self.groups[group]]
        return outputs[0].chunk(len(group), dim=-1) if len(outputs) < len(group) else tuple(outputs)

    def matrices(self, block: int, group: str) -> Frozen:
        """Weights [in, out] and biases [out] (None without one) of a group, one a letter; views, not copies."""
        linears = [attrgetter(path)(self.layers[block]) for path in self.groups[group]]
        if self.position_table is None:
            return tuple(linear.weight.T for linear in linears), tuple(linear.bias for linear in linears)
        [fused] = linears
        return fused.weight.chunk(len(group), dim=1), fused.bias.chunk(len(group))

    def enter(self, h: Tensor, *, positions: bool) -> tuple[Tensor, Rope | None]:
        """Give tokens h [B, S, D] their positions 0 .. S - 1: added (GPT-2), or as angles for the blocks (the others).

        Raises ValueError where the backbone has fewer positions than there are tokens.
        """
        tokens = h.shape[1]
        if not positions:
            return h, None
        limit = min(self.max_tokens, self.sliding_window or self.max_tokens)
        if tokens > limit:
            raise ValueError(f"{tokens} tokens need as many positions; the backbone has {limit}: take one with more")
        index = torch.arange(tokens, device=h.device)[None]
        if self.position_table is not None:
            return h + self.position_table(index), None
        cosine, sine = self.rotary(h, index)
        return h, (cosine[:, None], sine[:, None])

    def block(self, index: int, h: Tensor, *, project: Project, rope: Rope | None, causal: bool) -> Tensor:
        """One pre-norm block: h [B, S, D] -> [B, S, D]."""
        layer = self.layers[index]
        if self.position_table is None:
            h = h + self._attend(layer.self_attn, layer.input_layernorm(h), project, rope, causal)
            gate, up = project("GU", layer.post_attention_layernorm(h))
            return h + project("D", layer.mlp.act_fn(gate) * up)[0]
        h = h + self._attend(layer.attn, layer.ln_1(h), project, rope, causal)
        return h + project("D", layer.mlp.act(project("U", layer.ln_2(h))[0]))[0]

    def _attend(self, attention: nn.Module, x: Tensor, project: Project, rope: Rope | None, causal: bool) -> Tensor:
        """Self-attention over the tokens; `causal` is explicit, since transformers' default depends on the kernel."""
        q, k, v = (part.unflatten(2, (-1, attention.head_dim)) for part in project("QKV", x))
        if hasattr(attention, "q_norm"):  # Qwen3 normalises each head
            q, k = attention.q_norm(q), attention.k_norm(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # [B, heads, S, head width]
        if rope is not None:
            q, k = rotate(q, rope), rotate(k, rope)
        shared = q.shape[1] != k.shape[1]
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=attention.scaling, enable_gqa=shared)
        return project("O", attended.transpose(1, 2).flatten(2))[0]

    def forward(self, h: Tensor, *, causal: bool) -> Tensor:
        """Run all blocks and the final norm on input embeddings h [B, S, D], with the frozen linears alone."""
        h, rope = self.enter(h, positions=True)
        for index in range(len(self.layers)):
            h = self.block(index, h, project=lambda g, x, i=index: self.linear(i, g, x), rope=rope, causal=causal)
        return self.norm(h)

    def norm_parameters(self) -> list[nn.Parameter]:
        """Norms and learned positions: what GPT4TS trains of a backbone."""
        parts = [module for module in self.modules() if "Norm" in type(module).__name__]
        parts += [self.position_table] if self.position_table else []
        return [parameter for part in parts for parameter in part.parameters()]


def rotate(x: Tensor, rope: Rope) -> Tensor:
    """Rotary positions (Su et al. 2021, arXiv 2104.09864) in transformers' half-split layout; x [B, heads, S, d]."""
    cosine, sine = rope
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


def load_backbone(folder: Path, *, dtype: torch.dtype) -> Backbone:
    """Load a prepared folder (`config.json`, `blocks.safetensors`) without its embedding table.

    Layers are made on the meta device and take over the file's tensors, so nothing is initialised in vain.
    """
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    gated = config.model_type != "gpt2"
    model.set_input_embeddings(None)
    weights = {name: tensor.to(dtype) for name, tensor in load_file(folder / "blocks.safetensors").items()}
    model.load_state_dict(weights, strict=True, assign=True)
    if gated:
        model.rotary_emb = type(model.rotary_emb)(config)  # its angles are buffers, which meta tensors do not hold
    return Backbone(model=model).eval()
