"""Training: AdamW, a schedule, validation before the first step and often after it, best weights restored.

Paper, section 4.3 and table 7. Training stops early on validation, and a model that no step improves stays as it began.
Nothing here ever sees the test part. The data order comes from its own generator, so two methods with one seed see the
same batches in the same order; a last, smaller batch is trained on like any other.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from timellama.core.jobs.interruption import Interrupted, Signals
from timellama.core.jobs.job_state import RUNNING, TESTING, ProgressWriter
from timellama.data.windows import SplitWindows
from timellama.experiments.memory import WHOLE, Fit
from timellama.experiments.run import Training
from timellama.methods.forecaster import Forecaster
from timellama.training.gathered import Gathered
from timellama.training.steps.checkpoint import Checkpoint, generator_states, restore_generators
from timellama.training.steps.compiled import as_compiled, how
from timellama.training.steps.schedule import learning_rate
from timellama.training.steps.step import TrainingStep
from timellama.training.steps.validation import validate

log = logging.getLogger(__name__)

CHECK_EVERY = 20  # our choice: steps between reads of the loss; each read makes a GPU wait
GATHERED = ("losses", "balances")  # of `Progress`
HISTORY = ("step", "epoch", "train_loss", "validation_loss", "balance_loss", "learning_rate", "seconds")
ROUTER_HISTORY = ("step", "block", "module", "selection_rate", "entropy")


class TrainingFailed(RuntimeError):
    """The loss is not a finite number at `step`; `parameters` are those that `remedy` says to change."""

    def __init__(self, what: str, *, step: int, parameters: tuple[str, ...], remedy: str):
        super().__init__(f"{what}: {remedy}")
        self.step, self.parameters, self.remedy = step, parameters, remedy


@dataclass(frozen=True, kw_only=True)
class Trained:
    """How a training went; the model itself holds the best weights."""

    steps: int
    best_step: int
    validation_loss: float
    seconds: float
    history: list[dict]
    router_history: list[dict]
    resumed_at: list[int]  # the steps after which another process resumed
    steps_made: dict[str, str]  # `how` says what it holds


def trainable_state(model: Forecaster) -> dict[str, Tensor]:
    """All that training changes: the state without frozen parameters, detached, on the CPU."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items() if name not in frozen}


def batches(count: int, batch_size: int, generator: torch.Generator, *, device: str = "cpu") -> Iterator[Tensor]:
    """Endless passes over a shuffled 0 .. count - 1, each moved to `device` as a whole: no step waits for a copy."""
    while True:
        yield from torch.randperm(count, generator=generator).to(device).split(batch_size)


@dataclass(kw_only=True)
class Progress:
    """How far a training is after a whole step; the weights, the optimiser and the generators are kept elsewhere."""

    best_state: dict[str, Tensor]
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    worse: int = 0  # validations since the best one
    seconds: float = 0.0  # of training, in all the processes that it took
    history: list[dict] = field(default_factory=list)
    router_history: list[dict] = field(default_factory=list)
    losses: Gathered = field(default_factory=Gathered)  # of the steps since the last validation
    balances: Gathered = field(default_factory=Gathered)
    resumed_at: list[int] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        return state | {name: state[name].values.clone() for name in GATHERED}

    @classmethod
    def of_state(cls, state: dict[str, Any], *, device: str) -> "Progress":
        """The inverse of `state`."""
        return cls(**state | {name: Gathered(state[name].to(device)) for name in GATHERED})


def train(
    model: Forecaster,
    *,
    windows: SplitWindows,
    validation: SplitWindows,
    training: Training,
    balance_weight: float,
    seed: int,
    device: str,
    precision: str,
    fit: Fit = WHOLE,
    compiled: str = "off",
    checkpoint: Checkpoint | None = None,
    signals: Signals | None = None,
    report: ProgressWriter | None = None,
) -> Trained:
    """Train `model` in place and leave the weights of the best validation loss in it.

    With a `checkpoint`, the state is saved there at every validation, and work that it already holds is not repeated:
    the end is the same, bit by bit on a CPU. `compiled` is as in `Run.compiled`. Without `signals`, or if none arrives,
    nothing interrupts. `report` keeps a file that shows how far the training is.

    Raises TrainingFailed if the loss is NaN or infinite, naming the step, and Interrupted after a whole step.
    """
    trainer = _Trainer(
        model,
        windows=windows.to(device),
        validation=validation.to(device),
        training=training,
        balance_weight=balance_weight,
        seed=seed,
        device=device,
        precision=precision,
        fit=fit,
        compiled=compiled,
        report=report,
    )
    signals = signals or Signals()
    state = checkpoint.load() if checkpoint else None
    if state is not None:
        trainer.restore(state)
    trainer.tell(RUNNING)

    def keep() -> None:
        if checkpoint:
            checkpoint.save(trainer.state())

    with signals.held():
        try:
            trainer.run(signals, keep)
        except Interrupted as stop:
            keep()
            trainer.tell(RUNNING)
            log.warning("%s after step %d of %d", stop, trainer.progress.step, trainer.total)
            raise
    trainer.tell(TESTING)
    return trainer.finish()


class _Trainer:
    """One training in progress. Between two calls of its methods, `state` is all that a new process needs to resume."""

    def __init__(
        self,
        model: Forecaster,
        *,
        windows: SplitWindows,
        validation: SplitWindows,
        training: Training,
        balance_weight: float,
        seed: int,
        device: str,
        precision: str,
        fit: Fit,
        compiled: str,
        report: ProgressWriter | None,
    ):
        self.report = report
        self.model, self.validation, self.training = model, validation, training
        self.seed, self.device, self.precision, self.fit = seed, device, precision, fit
        step = TrainingStep(
            model,
            training=training,
            balance_weight=balance_weight,
            device=device,
            precision=precision,
            fit=fit,
            masked=windows.masked,
        )
        # What is drawn: windows, or single series of them.
        alone = training.sampling == "variates"
        self.items, self.batch = (
            (len(windows) * windows.variates, windows.series) if alone else (len(windows), windows.batch)
        )
        if windows.masked:  # those without an observed target teach nothing
            drawn, batch = windows.with_targets(alone=alone).to(device), self.batch
            self.items, self.batch = len(drawn), lambda indices: batch(drawn[indices])
        self.make_step = as_compiled(step, compiled, batch=min(training.batch_size, self.items))
        self.steps = training.steps(windows=self.items, variates=1 if alone else windows.variates)
        self.total = self.steps.total
        self.progress = Progress(best_state=trainable_state(model))
        self.clock = time.perf_counter()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on. The order of the data is left out: seed and step determine it."""
        self._count_seconds()
        return {
            "progress": self.progress.state(),
            "model": trainable_state(self.model),
            "schedule": self.model.schedule_state(),
            "optimiser": self.make_step.optimiser.state_dict(),
            "generators": generator_states(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.progress = Progress.of_state(state["progress"], device=self.device)
        self.progress.resumed_at.append(self.progress.step)
        self.model.load_state_dict(state["model"], strict=False)
        self.model.load_schedule_state(state["schedule"])
        self.make_step.optimiser.load_state_dict(state["optimiser"])
        restore_generators(state["generators"])
        log.info("resumes from the checkpoint after step %d of %d", self.progress.step, self.total)

    @property
    def validation_due(self) -> bool:
        """Whether a validation follows this step, or precedes the first, and has not been made."""
        step, history = self.progress.step, self.progress.history
        validated = history[-1]["step"] if history else -1  # step 0 is the untrained model
        return step > validated and (step % self.steps.between_validations == 0 or step == self.total)

    @property
    def finished(self) -> bool:
        """Whether every step is made, or patience has run out."""
        done = self.progress.step == self.total or self.progress.worse >= self.training.patience
        return done and not self.validation_due

    def run(self, signals: Signals, keep: Callable[[], None]) -> None:
        """Steps and validations to the end; `keep` is called after each validation."""
        draw = torch.Generator().manual_seed(self.seed)
        order = batches(self.items, self.training.batch_size, draw, device=self.device)
        order = islice(order, self.progress.step, None)
        # A bar only where somebody looks: tqdm disables itself if standard error is not a terminal.
        shown = {"unit": "step", "disable": None, "leave": False, "dynamic_ncols": True}
        with tqdm(total=self.total, initial=self.progress.step, **shown) as bar:
            while not self.finished:
                if not self.validation_due:
                    self._step(next(order))
                    bar.update()
                    self._check(bar)
                signals.check()
                if self.validation_due:
                    self._validate(signals)
                    keep()
                    self.tell(RUNNING)
                elif self.report and self.report.due:
                    self.tell(RUNNING)

    def tell(self, state: str) -> None:
        """Report how far the training is, from numbers that the CPU has, so no GPU waits for it."""
        if not self.report:
            return
        progress, last = self.progress, next(reversed(self.progress.history), {})
        self.report.write(
            state,
            step=progress.step,
            total=self.total,
            seconds=progress.seconds + time.perf_counter() - self.clock,
            resumed_at=progress.resumed_at,
            train_loss=last.get("train_loss"),
            validation_loss=last.get("validation_loss"),
            best=progress.best if last else None,
            best_step=progress.best_step if last else None,
        )

    def _step(self, indices: Tensor) -> None:
        progress = self.progress
        self.model.train()
        x, y = (part.to(self.device, non_blocking=True) for part in self.batch(indices))
        loss, balance = self.make_step(
            x, y, learning_rate=self._rate(progress.step), step=progress.step + 1, total_steps=self.total
        )
        progress.losses.add(loss[None])
        if balance is not None:
            progress.balances.add(balance[None])
        progress.step += 1

    def _rate(self, step: int) -> float:
        return learning_rate(self.training, step=step, steps_per_epoch=self.steps.per_epoch, total_steps=self.total)

    def _check(self, bar: tqdm) -> None:
        progress = self.progress
        if progress.step % CHECK_EVERY == 0 or self.validation_due:
            _must_be_finite(progress.losses.values, end=progress.step)
            bar.set_postfix(loss=f"{progress.losses.values[-1].item():.4f}", best=f"{progress.best:.4f}", refresh=False)

    def _validate(self, signals: Signals) -> None:
        progress, step = self.progress, self.progress.step
        before = generator_states()
        try:
            with signals.released():
                loss, rows = validate(
                    self.model,
                    self.validation,
                    training=self.training,
                    device=self.device,
                    precision=self.precision,
                    fit=self.fit,
                )
        except Interrupted:
            restore_generators(before)  # as if it had not begun
            raise
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"the validation loss is NaN or infinite after step {step}",
                step=step,
                parameters=("learning_rate",),
                remedy="lower learning_rate or check the data",
            )
        progress.router_history += [{"step": step, **row} for row in rows]
        self._count_seconds()
        row = {
            "step": step,
            "epoch": step / self.steps.per_epoch,
            "train_loss": progress.losses.values.mean().item() if progress.losses else None,
            "validation_loss": loss,
            "balance_loss": progress.balances.values.mean().item() if progress.balances else None,
            "learning_rate": self._rate(step - 1) if step else None,
            "seconds": progress.seconds,
        }
        progress.history.append(row)
        _log_validation(row, total=self.total)
        progress.losses, progress.balances = Gathered(), Gathered()
        if loss < progress.best:
            progress.best, progress.best_step, progress.worse = loss, step, 0
            progress.best_state = trainable_state(self.model)
            return
        progress.worse += 1
        if progress.worse >= self.training.patience:
            log.info("no better validation loss in %d validations: stopped at step %d", progress.worse, step)

    def _count_seconds(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self.clock
        self.clock = now

    def finish(self) -> Trained:
        """Give the model its best weights, and return how it went."""
        progress = self.progress
        self._count_seconds()
        self.model.load_state_dict(progress.best_state, strict=False)
        return Trained(
            steps=progress.step,
            best_step=progress.best_step,
            validation_loss=progress.best,
            seconds=progress.seconds,
            history=progress.history,
            router_history=progress.router_history,
            resumed_at=progress.resumed_at,
            steps_made=how(self.make_step),
        )


def _log_validation(row: Mapping[str, Any], *, total: int) -> None:
    step, loss = row["step"], row["validation_loss"]
    if step == 0:
        log.info("step 0 of %d, untrained: validation %.5f", total, loss)
        return
    speed = step / row["seconds"]
    log.info(
        "step %d of %d, epoch %.2f: train %.5f, validation %.5f, rate %.2e, %.1f steps/s, at most %.0f s left",
        *(step, total, row["epoch"], row["train_loss"], loss, row["learning_rate"], speed, (total - step) / speed),
    )


def _must_be_finite(losses: Tensor, *, end: int) -> None:
    """`losses` [n] are those of the steps up to and including `end`."""
    bad = torch.nonzero(~torch.isfinite(losses))
    if len(bad):
        step = end - len(losses) + 1 + int(bad[0])
        raise TrainingFailed(
            f"the training loss is NaN or infinite at step {step}",
            step=step,
            parameters=("learning_rate", "clip_norm"),
            remedy="lower learning_rate or clip_norm, or check the data",
        )
