"""Dynamic LoRA: a router per block decides, per sample, which LoRA modules are active (section 3.5, equations 7 and 9
to 11).

The ACL version calls it DynaLoRA, the arXiv version D-LoRA. References: LoRA (Hu et al. 2021, arXiv 2106.09685) and the
balance loss of Switch Transformers (Fedus et al. 2022, arXiv 2101.03961). E is the number of modules of a block (N_mod
in the paper).

Gates are values that are passed along with the tokens and never stored on a module: a gate left over from another
forward pass would broadcast into the next one unnoticed.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from timellama.backbones.blocks import Frozen
from timellama.methods.time_llama.gated_linear import gated_linears

ACTIVATIONS = {"tanh": torch.tanh, "gelu": nn.functional.gelu, "relu": torch.relu, "identity": lambda h: h}
POOLERS = {
    "last": lambda h: h[:, -1],
    "first": lambda h: h[:, 0],
    "mean": lambda h: h.mean(dim=1),
    "max": lambda h: h.amax(dim=1),
}
GATE_GRADIENTS = ("literal", "straight-through", "scaled")


class Routing(NamedTuple):
    """What one block's router decided for a batch."""

    probabilities: Tensor  # [B, E], rows sum to 1
    gates: Tensor  # [B, E]; 0 or 1 except for the "scaled" gate. [B, E, r] in a mixture (mixture.py)


class LoRA(nn.Module):
    """The two matrices of equation 1's g x W^A W^B; gated_linear.py applies them together with the frozen W.

    W^A [in, r] starts as nn.Linear does (kaiming uniform, as in peft), W^B [r, out] at zero, so training starts from
    the frozen model. The paper's equation has no factor alpha / r, so there is none here.
    """

    def __init__(self, *, width_in: int, width_out: int, rank: int):
        super().__init__()
        self.a = nn.Parameter(torch.empty(width_in, rank))
        self.b = nn.Parameter(torch.zeros(rank, width_out))
        nn.init.kaiming_uniform_(self.a.T, a=math.sqrt(5))


class Router(nn.Module):
    """Equations 9 to 11: p = Softmax(g(Pooler(H)) W_r), gates = Top-n of p; one decision per sample and block.

    How the gradient passes the binary gate is open in the paper:
      literal           the gate is a constant: the forecast loss gives the router no gradient, only the balance loss
                        does;
      straight-through  forward 0 or 1, backward as if the gate were p (Bengio et al. 2013, arXiv 1308.3432);
      scaled            the gate is E p on the chosen modules, so that a uniform router has gates of 1.
    """

    def __init__(self, *, width: int, experts: int, active: int, activation: str, pooling: str, gate_gradient: str):
        super().__init__()
        if not 1 <= active <= experts:
            raise ValueError(f"active is {active}; it must be from 1 to the {experts} LoRA modules of a block")
        for name, value, allowed in (
            ("router_activation", activation, ACTIVATIONS),
            ("pooling", pooling, POOLERS),
            ("gate_gradient", gate_gradient, GATE_GRADIENTS),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        self.active, self.gate_gradient = active, gate_gradient
        self.pool, self.activate = POOLERS[pooling], ACTIVATIONS[activation]
        self.weight = nn.Linear(width, experts, bias=False)

    def forward(self, h: Tensor) -> Routing:
        """The block's input h [B, N, D] -> probabilities and gates, each [B, E]."""
        # In float32, whatever the precision of the rest: Top-n must not depend on rounding.
        with torch.autocast(h.device.type, enabled=False):
            p = torch.softmax(self.weight(self.activate(self.pool(h).float())), dim=-1)
        chosen = torch.zeros_like(p).scatter(1, p.topk(self.active, dim=-1).indices, 1.0)
        if self.gate_gradient == "straight-through":
            return Routing(p, chosen + (p - p.detach()))
        if self.gate_gradient == "scaled":
            return Routing(p, chosen * p * p.shape[1])
        return Routing(p, chosen)


class BlockAdapter(nn.Module):
    """The LoRA modules of one block; `router` None is static LoRA: the same code with every gate at 1.

    `router` maps the block's input [B, N, D] to a Routing: a Router, or the Mixture of mixture.py.
    """

    def __init__(self, *, sizes: dict[str, tuple[int, int]], rank: int, router: nn.Module | None):
        super().__init__()
        self.rank = rank
        self.lora = nn.ModuleDict({m: LoRA(width_in=i, width_out=o, rank=rank) for m, (i, o) in sizes.items()})
        self.router = router

    def route(self, h: Tensor) -> Routing:
        """Decide for the block's input h [B, N, D]."""
        if self.router is not None:
            return self.router(h)
        everything = h.new_ones(h.shape[0], len(self.lora))
        return Routing(everything / len(self.lora), everything)

    def forward(self, group: str, x: Tensor, frozen: Frozen, gates: Tensor) -> tuple[Tensor, ...]:
        """The outputs of a group of linears with their LoRA: x [B, S, in], gates [B, E], or [B, E, r] for one per rank.

        `frozen` holds weights [in, out] and biases of the group's modules. Returns one [B, S, out] per module.
        """
        first = list(self.lora).index(group[0])  # the letters of a group are adjacent
        gates = gates[:, first : first + len(group)]
        mask = gates[:, :, None].expand(-1, -1, self.rank) if gates.dim() == 2 else gates
        lora = [self.lora[m] for m in group]
        a = torch.cat([module.a for module in lora], dim=1)
        weights, biases = frozen
        return gated_linears(
            x, weights=weights, biases=biases, a=a, b=[module.b for module in lora], mask=mask.flatten(1)[:, None]
        )


def balance_loss(routings: list[Routing]) -> Tensor:
    """Equation 7: L_lb = E * sum over blocks and modules of f_i pbar_i, 1 per block for a uniform router.

    f_i is the share of the batch's samples whose most probable module is i, pbar_i the mean probability of i.
    """
    losses = []
    for p, _ in routings:
        experts = p.shape[1]
        first_choice = torch.nn.functional.one_hot(p.argmax(dim=-1), experts).to(p.dtype)
        losses.append(experts * (first_choice.mean(dim=0) * p.mean(dim=0)).sum())
    return torch.stack(losses).sum()
