"""Counts what a run costs without computing it: operations, calls and memory, only from shapes.

The model is built on torch's `meta` device, where a tensor has a shape and no numbers, and one training step and one
forecast pass through the code that a run uses. So the cost of eight blocks of Llama-2 7B is counted on a laptop, in
seconds and without any weights. What depends on the data is assumed, and marked where it is: the periods of TimesNet
and the wording of Time-LLM's prompts.
"""

import dataclasses
import importlib
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from timellama.backbones.blocks import Architecture, Backbone
from timellama.cost.backbone_shapes import BackboneShape
from timellama.experiments.memory import WHOLE, Fit, fit_of
from timellama.experiments.run import Run
from timellama.methods.forecaster import Forecaster
from timellama.methods.registry import method_of
from timellama.methods.time_llama.prompts import prompt_kind
from timellama.training.build import constructed, frozen_and_trained, model_class, requested, sizes_of, weight_bytes
from timellama.training.steps.step import gradients
from timellama.training.trial import try_network

CHARACTERS_A_TOKEN = 4.0  # our choice: the prompts of the catalogue have 3.9 to 4.6 per token in SmolLM2's tokenizer
FLASH_BACKWARD = 2.5  # products of a fused attention backwards to forwards: 5 to 2 (Dao 2023, arXiv 2307.08691)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """One pass: floating-point operations (a product and a sum are two), operations sent to the device, and the most
    bytes that were alive at once besides the weights."""

    flops: int
    calls: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a run's shape costs. `step` is for one batch of training (None if nothing trains), `forecast` for one batch
    of `forecast_windows` windows; `frozen` and `trained` are how many numbers the model holds of each.

    `fit` is how much of a batch passes at once; the bytes are those of that part. `whole_bytes` are those of the larger
    pass if all of a batch passed at once; None if it does.
    """

    step: Counted | None
    forecast: Counted
    forecast_windows: int
    frozen: int
    trained: int
    fit: Fit = WHOLE
    whole_bytes: int | None = None


class _Ledger(TorchDispatchMode):
    """Adds up operations and tracks which memory is alive, by each tensor's storage."""

    def __init__(self, known: Sequence[Tensor]) -> None:
        super().__init__()
        self.flops = self.calls = self.bytes = self.peak = 0
        self.alive = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet, kwargs = func.overloadpacket, kwargs or {}
        if packet not in flop_registry:
            with self:
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        made = func(*args, **kwargs)
        self.calls += not func.is_view
        if packet in flop_registry:
            self.flops += flop_registry[packet](*args, **kwargs, out_val=made)
        elif packet is torch.ops.aten.addmm_:
            self.flops += 2 * math.prod(args[1].shape) * args[2].shape[-1]
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._follow(leaf.untyped_storage())
        return made

    def _follow(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.alive:
            return
        self.alive.add(key)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.bytes -= size


class _Attention(torch.autograd.Function):
    """A fused attention: on `meta` torch would materialise the scores, which neither a CPU nor a GPU does."""

    @staticmethod
    def forward(ctx: Any, ledger: _Ledger, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, heads, queries, width = query.shape
        made = query.new_empty(batch, heads, queries, value.shape[-1])
        ctx.ledger, ctx.flops = ledger, 2 * batch * heads * queries * key.shape[2] * (width + value.shape[-1])
        ledger.flops += ctx.flops
        ledger.calls += 1
        ctx.save_for_backward(query, key, value, made)
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        ctx.ledger.flops += int(FLASH_BACKWARD * ctx.flops)
        ctx.ledger.calls += 1
        return None, *(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])


class _WrittenOut(TorchFunctionMode):
    """With any mode active, torch runs an encoder layer step by step and does not call a kernel that `meta` lacks."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def counted(call: Callable[[], object], *, known: Sequence[Tensor]) -> Counted:
    """What `call` costs; `known` are the tensors that existed before."""
    ledger = _Ledger(known)

    def attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        return _Attention.apply(ledger, query, key, value)

    # A patch and not a mode: no mode is active where a layer is recomputed in the backward pass.
    with mock.patch.object(nn.functional, "scaled_dot_product_attention", attention), _WrittenOut(), ledger:
        call()
    return Counted(flops=ledger.flops, calls=ledger.calls, bytes=ledger.peak)


def build_shape(run: Run, *, shape: BackboneShape | None, device: str) -> Forecaster:
    """The run's model with unset or random weights on `device`; `meta` takes no memory.

    Unlike `build.build` it reads nothing: the language model has only its shape.
    """
    given = sizes_of(run) | dataclasses.asdict(run.options)
    kind = model_class(run.method)
    with torch.device(device):
        if shape is not None:
            given |= _backbone_parts(run, shape)
        model = constructed(run, kind, {name: given[name] for name in requested(run, kind, given=tuple(given))})
    return model.to(device)


def _backbone_parts(run: Run, shape: BackboneShape) -> dict[str, Any]:
    architecture = Architecture(**shape.architecture | {"frequencies": tuple(shape.architecture["frequencies"])})
    weights = {name: torch.randn(size) * shape.width**-0.5 for name, size in shape.tensors.items()}
    text = run.prompt or ""
    tokens = math.ceil(len(text) / CHARACTERS_A_TOKEN)
    if kind := run.prompt_kind:
        tokens += math.ceil(prompt_kind(kind).extra / CHARACTERS_A_TOKEN)
    return {
        "backbone": Backbone(architecture=architecture, weights=weights).eval(),
        "prompt": torch.randn(tokens, shape.width),
        "description": text,
        "tokenise": lambda text: [0] * math.ceil(len(text) / CHARACTERS_A_TOKEN),
        "embedding_scale": 1.0,
        # It would waste memory for a method that does not read the whole table.
        "embedding_table": torch.randn(shape.vocabulary, shape.width) if method_of(run.method).table else None,
    }


@contextmanager
def assumed(run: Run) -> Iterator[None]:
    """Replace what `meta` cannot do: autocast, and decisions that depend on a sample's numbers.

    The method's record names the latter as `assumed`. Without autocast all activations take 4 bytes per number, so the
    memory of a bfloat16 run is an upper bound.
    """
    place = method_of(run.method).assumed
    replaced = {}
    if place:
        module, _, name = place.partition(":")
        replaced = getattr(importlib.import_module(module), name)
    with ExitStack() as stack:
        for name, instead in (
            ("torch.autocast", lambda *_, **__: nullcontext()),
            ("torch.is_autocast_enabled", lambda *_: False),
            *replaced.items(),
        ):
            stack.enter_context(mock.patch(name, instead))
        yield


def count(run: Run, *, shape: BackboneShape | None, memory: float = math.inf) -> Costs:
    """The costs of a run's shape; `shape` is that of its backbone. Raises ValueError if its options exclude it.

    The run may take `memory` bytes. If that cuts a batch, as in training, one part is counted, and its operations and
    calls are multiplied by the number of parts.
    """
    with assumed(run):
        model = build_shape(run, shape=shape, device="meta")
        try_network(model, run, device="meta")
        fit = fit_of(
            run,
            width=shape and shape.width,
            memory=memory,
            weights=weight_bytes(model, precision=run.precision),
        )
        step, forecast = _passes(run, model, fit)
        whole = [] if fit == WHOLE else [each.bytes for each in _passes(run, model, WHOLE) if each]
    frozen, trained = frozen_and_trained(model)
    return Costs(
        step=step,
        forecast=forecast,
        forecast_windows=run.evaluation_batch_size,
        frozen=frozen,
        trained=trained,
        fit=fit,
        whole_bytes=max(whole, default=None),
    )


def _passes(run: Run, model: Forecaster, fit: Fit) -> tuple[Counted | None, Counted]:
    """A training step and a batch of forecasts."""
    static = [*model.parameters(), *model.buffers()]
    trained = [p for p in model.parameters() if p.requires_grad]
    step = None
    if run.training and trained:
        drawn = run.training.drawn_of(run.variates)
        sizes, times = _part(run.training.batch_size, drawn, series=fit.step_series)
        x, y = _sample(run, sizes, "meta")
        model.recompute(fit.recompute)
        step = _repeated(counted(lambda: one_step(run, model.train(), x, y), known=static), times)
        for parameter in trained:
            parameter.grad = None
    at_once = {"series": fit.forecast_series, "windows_at_once": fit.forecast_windows}
    sizes, times = _part(run.evaluation_batch_size, run.variates, **at_once)
    x, _ = _sample(run, sizes, "meta")
    with torch.no_grad():
        return step, _repeated(counted(lambda: model.eval().forecast(x), known=static), times)


def _part(
    windows: int, variates: int, *, series: int | None, windows_at_once: int | None = None
) -> tuple[tuple[int, int], float]:
    """Windows and variates that pass at once, and how many times as large the batch is."""
    total = windows * variates
    if series and series < total:
        return (series, 1), total / series
    at_once = min(windows, windows_at_once or windows)
    return (at_once, variates), windows / at_once


def _repeated(one: Counted, times: float) -> Counted:
    return Counted(flops=round(times * one.flops), calls=math.ceil(times) * one.calls, bytes=one.bytes)


def _sample(run: Run, sizes: tuple[int, int], device: str) -> tuple[Tensor, Tensor]:
    windows, variates = sizes
    shape = (windows, run.context, variates + len(run.calendar)), (windows, run.horizon, variates)
    return torch.randn(shape[0], device=device), torch.randn(shape[1], device=device)


def one_step(run: Run, model: Forecaster, x: Tensor, y: Tensor) -> None:
    """Forward, loss and backward of one batch, as in training, without an optimiser, which `meta` does not have."""
    gradients(
        model,
        x,
        y,
        loss=run.training.loss,
        balance_weight=run.balance_weight,
        device=str(x.device),
        precision=run.precision,
        series=None,
    )
