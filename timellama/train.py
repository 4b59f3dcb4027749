"""Training: Adam, a schedule, validation several times an epoch, early stopping on validation, best weights restored.

Paper, section 4.3 and table 7. Nothing here ever sees the test part. The data order comes from a generator of its own,
so two methods with one seed see the same batches in the same order; a last, smaller batch is trained on like any other.
"""

import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from timellama.data.windows import Windows
from timellama.metrics import RouterStatistics, smape_loss
from timellama.specs import Training

log = logging.getLogger(__name__)

LOSSES = {"mse": nn.functional.mse_loss, "smape": smape_loss}
CHECK_EVERY = 20  # our choice: steps between reads of the loss; each read makes a GPU wait
HISTORY = ("step", "epoch", "train_loss", "validation_loss", "balance_loss", "learning_rate", "seconds")
ROUTER_HISTORY = ("step", "block", "module", "selection_rate", "entropy")


class TrainingFailed(RuntimeError):
    """The loss is not a finite number; the message says at which step."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """How a training went; the model itself holds the best weights."""

    steps: int
    best_step: int
    validation_loss: float
    seconds: float
    history: list[dict]
    router_history: list[dict]


def learning_rate(training: Training, *, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """The rate of a step (from 0). Raises ValueError for an unknown schedule.

    cosine: from the full rate to 0 over all steps.
    halving: the full rate in the first two epochs, then half of the one before in each (thuml/Time-Series-Library,
    utils/tools.py, `type1`, which is called after each epoch).
    early-halving: half of the one before in each epoch from the second on; our choice where a configuration says so.
    delayed-decay: the full rate for four epochs, then 0.9 of the one before in each (the same file's `type3`).
    constant: the full rate.
    """
    epoch = step // steps_per_epoch
    if training.schedule == "cosine":
        factor = (1 + math.cos(math.pi * step / total_steps)) / 2
    elif training.schedule == "halving":
        factor = 0.5 ** max(0, epoch - 1)
    elif training.schedule == "early-halving":
        factor = 0.5**epoch
    elif training.schedule == "delayed-decay":
        factor = 0.9 ** max(0, epoch - 3)
    elif training.schedule == "constant":
        factor = 1.0
    else:
        raise ValueError(
            f"schedule is {training.schedule!r}; it must be 'cosine', 'halving', 'early-halving', 'delayed-decay' or "
            "'constant'"
        )
    return training.learning_rate * factor


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """All that training changes: the state without frozen parameters, detached, on the CPU."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items() if name not in frozen}


def spread(total: int, wanted: int | None) -> Tensor:
    """`wanted` of `total` indices, evenly spaced, with the first and the last; all where `wanted` is None or more."""
    if wanted is None or wanted >= total:
        return torch.arange(total)
    return torch.linspace(0, total - 1, wanted, dtype=torch.float64).round().long()


def predictions(
    model: nn.Module, windows: Windows, *, indices: Tensor, batch_size: int, device: str, precision: str
) -> Iterator[tuple[Tensor, Tensor, Tensor, list]]:
    """Forecast the windows at `indices`, in order, in evaluation mode without gradients.

    Yields (indices, forecast [B, H, N], truth [B, H, N], routings) a batch; the last batch is as small as it has to be.
    """
    model.eval()
    with torch.inference_mode(), autocast(device, precision):
        for chosen in indices.split(batch_size):
            x, y = (part.to(device) for part in windows.batch(chosen))
            forecast, _, routings = outputs(model, x)
            yield chosen, forecast.float(), y, routings


def outputs(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None, list]:
    """Forecast, balance loss and routings; the last two are empty for a method without a router."""
    return tuple(model.forecast(x)) if hasattr(model, "forecast") else (model(x), None, [])


def with_choices(statistics: RouterStatistics | None, model: nn.Module, routings: list) -> RouterStatistics | None:
    """The statistics with a batch's routings added; None until a method with routers has been seen."""
    if not routings:
        return statistics
    statistics = statistics or RouterStatistics(modules=model.modules_routed)
    statistics.add([r.gates for r in routings], [r.probabilities for r in routings])
    return statistics


def autocast(device: str, precision: str) -> torch.autocast:
    """bfloat16 autocast where the run's precision asks for it."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless passes over a shuffled 0 .. count - 1."""
    while True:
        yield from torch.randperm(count, generator=generator).split(batch_size)


def train(
    model: nn.Module,
    *,
    windows: Windows,
    validation: Windows,
    training: Training,
    balance_weight: float,
    seed: int,
    device: str,
    precision: str,
) -> Trained:
    """Train `model` in place and leave the weights of the best validation loss in it.

    Raises TrainingFailed where the loss is NaN or infinite, naming the step.
    """
    router = list(model.router_parameters()) if hasattr(model, "router_parameters") else []
    in_router = {id(p) for p in router}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in in_router]
    optimiser = torch.optim.Adam(
        [{"params": rest}, *([{"params": router}] if router else [])], lr=training.learning_rate
    )
    loss_of = LOSSES[training.loss]
    steps_per_epoch = math.ceil(len(windows) / training.batch_size)
    total = min(training.epochs * steps_per_epoch, training.max_steps or sys.maxsize)
    every = max(1, min(steps_per_epoch // training.validations_per_epoch, total // training.least_validations))
    order = batches(len(windows), training.batch_size, torch.Generator().manual_seed(seed))
    best, best_step, best_state, worse = math.inf, 0, trainable_state(model), 0
    history, router_history, losses, balances = [], [], [], []
    started = time.perf_counter()
    # A bar only where somebody looks: tqdm leaves itself out when standard error is no terminal.
    progress = tqdm(total=total, unit="step", disable=None, leave=False, dynamic_ncols=True)
    for step in range(total):
        model.train()
        rate = learning_rate(training, step=step, steps_per_epoch=steps_per_epoch, total_steps=total)
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, y = (part.to(device, non_blocking=True) for part in windows.batch(next(order)))
        with autocast(device, precision):
            forecast, balance, _ = outputs(model, x)
            loss = loss_of(forecast.float(), y)
        losses.append(loss.detach())
        if balance is not None:
            balances.append(balance.detach())
            loss = loss + balance_weight * balance
        if (penalty := model.penalty() if hasattr(model, "penalty") else None) is not None:
            loss = loss + penalty
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(rest, training.clip_norm)
        if router:
            nn.utils.clip_grad_norm_(router, training.router_clip_norm)
        optimiser.step()
        if hasattr(model, "after_step"):
            model.after_step(step=step + 1, total_steps=total)
        progress.update()
        last = step + 1 == total
        if (step + 1) % CHECK_EVERY == 0 or (step + 1) % every == 0 or last:
            _must_be_finite(losses, end=step + 1)
            progress.set_postfix(loss=f"{losses[-1].item():.4f}", best=f"{best:.4f}", refresh=False)
        if (step + 1) % every and not last:
            continue
        validation_loss, rows = validate(model, validation, training=training, device=device, precision=precision)
        if not math.isfinite(validation_loss):
            raise TrainingFailed(
                f"the validation loss is NaN or infinite after step {step + 1}: lower learning_rate or check the data"
            )
        router_history += [{"step": step + 1, **row} for row in rows]
        seconds = time.perf_counter() - started
        history.append(
            dict(
                zip(
                    HISTORY,
                    (
                        step + 1,
                        (step + 1) / steps_per_epoch,
                        torch.stack(losses).mean().item(),
                        validation_loss,
                        torch.stack(balances).mean().item() if balances else None,
                        rate,
                        seconds,
                    ),
                    strict=True,
                )
            )
        )
        left = seconds / (step + 1) * (total - step - 1)
        log.info(
            "step %d of %d, epoch %.2f: train %.5f, validation %.5f, rate %.2e, %.1f steps/s, at most %.0f s left",
            *(step + 1, total, (step + 1) / steps_per_epoch, history[-1]["train_loss"], validation_loss, rate),
            *((step + 1) / seconds, left),
        )
        losses, balances = [], []
        if validation_loss < best:
            best, best_step, best_state, worse = validation_loss, step + 1, trainable_state(model), 0
        else:
            worse += 1
            if worse >= training.patience:
                log.info("no better validation loss in %d validations: stopped at step %d", worse, step + 1)
                break
    progress.close()
    model.load_state_dict(best_state, strict=False)
    return Trained(
        steps=history[-1]["step"],
        best_step=best_step,
        validation_loss=best,
        seconds=time.perf_counter() - started,
        history=history,
        router_history=router_history,
    )


def validate(
    model: nn.Module, windows: Windows, *, training: Training, device: str, precision: str
) -> tuple[float, list[dict]]:
    """Mean loss over the validation windows, each counted once, and the router's choices for `ROUTER_HISTORY`."""
    total, count, statistics = 0.0, 0, None
    indices = spread(len(windows), training.validation_windows)
    batch_size = training.evaluation_batch_size
    for chosen, forecast, y, routings in predictions(
        model, windows, indices=indices, batch_size=batch_size, device=device, precision=precision
    ):
        total += LOSSES[training.loss](forecast.double(), y.double()).item() * len(chosen)
        count += len(chosen)
        statistics = with_choices(statistics, model, routings)
    summary = statistics.summary() if statistics else {"selection_rate": [], "modules": []}
    rows = [
        {"block": block, "module": module, "selection_rate": rate, "entropy": summary["entropy"][block]}
        for block, rates in enumerate(summary["selection_rate"])
        for module, rate in zip(summary["modules"], rates, strict=True)
    ]
    return total / count, rows


def _must_be_finite(losses: list[Tensor], *, end: int) -> None:
    """`losses` are those of the steps up to and with `end`."""
    bad = torch.nonzero(~torch.isfinite(torch.stack(losses)))
    if len(bad):
        step = end - len(losses) + 1 + int(bad[0])
        raise TrainingFailed(
            f"the training loss is NaN or infinite at step {step}: lower learning_rate or clip_norm, or check the data"
        )
