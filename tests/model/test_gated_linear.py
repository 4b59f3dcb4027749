"""The fused operation against equation 1 as written, module by module, with autograd's own gradients."""

import pytest
import torch

from timellama.methods.time_llama.dynamic_lora import BlockAdapter
from timellama.methods.time_llama.gated_linear import gated_linears

SIZES = (5, 3, 4)  # outputs of three modules that read the same input


def plain(x, weights, biases, a, b, mask):
    rank = len(b[0])
    gated = (x @ a) * mask
    outputs = []
    for m, (weight, bias, up) in enumerate(zip(weights, biases, b, strict=True)):
        frozen = x @ weight if bias is None else x @ weight + bias
        outputs.append(frozen + gated[..., m * rank : (m + 1) * rank] @ up)
    return outputs


def parts(*, biased: bool, dtype=torch.float64):
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, dtype=dtype, requires_grad=True)
    weights = tuple(torch.randn(out, 6, dtype=dtype).T for out in SIZES)
    biases = tuple(torch.randn(out, dtype=dtype) if biased else None for out in SIZES)
    a = torch.randn(6, 2 * len(SIZES), dtype=dtype, requires_grad=True)
    b = [torch.randn(2, out, dtype=dtype, requires_grad=True) for out in SIZES]
    gates = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.5]], dtype=dtype)
    mask = gates.repeat_interleave(2, dim=1)[:, None].requires_grad_()
    return x, weights, biases, a, b, mask


def test_equation_1_matches_hand_computed_values():
    x, weight = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]]), torch.tensor([[1.0], [10.0]])
    a, b = torch.tensor([[3.0], [1.0]]), torch.tensor([[100.0]])
    on_and_off = torch.tensor([[[1.0]], [[0.0]]])
    [y] = gated_linears(x, weights=(weight,), biases=(None,), a=a, b=[b], mask=on_and_off)
    assert y.flatten().tolist() == [21 + 5 * 100, 21]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_values_and_all_gradients_equal_those_of_the_plain_path(biased, trained):
    x, weights, biases, a, b, mask = parts(biased=biased)
    backbone = [matrix for matrix in (*weights, *biases) if matrix is not None and trained]
    for matrix in backbone:
        matrix.requires_grad_()
    fused = gated_linears(x, weights=weights, biases=biases, a=a, b=b, mask=mask)
    expected = plain(x, weights, biases, a, b, mask)
    for one, other in zip(fused, expected, strict=True):
        torch.testing.assert_close(one, other)
    pull = [torch.randn_like(y) for y in expected]
    inputs = (x, a, mask, *b, *backbone)
    for one, other in zip(
        torch.autograd.grad(fused, inputs, pull), torch.autograd.grad(expected, inputs, pull), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_gradients_agree_with_finite_differences():
    x, weights, biases, a, b, mask = parts(biased=True)
    assert torch.autograd.gradcheck(
        lambda x, a, mask, *b: gated_linears(x, weights=weights, biases=biases, a=a, b=list(b), mask=mask),
        (x, a, mask, *b),
    )


def test_frozen_weights_get_no_gradient_and_stay_unchanged():
    x, weights, biases, a, b, mask = parts(biased=True, dtype=torch.float32)
    before = [weight.clone() for weight in weights]
    sum(y.sum() for y in gated_linears(x, weights=weights, biases=biases, a=a, b=b, mask=mask)).backward()
    assert all(weight.grad is None for weight in weights)
    assert all(torch.equal(one, other) for one, other in zip(before, weights, strict=True))


def test_bfloat16_weights_compute_in_bfloat16_and_train_float32_adapters():
    x, weights, biases, a, b, mask = parts(biased=False, dtype=torch.float32)
    low = tuple(weight.bfloat16() for weight in weights)
    outputs = gated_linears(x, weights=low, biases=biases, a=a, b=b, mask=mask)
    assert {y.dtype for y in outputs} == {torch.bfloat16}
    sum(y.float().sum() for y in outputs).backward()
    assert a.grad.dtype == torch.float32 and x.grad.dtype == torch.float32
    for y, exact in zip(outputs, plain(x, weights, biases, a, b, mask), strict=True):
        torch.testing.assert_close(y.float(), exact, atol=0.2, rtol=0.05)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("adapter", ["dynamic", "static", "moelora"])
def test_the_whole_model_is_within_1e5_of_the_plain_path(make_model, x, monkeypatch, family, adapter):
    """Module by module, with equation 1 as written and a prompt that is reread; forecasts and all gradients."""
    model = make_model(family, adapter=adapter, gate_gradient="straight-through")
    for block in model.adapters:
        for lora in block.lora.values():
            torch.nn.init.normal_(lora.b, std=0.2)

    def forecast_and_gradients():
        model.zero_grad()
        y = model(x)
        y.square().mean().backward()
        return y.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    def plain_group(self, group, x, frozen, gates):
        outputs, order = [], list(self.lora)
        for letter, weight, bias in zip(group, *frozen, strict=True):
            lora, gate = self.lora[letter], gates[:, order.index(letter)]
            y = x @ weight if bias is None else x @ weight + bias
            outputs.append(y + ((x @ lora.a) * gate.reshape(len(gate), 1, -1)) @ lora.b)
        return tuple(outputs)

    fused, fused_gradients = forecast_and_gradients()
    with torch.inference_mode():
        evaluated = [model.eval()(x) for _ in range(2)]  # the second time with the cached reading of the prompt
    monkeypatch.setattr(BlockAdapter, "forward", plain_group)
    plain, plain_gradients = forecast_and_gradients()
    for y in (fused, *evaluated):
        torch.testing.assert_close(y, plain, atol=1e-5, rtol=1e-5)
    assert fused_gradients.keys() == plain_gradients.keys() and len(plain_gradients) > 20
    for name, gradient in plain_gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient, atol=1e-5, rtol=1e-4, msg=name)
