"""What a forecaster is to the rest of the package: a module with hooks, which do nothing unless a method needs them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from timellama.backbones.recompute import Recomputing
from timellama.core.errors import InputError


class Forecast(NamedTuple):
    """A forecast with what training and the router's statistics need besides.

    values: [B, H, N]. balance: a scalar loss that training adds, times a weight, or None (Time-LlaMA's equation 7).
    routings: the gates [B, E] and probabilities [B, E] that each block's router gave; empty without routers.
    """

    values: Tensor
    balance: Tensor | None
    routings: Sequence[Any]


class Forecaster(Recomputing):
    """A method's network. A subclass defines `forward(x: [B, T, N]) -> [B, H, N]`; the hooks are optional.

    One that reads the calendar sets `calendar` to C, and receives x [B, T, N + C].
    """

    modules_routed: str = ""  # one letter for each module that a router chooses among
    calendar: int = 0

    def forecast(self, x: Tensor) -> Forecast:
        """x [B, T, N + C] to the forecast and what comes with it."""
        return Forecast(values=self(x), balance=None, routings=())

    def recompute(self, on: bool) -> None:
        """Set whether layers are recomputed in the backward pass instead of being kept; no effect without layers."""
        for module in self.modules():
            if isinstance(module, Recomputing):
                module.recomputes = on

    def router_parameters(self) -> list[nn.Parameter]:
        """Parameters that are clipped separately from the rest."""
        return []

    def adapter_parameters(self) -> list[nn.Parameter] | None:
        """Trained parameters of its LoRA modules and their routers; None for a method that has no such part."""
        return None

    def penalty(self) -> Tensor | None:
        """A scalar that training adds to the loss as it is."""
        return None

    def after_step(self, *, step: int, total_steps: int) -> None:
        """Called after each step of the optimiser; `step` counts from 1."""

    def schedule_state(self) -> dict[str, Any]:
        """What `after_step` depends on besides the weights; checkpoints include it."""
        return {}

    def load_schedule_state(self, state: dict[str, Any]) -> None:
        """The inverse of `schedule_state`."""


class _Adapted(Forecaster):
    """A plain module from outside the package, wrapped to have the hooks."""

    def __init__(self, module: nn.Module, *, calendar: int):
        super().__init__()
        self.module, self.calendar = module, calendar

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N + C] to the forecast [B, H, N]."""
        return self.module(x)


class Asked(Forecaster):
    """A module of another library, and the function that gets a forecast from it.

    Random draws of a forecast, such as Informer's keys and Chronos's samples, come from one seed, so that the same
    windows have the same forecasts each time.
    """

    def __init__(self, module: nn.Module, ask: Callable[[nn.Module, Tensor], Tensor]):
        super().__init__()
        self.module, self.ask = module, ask

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N] to the forecast [B, H, N]."""
        if self.training:
            return self.ask(self.module, x)
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            torch.manual_seed(0)
            return self.ask(self.module, x)


def as_forecaster(module: nn.Module, *, calendar: int = 0) -> Forecaster:
    """The module itself, or, for a plain module from outside the package, a wrapper with the hooks.

    `calendar` is C, the number of calendar features that it was made for.

    Raises InputError for anything that is not a module.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"the network is of type {type(module).__name__}; make its class derive from torch.nn.Module")
    if not isinstance(module, Forecaster):
        return _Adapted(module, calendar=calendar)
    if calendar:
        module.calendar = calendar
    return module
