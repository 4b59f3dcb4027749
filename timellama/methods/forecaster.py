"""What a forecaster is to the rest of the package: a module with hooks, which do nothing unless a method needs them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from timellama.backbones.recompute import Recomputing
from timellama.core.errors import InputError


class Forecast(NamedTuple):
    """A forecast with what training and the router's statistics need beside it.

    values: [B, H, N]. balance: a scalar loss that training adds, times a weight, or None (Time-LlaMA's equation 7).
    routings: the gates [B, E] and probabilities [B, E] that each block's router gave; empty without routers.
    """

    values: Tensor
    balance: Tensor | None
    routings: Sequence[Any]


class Forecaster(Recomputing):
    """A method's network. A subclass defines `forward(x: [B, T, N]) -> [B, H, N]`; the hooks are its choice.

    One that reads the calendar sets `calendar` to C, and is given x [B, T, N + C].
    """

    modules_routed: str = ""  # one letter for each module that a router chooses among
    calendar: int = 0

    def forecast(self, x: Tensor) -> Forecast:
        """x [B, T, N + C] to the forecast and what comes with it."""
        return Forecast(values=self(x), balance=None, routings=())

    def recompute(self, on: bool) -> None:
        """Whether layers are computed again in the backward pass in place of being kept; nothing without layers."""
        for module in self.modules():
            if isinstance(module, Recomputing):
                module.recomputes = on

    def router_parameters(self) -> list[nn.Parameter]:
        """Parameters that are clipped apart from the rest."""
        return []

    def penalty(self) -> Tensor | None:
        """A scalar that training adds to the loss as it is."""
        return None

    def after_step(self, *, step: int, total_steps: int) -> None:
        """Called after each step of the optimiser; `step` counts from 1."""

    def schedule_state(self) -> dict[str, Any]:
        """What `after_step` depends on beside the weights; a checkpoint holds it."""
        return {}

    def load_schedule_state(self, state: dict[str, Any]) -> None:
        """The inverse of `schedule_state`."""


class _Adapted(Forecaster):
    """A plain module from outside the package, given the hooks."""

    def __init__(self, module: nn.Module, *, calendar: int):
        super().__init__()
        self.module, self.calendar = module, calendar

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N + C] to the forecast [B, H, N]."""
        return self.module(x)


class Asked(Forecaster):
    """A module of another library, and the function that asks it for a forecast.

    What a forecast draws at random, as Informer's keys and Chronos's samples are, is drawn from one seed, so that the
    same windows have the same forecasts each time.
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
    """The module itself, or, for a plain module from outside the package, one with the hooks around it.

    `calendar` is C, the features of the calendar that it was made for.

    Raises InputError for what is no module.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"the network is of type {type(module).__name__}; make its class one of torch.nn.Module")
    if not isinstance(module, Forecaster):
        return _Adapted(module, calendar=calendar)
    if calendar:
        module.calendar = calendar
    return module
