"""Time-LlaMA: the forward pass, one line per equation (arXiv 2502.13725, section 3; ACL 2025 SRW, 2025.acl-srw.90).

Reading order: tokens.py (equation 2), alignment.py (3), timellama/backbones/blocks.py (the frozen blocks),
gated_linear.py (1), dynamic_lora.py (7 and 9 to 11), this. There is no public reference implementation; what the paper
leaves open is a constructor argument, and so is what its variants change (mixture.py, adalora.py) and what our controls
change (attention.py, prompts.py).
"""

from functools import partial

import torch
from torch import Tensor, nn

from timellama.backbones.blocks import Backbone
from timellama.methods.forecaster import Forecast, Forecaster
from timellama.methods.time_llama.alignment import Alignment
from timellama.methods.time_llama.attention import AttentionLayer
from timellama.methods.time_llama.dynamic_lora import BlockAdapter, Router, Routing, balance_loss
from timellama.methods.time_llama.mixture import Mixture
from timellama.methods.time_llama.tokens import TokenEmbedding, instance_normalise


class TimeLlama(Forecaster):
    """Instance norm -> TSEmb (eq. 2) -> alignment (eq. 3) -> L frozen blocks with gated LoRA (eq. 1, 9-11) -> head.

    `prompt` [P, D] holds the prompt's embeddings, or is a module that makes them for each sample.
    `alignment`: "cross-attention", "none", or "prefix": the prompt's tokens pass through the blocks before the
    variates' and are dropped before the head.
    `adapter`: "dynamic" (a router per block), "static" (every gate at 1), "moelora" (a mixture of LoRA per module),
    "adalora" (its ranks move between modules) or "none" (the blocks stay as they are).
    `blocks`: "pretrained"; "attention" or "none" have one trainable attention layer or nothing instead of the blocks,
    their positions and their final norm. `token_scale` multiplies the variates' tokens on their way into either.
    `head_init`: "uniform" (torch's), or "zero", with which the untrained forecast is the mean of the look-back.
    `train_backbone` trains every weight of the blocks.

    Raises ValueError for a value outside an option's choices, and for options that contradict each other.
    """

    def __init__(
        self,
        *,
        context: int,
        horizon: int,
        backbone: Backbone,
        prompt: Tensor | nn.Module,
        rank: int,
        heads: int,
        active: int,
        token_embedding: str,
        token_scale: float,
        head_init: str,
        alignment: str,
        adapter: str,
        mixture_experts: int,
        gate_gradient: str,
        router_activation: str,
        pooling: str,
        attention: str,
        positions: str,
        blocks: str,
        train_backbone: bool,
    ):
        super().__init__()
        for name, value, allowed in (
            ("head_init", head_init, ("uniform", "zero")),
            ("alignment", alignment, ("cross-attention", "none", "prefix")),
            ("adapter", adapter, ("dynamic", "static", "none", "adalora", "moelora")),
            ("attention", attention, ("causal", "bidirectional")),
            ("positions", positions, ("backbone", "none")),
            ("blocks", blocks, ("pretrained", "attention", "none")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        if blocks != "pretrained" and (adapter, positions, train_backbone) != ("none", "none", False):
            raise ValueError(f"blocks is {blocks!r}: adapter and positions must be 'none' and train_backbone false")
        if alignment == "prefix" and blocks == "none":
            raise ValueError("alignment is 'prefix' and blocks is 'none': a prefix acts in the blocks; choose another")
        if alignment == "prefix" and isinstance(prompt, nn.Module):
            raise ValueError("alignment is 'prefix': texts made per sample differ in length; choose another prompt")
        width, sizes = backbone.width, backbone.sizes()
        self.causal, self.positions = attention == "causal", positions == "backbone"
        self.token_scale = token_scale
        self.prefixed, self.routed = alignment == "prefix", adapter == "dynamic"
        self.embed = TokenEmbedding(context=context, width=width, kind=token_embedding)
        self.align = Alignment(width=width, heads=heads) if alignment == "cross-attention" else None
        if isinstance(prompt, nn.Module):
            self.prompt: Tensor | nn.Module = prompt
        else:
            self.register_buffer("prompt", prompt, persistent=False)
        self.backbone = backbone if blocks == "pretrained" else None
        self.attend = AttentionLayer(width=width, heads=heads) if blocks == "attention" else None
        chosen = {"width": width, "activation": router_activation, "pooling": pooling}
        routers = {
            "dynamic": partial(Router, experts=len(sizes), active=active, gate_gradient=gate_gradient, **chosen),
            "moelora": partial(Mixture, modules=len(sizes), rank=rank, mixture_experts=mixture_experts, **chosen),
            "static": lambda: None,
        }
        self.adapters = nn.ModuleList(
            BlockAdapter(sizes=sizes, rank=rank, router=routers[adapter]())
            for _ in (backbone.layers if adapter in routers else ())
        )
        self.adalora = _adalora(backbone, rank) if adapter == "adalora" else None
        if train_backbone:
            backbone.float().requires_grad_(True)  # small steps are lost in the bfloat16 of frozen weights
        self.head = nn.Linear(width, horizon)
        if head_init == "zero":
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] -> forecast [B, H, N]."""
        return self.forecast(x).values

    def forecast(self, x: Tensor) -> Forecast:
        """x [B, T, N] -> the forecast [B, H, N], the balance loss and each block's routing."""
        normal = instance_normalise(x)
        h = self.embed(normal.values)  # eq. 2
        prompt, keep = (self.prompt, None) if isinstance(self.prompt, Tensor) else self.prompt(normal.values)
        if self.align is not None:
            h = self.align(h, prompt, keep)  # eq. 3
        h = h if self.token_scale == 1 else self.token_scale * h  # ours, in no equation
        prefix = len(prompt) if self.prefixed else 0
        if prefix:
            h = torch.cat([prompt.to(h.dtype).expand(len(h), -1, -1), h], dim=1)
        h, routings = self._blocks(h, prefix)
        y = self.head(h[:, prefix:])
        return Forecast(
            values=normal.undo(y.transpose(1, 2)),
            balance=balance_loss(routings) if self.routed else None,  # eq. 7
            routings=routings if self.routed else (),
        )

    def _blocks(self, h: Tensor, prefix: int) -> tuple[Tensor, list[Routing]]:
        """Tokens h [B, P + N, D], the first P of them a prefix that routers do not pool -> [B, P + N, D]."""
        if self.backbone is None:
            return (h if self.attend is None else self.attend(h, causal=self.causal)), []
        h, rope = self.backbone.enter(h, positions=self.positions)
        routings = []
        for index in range(len(self.backbone.layers)):
            project = partial(self.backbone.linear, index)
            if self.adapters:
                routings.append(self.adapters[index].route(h[:, prefix:]))  # eq. 9-11
                project = partial(self._adapted, index, routings[-1].gates)  # eq. 1
            h = self.backbone.block(index, h, project=project, rope=rope, causal=self.causal)
        return self.backbone.norm(h), routings

    def _adapted(self, block: int, gates: Tensor, group: str, x: Tensor) -> tuple[Tensor, ...]:
        return self.adapters[block](group, x, self.backbone.matrices(block, group), gates)

    @property
    def modules_routed(self) -> str:
        """The letters of a block's LoRA modules, in the order of the gates."""
        return self.backbone.letters

    def router_parameters(self) -> list[nn.Parameter]:
        """The routers' weights, whose gradients are clipped separately from the rest."""
        return [p for adapter in self.adapters if self.routed for p in adapter.router.parameters()]

    def adapter_parameters(self) -> list[nn.Parameter]:
        """Parameters of the LoRA modules and of their routers; none if the blocks stay as they are."""
        return [*self.adapters.parameters(), *(self.adalora.parameters() if self.adalora else ())]

    def penalty(self) -> Tensor | None:
        """What training adds to the loss whatever the batch: AdaLoRA's orthogonality, weighted; else None."""
        return self.adalora.penalty() if self.adalora else None

    def after_step(self, *, step: int, total_steps: int) -> None:
        """To be called after each optimiser step (from 1), before gradients are cleared: AdaLoRA prunes its ranks."""
        if self.adalora:
            self.adalora.after_step(step=step, total_steps=total_steps)

    def schedule_state(self) -> dict:
        """What `after_step` depends on besides the weights; checkpoints include it."""
        return self.adalora.schedule_state() if self.adalora else {}

    def load_schedule_state(self, state: dict) -> None:
        """The inverse of `schedule_state`."""
        if self.adalora:
            self.adalora.load_schedule_state(state)


def _adalora(backbone: Backbone, rank: int):
    """Imported here because peft takes seconds to load and one variant needs it."""
    from timellama.methods.time_llama.adalora import AdaLoRA

    return AdaLoRA(backbone=backbone, rank=rank)
