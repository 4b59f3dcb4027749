"""Time-LlaMA: the forward pass, one line an equation (arXiv 2502.13725, section 3; ACL 2025 SRW, 2025.acl-srw.90).

Reading order: tokens.py (equation 2), alignment.py (3), backbone.py (the frozen blocks), dynamic_lora.py (1, 7 and 9 to
11), this. There is no public reference implementation; what the paper leaves open is a constructor argument.
"""

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from timellama.model.alignment import Alignment
from timellama.model.backbone import Backbone
from timellama.model.dynamic_lora import BlockAdapter, Router, Routing, balance_loss
from timellama.model.tokens import TokenEmbedding, instance_normalise


class Forecast(NamedTuple):
    """A forecast with what training and the router's statistics need beside it."""

    values: Tensor  # [B, H, N]
    balance: Tensor | None  # equation 7, unweighted; None without a router
    routings: list[Routing]  # one a block


class TimeLlama(nn.Module):
    """Instance norm -> TSEmb (eq. 2) -> alignment (eq. 3) -> L frozen blocks with gated LoRA (eq. 1, 9-11) -> head.

    `prompt` [P, D] holds the prompt's embeddings. `adapter` is "dynamic" (a router a block), "static" (every gate at 1)
    or "none" (the blocks stay as they are). Raises ValueError for a value outside an option's choices.
    """

    def __init__(
        self,
        *,
        context: int,
        horizon: int,
        backbone: Backbone,
        prompt: Tensor,
        rank: int,
        heads: int,
        active: int,
        token_embedding: str,
        alignment: str,
        adapter: str,
        gate_gradient: str,
        router_activation: str,
        pooling: str,
        attention: str,
        positions: str,
    ):
        super().__init__()
        for name, value, allowed in (
            ("alignment", alignment, ("cross-attention", "none")),
            ("adapter", adapter, ("dynamic", "static", "none")),
            ("attention", attention, ("causal", "bidirectional")),
            ("positions", positions, ("backbone", "none")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        width, sizes = backbone.width, backbone.sizes()
        self.causal, self.positions = attention == "causal", positions == "backbone"
        self.embed = TokenEmbedding(context=context, width=width, kind=token_embedding)
        self.align = Alignment(width=width, heads=heads) if alignment == "cross-attention" else None
        self.register_buffer("prompt", prompt, persistent=False)
        self.backbone = backbone
        router = partial(
            Router,
            width=width,
            experts=len(sizes),
            active=active,
            activation=router_activation,
            pooling=pooling,
            gate_gradient=gate_gradient,
        )
        self.adapters = nn.ModuleList(
            BlockAdapter(sizes=sizes, rank=rank, router=router() if adapter == "dynamic" else None)
            for _ in (backbone.layers if adapter != "none" else ())
        )
        self.head = nn.Linear(width, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] -> forecast [B, H, N]."""
        return self.forecast(x).values

    def forecast(self, x: Tensor) -> Forecast:
        """x [B, T, N] -> the forecast [B, H, N], the balance loss and each block's routing."""
        normal = instance_normalise(x)
        h = self.embed(normal.values)  # eq. 2
        if self.align is not None:
            h = self.align(h, self.prompt)  # eq. 3
        h, rope = self.backbone.enter(h, positions=self.positions)
        routings = []
        for index in range(len(self.backbone.layers)):
            project = partial(self.backbone.linear, index)
            if self.adapters:
                routings.append(self.adapters[index].route(h))  # eq. 9-11
                project = partial(self._adapted, index, routings[-1].gates)  # eq. 1
            h = self.backbone.block(index, h, project=project, rope=rope, causal=self.causal)
        y = self.head(self.backbone.norm(h))
        routed = bool(self.adapters) and self.adapters[0].router is not None
        return Forecast(
            normal.undo(y.transpose(1, 2)),
            balance_loss(routings) if routed else None,  # eq. 7
            routings if routed else [],
        )

    def _adapted(self, block: int, gates: Tensor, group: str, x: Tensor) -> tuple[Tensor, ...]:
        return self.adapters[block](group, x, self.backbone.linear(block, group, x), gates)

    @property
    def modules_routed(self) -> str:
        """The letters of a block's LoRA modules, in the order of the gates."""
        return self.backbone.letters

    def router_parameters(self) -> list[nn.Parameter]:
        """The routers' weights, whose gradients are clipped apart from the rest."""
        return [p for adapter in self.adapters if adapter.router is not None for p in adapter.router.parameters()]
