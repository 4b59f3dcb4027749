"""What the precision of a run means where it is computed: bfloat16 autocast, with products that any CPU computes fast.

Without AVX512, torch multiplies bfloat16 in plain loops, up to 40 times slower than float32 (docs/benchmarks.md).
There, each product is computed in float32 from the same rounded numbers, and its result is rounded. Instructions for
bfloat16 do the same but for the order of the sum: they add up in float32, too. The means is torch's
`TorchDispatchMode`, which sees every operation of the forward and of the backward pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

aten = torch.ops.aten
ADDED = {  # products that are added to their first argument, in place
    aten.addmm_.default: aten.addmm.default,
    aten.addmv_.default: aten.addmv.default,
    aten.baddbmm_.default: aten.baddbmm.default,
}
ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu.default
PRODUCTS = frozenset(
    {
        *ADDED,
        *ADDED.values(),
        aten.mm.default,
        aten.bmm.default,
        aten.mv.default,
        aten.dot.default,
        aten.convolution.default,
        aten.convolution_backward.default,
        ATTENTION,
        aten._scaled_dot_product_flash_attention_for_cpu_backward.default,
    }
)


@contextmanager
def autocast(device: str, precision: str) -> Iterator[None]:
    """bfloat16 autocast if the run's precision requires it, for a forward pass; `products` is part of it."""
    kind = torch.device(device).type
    with products(device, precision), torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        yield


@contextmanager
def products(device: str, precision: str) -> Iterator[None]:
    """`WideProducts` on a CPU for which torch has no fast products in bfloat16; for a backward pass too."""
    if not widens(device, precision):
        yield
        return
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # torch's fused attention multiplies where no mode sees it
    try:
        with WideProducts():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def widens(device: str, precision: str) -> bool:
    """Whether products are computed in a wider type than the precision's."""
    return precision == "bfloat16" and torch.device(device).type == "cpu" and not has_products()


def has_products() -> bool:
    """Whether torch passes products in bfloat16 to oneDNN on this CPU, which takes AVX512."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def widened(tensor: Tensor) -> Tensor:
    """A bfloat16 tensor in float32; another, such as a mask, as it is."""
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


class WideProducts(TorchDispatchMode):
    """Every product of bfloat16 tensors is computed in float32, and its result rounded to bfloat16.

    Attention is one product here: what is inside it is not rounded between its two.
    """

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Called by torch for each operation; those that torch composes of others are taken apart first."""
        kwargs = kwargs or {}
        if func not in PRODUCTS:
            with self:  # in inference mode, a linear layer arrives here whole
                parts = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if parts is NotImplemented else parts
        if not any(isinstance(a, Tensor) and a.dtype == torch.bfloat16 for a in args):
            return func(*args, **kwargs)
        wide_args, wide_kwargs = tree_map_only(Tensor, widened, (args, kwargs))
        wide = ADDED.get(func, func)(*wide_args, **wide_kwargs)
        if func in ADDED:
            return args[0].copy_(wide)
        if func is ATTENTION:  # the logarithms of its sums are float32 in every precision
            return wide[0].to(torch.bfloat16), *wide[1:]
        return tree_map_only(Tensor, lambda result: result.to(torch.bfloat16), wide)
