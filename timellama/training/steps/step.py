"""One step of training, as training itself, the efficiency sweep and the plan's timing make it.

The plan's counting takes only `gradients`, since it runs on a device without an optimiser (cost/flops.py).

AdamW, which is Adam if `weight_decay` is 0, with two groups that are clipped separately: the routers' parameters and
the rest (`Training.router_clip_norm` says why).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn, optim

from timellama.experiments.memory import WHOLE, Fit
from timellama.experiments.run import Training
from timellama.methods.forecaster import Forecast, Forecaster
from timellama.training.precision import autocast, products
from timellama.training.scores.metrics import smape_loss
from timellama.training.scores.predictions import parts_of
from timellama.training.steps.masking import masked_loss, observed

Losses = tuple[Tensor, Tensor | None]  # of the forecast and, with routers, of their balance; scalars

LOSSES = {"mse": nn.functional.mse_loss, "smape": smape_loss}


def gradients(
    model: Forecaster,
    x: Tensor,
    y: Tensor,
    *,
    loss: str,
    balance_weight: float,
    device: str,
    precision: str,
    series: int | None,
    masked: bool = False,
    forecast_by: Callable[[Tensor], Forecast] | None = None,
) -> Losses:
    """Add the gradients of a batch x [B, T, N + C], y [B, H, N]; return its forecast and balance losses, detached.

    With `series`, for a method that forecasts each variate alone, at most this many of the B N series pass at a time.
    The gradients are those of the whole batch within rounding, unless something is drawn: each part has its own dropout
    masks. `masked` says that y has NaN where a target is missing. `forecast_by` replaces the model's own `forecast`.
    """
    forecast_by = forecast_by or model.forecast
    whole = observed(y) if masked else None
    losses, balances = [], []
    parts = zip(parts_of(x, series=series, calendar=model.calendar), parts_of(y, series=series), strict=True)
    for number, (part, truth) in enumerate(parts):
        share = truth.numel() / y.numel()
        with autocast(device, precision):
            forecast, balance, _ = forecast_by(part)
            if whole is None:
                of_forecast = share * LOSSES[loss](forecast.float(), truth)
            else:
                of_forecast = masked_loss(LOSSES[loss], forecast.float(), truth, over=whole)
        total = of_forecast
        if balance is not None:
            balances.append(share * balance.detach())
            total = total + share * balance_weight * balance
        if number == 0 and (penalty := model.penalty()) is not None:
            total = total + penalty
        with products(device, precision):
            total.backward()
        losses.append(of_forecast.detach())
    return torch.stack(losses).sum(), torch.stack(balances).sum() if balances else None


class TrainingStep:
    """Forward, loss, backward, clipping, AdamW and the model's own `after_step`."""

    def __init__(
        self,
        model: Forecaster,
        *,
        training: Training,
        balance_weight: float,
        device: str,
        precision: str,
        fit: Fit = WHOLE,
        masked: bool = False,
    ) -> None:
        self.model, self.training, self.fit, self.masked = model, training, fit, masked
        self.balance_weight, self.device, self.precision = balance_weight, device, precision
        self.forecast_by: Callable[[Tensor], Forecast] = model.forecast
        self.router = list(model.router_parameters())
        in_router = {id(p) for p in self.router}
        self.rest = [p for p in model.parameters() if p.requires_grad and id(p) not in in_router]
        groups = [{"params": parameters} for parameters in (self.rest, self.router) if parameters]
        model.recompute(fit.recompute)
        # Fused: one pass over the weights per step, where the default makes a dozen.
        self.optimiser = optim.AdamW(groups, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)

    def __call__(self, x: Tensor, y: Tensor, *, learning_rate: float, step: int, total_steps: int) -> Losses:
        """Make step `step` (from 1) of `total_steps` on x [B, T, N + C], y [B, H, N]; return the losses before it."""
        self.set_rate(learning_rate)
        losses = self.update(x, y)
        self.model.after_step(step=step, total_steps=total_steps)
        return losses

    def set_rate(self, learning_rate: float | Tensor) -> None:
        """Set the learning rate of the next update."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate

    def update(self, x: Tensor, y: Tensor) -> Losses:
        """Forward, loss, backward, clipping and AdamW: all of a step that the device computes."""
        self.optimiser.zero_grad(set_to_none=True)
        losses = gradients(
            self.model,
            x,
            y,
            loss=self.training.loss,
            balance_weight=self.balance_weight,
            device=self.device,
            precision=self.precision,
            series=self.fit.step_series,
            masked=self.masked,
            forecast_by=self.forecast_by,
        )
        nn.utils.clip_grad_norm_(self.rest, self.training.clip_norm)
        if self.router:
            nn.utils.clip_grad_norm_(self.router, self.training.router_clip_norm)
        self.optimiser.step()
        return losses
