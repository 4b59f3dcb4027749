"""Frozen linear modules that share an input, with their gated LoRA added (section 3.5, equation 1), as one operation.

Written out as an autograd function for speed: the A matrices of a group form one product, each B matrix adds into the
frozen product in place, and the gradients of the input are summed in place. tests/model/test_gated_linear.py compares
this with equation 1, module by module. Reference for the idea: the fused LoRA of torchtune and Unsloth, which have no
gates.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def gated_linears(
    x: Tensor,
    *,
    weights: tuple[Tensor, ...],
    biases: tuple[Tensor | None, ...],
    a: Tensor,
    b: list[Tensor],
    mask: Tensor,
) -> tuple[Tensor, ...]:
    """Equation 1 for each module m of a group: y_m = x W_m + bias_m + ((x A) * mask)_m B_m.

    x [B, S, in], weights each [in, out_m] and biases each [out_m], a [in, G r] with the columns of module m starting
    at m r, b each [r, out_m], mask [B, 1, G r] holding the gates -> one [B, S, out_m] per module. Everything is
    computed in the dtype of the weights, or in autocast's if that is on: autocast would not reach in-place products.
    """
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weights[0].dtype
    tensors = (x, a, mask, *weights, *biases, *b)
    return _GatedLinears.apply(len(b), *(None if tensor is None else tensor.to(dtype) for tensor in tensors))


class _GatedLinears(torch.autograd.Function):
    @staticmethod
    def forward(ctx, modules, x, a, mask, *matrices):
        weights, biases, b = (matrices[i * modules : (i + 1) * modules] for i in range(3))
        rows = x.reshape(-1, x.shape[-1])
        reduced = (rows @ a).view(*x.shape[:2], -1)
        gated = (reduced * mask).flatten(0, 1)
        outputs, rank = [], len(b[0])
        for m, (weight, bias, up) in enumerate(zip(weights, biases, b, strict=True)):
            y = rows @ weight if bias is None else torch.addmm(bias, rows, weight)
            outputs.append(y.addmm_(gated[:, m * rank : (m + 1) * rank], up).view(*x.shape[:2], -1))
        ctx.save_for_backward(rows, a, mask, reduced, gated, *weights, *b)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        modules = len(gradients)
        rows, a, mask, reduced, gated, *matrices = ctx.saved_tensors
        weights, b = matrices[:modules], matrices[modules:]
        needed = ctx.needs_input_grad[1:]  # of x, a and mask, then of every module's weight, bias and B
        flat = [gradient.reshape(len(rows), -1) for gradient in gradients]
        rank = len(b[0])
        d_b = [gated[:, m * rank : (m + 1) * rank].T @ dy for m, dy in enumerate(flat)]
        d_gated = torch.cat([dy @ up.T for dy, up in zip(flat, b, strict=True)], dim=1).view_as(reduced)
        d_mask = (d_gated * reduced).sum(dim=1, keepdim=True) if needed[2] else None
        d_reduced = (d_gated * mask).flatten(0, 1)
        d_x = None
        if needed[0]:
            d_x = d_reduced @ a.T
            for dy, weight in zip(flat, weights, strict=True):
                d_x.addmm_(dy, weight.T)
            d_x = d_x.view(*reduced.shape[:2], -1)
        # None for a frozen weight or bias: only the control with a trained backbone needs these two.
        d_weights = [rows.T @ dy if wanted else None for dy, wanted in zip(flat, needed[3:], strict=False)]
        d_biases = [dy.sum(dim=0) if wanted else None for dy, wanted in zip(flat, needed[3 + modules :], strict=False)]
        return None, d_x, rows.T @ d_reduced, d_mask, *d_weights, *d_biases, *d_b
