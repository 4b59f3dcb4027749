"""AdaLoRA instead of dynamic LoRA (variant Time-LlaMA-5): ranks are moved to the modules that need them.

Zhang et al. 2023 (arXiv 2303.10512), with peft's own layers and rank allocator wrapped around the backbone's linears;
peft is imported for this variant only. A pruned rank is a zero in a module's singular values (`lora_E`), not a smaller
tensor, so saving and restoring weights needs nothing else.

What peft does only inside its own training loop or forward pass is done here: the schedule of the budget is set when
the number of steps is known (`after_step`), and the penalty is handed to the training loop (`penalty`).
"""

import math

import torch
from peft import AdaLoraConfig
from peft.tuners.adalora import AdaLoraModel
from torch import Tensor

from timellama.backbones.blocks import Backbone
from timellama.methods.time_llama import LEAST_STEPS

ADAPTER = "default"
# QingruZhang/AdaLoRA@f6968aae, NLU/scripts/run_debertav3_{cola,mnli,rte}.sh: the first rank is 2 or 3 times the target,
# 9 to 15 % of the steps come before the pruning and 46 to 58 % after it, a budget holds for 1 step in 700 to 4000, the
# penalty weighs 0.1 to 0.3. Our choice among these; but the first rank is 1.5 times the target, as in peft's defaults
# (12 and 8): the authors' targets are 1.
FIRST_RANK = 1.5
BEFORE, AFTER = 0.1, 0.5
BUDGETS = 1000
PENALTY_WEIGHT = 0.1


class AdaLoRA:
    """x W + x P diag(E) Q with Q = `lora_A` [r', in], E = `lora_E` [r', 1] and P = `lora_B` [out, r'].

    Training starts at r' = ceil(1.5 r) ranks per matrix and ends with r per matrix on average. The update has no
    factor, as in equation 1: peft divides by r', so alpha is r'. `backbone` is changed in place: its linears become
    peft's layers, whose new parameters are the only ones that train.
    """

    def __init__(self, *, backbone: Backbone, rank: int):
        first = math.ceil(FIRST_RANK * rank)
        self.config = AdaLoraConfig(
            target_r=rank,
            init_r=first,
            lora_alpha=first,
            target_modules=list(backbone.letters),
            orth_reg_weight=PENALTY_WEIGHT,
            total_step=LEAST_STEPS,  # a placeholder: the first `after_step` sets it
        )
        self.backbone = backbone
        self.tuner = AdaLoraModel(backbone, self.config, ADAPTER)
        # If the frozen weights are bfloat16, peft 0.21 makes its own so too, and makes the constant r' trainable.
        for name, parameter in backbone.named_parameters():
            if "lora_" in name or "ranknum" in name:
                parameter.data = parameter.data.float()
                parameter.requires_grad_("lora_" in name)

    def penalty(self) -> Tensor:
        """The weighted distance of P and Q from orthogonality: 0.1 times the mean of |Q Q^T - 1| and |P^T P - 1|."""
        distances = []
        for name, p in self.backbone.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                product = p @ p.T if "lora_A" in name else p.T @ p
                distances.append(torch.linalg.matrix_norm(product - torch.eye(len(product), device=p.device)))
        return PENALTY_WEIGHT * torch.stack(distances).mean()

    def after_step(self, *, step: int, total_steps: int) -> None:
        """Prune to the budget of `step` (from 1) of `total_steps`; gradients of the step must still be there.

        Raises ValueError for fewer steps than pruning needs.
        """
        if total_steps < LEAST_STEPS:
            raise ValueError(f"{total_steps} training steps; AdaLoRA needs at least {LEAST_STEPS}: raise max_steps")
        self.config.total_step = total_steps
        self.config.tinit, self.config.tfinal = int(BEFORE * total_steps), int(AFTER * total_steps)
        self.config.deltaT = max(1, total_steps // BUDGETS)
        self.tuner.update_and_allocate(step)

    def schedule_state(self) -> dict:
        """What the next pruning depends on besides the weights: the importances so far and the ranks kept."""
        allocator = self.tuner.rankallocator
        state = {name: getattr(allocator, name) for name in ("ipt", "exp_avg_ipt", "exp_avg_unc")}
        return state | {"rank_pattern": self.config.rank_pattern}

    def load_schedule_state(self, state: dict) -> None:
        """The inverse of `schedule_state`; tensors are moved to the weights' device."""
        places = {name: p.device for name, p in self.tuner.model.named_parameters()}
        for average in ("ipt", "exp_avg_ipt", "exp_avg_unc"):
            kept = {name: t.to(places[name]) for name, t in state[average].items()}
            setattr(self.tuner.rankallocator, average, kept)
        self.config.rank_pattern = state["rank_pattern"]
