"""MOELoRA instead of dynamic LoRA (variant Time-LlaMA-6): every module is a mixture of LoRA experts.

Liu et al. 2024 (arXiv 2310.18339); reference liuqidong07/MOELoRA-peft, src/MLoRA/peft/tuners/mmoelora.py: one LoRA of
rank r cut into experts of rank r / E_m, and a softmax gate over them for each module, without a bias. Two things have
to differ: the reference's gate reads the embedding of a task, which does not exist here, so ours reads the pooled input
of the block, as dynamic LoRA's router does; and there is no factor alpha / r, as in equation 1.
"""

import torch
from torch import Tensor, nn

from timellama.methods.time_llama.dynamic_lora import ACTIVATIONS, POOLERS, Routing


class Mixture(nn.Module):
    """w_m = Softmax(g(Pooler(H)) W_m) over the E_m experts of module m; its LoRA becomes sum_e w_m,e x A_m,e B_m,e.

    Expert e is columns e r / E_m onwards of the module's W^A and the same rows of its W^B, so the sum over experts is
    one LoRA whose gate is w_m,e at each rank of expert e. Raises ValueError if the experts do not divide the rank.
    """

    def __init__(self, *, width: int, modules: int, rank: int, mixture_experts: int, activation: str, pooling: str):
        super().__init__()
        if mixture_experts < 1 or rank % mixture_experts:
            raise ValueError(f"mixture_experts is {mixture_experts}; it must divide the rank {rank}")
        for name, value, allowed in (("router_activation", activation, ACTIVATIONS), ("pooling", pooling, POOLERS)):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        self.modules_mixed, self.expert_rank = modules, rank // mixture_experts
        self.pool, self.activate = POOLERS[pooling], ACTIVATIONS[activation]
        self.weight = nn.Linear(width, modules * mixture_experts, bias=False)

    def forward(self, h: Tensor) -> Routing:
        """The block's input h [B, N, D] -> gates [B, E, r]; no module is chosen, so probabilities [B, E] are even."""
        with torch.autocast(h.device.type, enabled=False):  # float32, as in the router
            scores = self.weight(self.activate(self.pool(h).float())).unflatten(1, (self.modules_mixed, -1))
            gates = torch.softmax(scores, dim=-1).repeat_interleave(self.expert_rank, dim=-1)
        even = gates.new_full((len(h), self.modules_mixed), 1 / self.modules_mixed)
        return Routing(even, gates)
