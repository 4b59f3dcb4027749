"""What bfloat16 means on a CPU that has no products in it: those of float32, from the same numbers, rounded."""

import dataclasses
import re
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from timellama.cost import efficiency
from timellama.experiments.run import Training
from timellama.methods.forecaster import Forecaster
from timellama.training import precision
from timellama.training.build import build
from timellama.training.precision import WideProducts, autocast, products
from timellama.training.steps.compiled import as_compiled, how
from timellama.training.steps.step import TrainingStep, gradients


def half(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).to(torch.bfloat16)


@pytest.fixture
def without(monkeypatch):
    """A CPU for which torch has no fast products in bfloat16, whatever this one has."""
    monkeypatch.setattr(precision, "has_products", lambda: False)


PRODUCT = re.compile(r"mm|mv|dot|convolution|conv\dd|attention|linear")  # in the names of torch's operations


class Products(TorchDispatchMode):
    """The types of the numbers of each product, in place or not, outside the code under test."""

    def __init__(self) -> None:
        super().__init__()
        self.types: list[torch.dtype] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if PRODUCT.search(func.name()):
            numbers = [a.dtype for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()]
            # Attention's backward pass is given float32 sums beside bfloat16 numbers.
            self.types.append(torch.bfloat16 if torch.bfloat16 in numbers else numbers[0])
        return func(*args, **(kwargs or {}))


CALLS = {
    "linear": (functional.linear, lambda: (half(3, 5, 8), half(4, 8), half(4))),
    "matmul": (torch.matmul, lambda: (half(3, 5, 8), half(8, 4))),
    "matrix-vector": (torch.matmul, lambda: (half(5, 8), half(8))),
    "einsum": (lambda a, b: torch.einsum("ij,kj->ik", a, b), lambda: (half(5, 8), half(4, 8))),
    "addmv": (torch.addmv, lambda: (half(5), half(5, 8), half(8))),
    "dot": (torch.dot, lambda: (half(8), half(8))),
    "bmm": (torch.bmm, lambda: (half(2, 5, 8), half(2, 8, 4))),
    "baddbmm": (torch.baddbmm, lambda: (half(2, 5, 4), half(2, 5, 8), half(2, 8, 4))),
    "addmm in place": (lambda y, a, b: y.clone().addmm_(a, b), lambda: (half(5, 4), half(5, 8), half(8, 4))),
    "addmv in place": (lambda y, a, b: y.clone().addmv_(a, b), lambda: (half(5), half(5, 8), half(8))),
    "baddbmm in place": (
        lambda y, a, b: y.clone().baddbmm_(a, b, beta=0.5),
        lambda: (half(2, 5, 4), half(2, 5, 8), half(2, 8, 4)),
    ),
    "addmm": (torch.addmm, lambda: (half(5, 4), half(5, 8), half(8, 4))),
    "attention": (
        functional.scaled_dot_product_attention,
        lambda: (half(2, 3, 5, 8), half(2, 3, 5, 8), half(2, 3, 5, 8)),
    ),
    "conv1d": (functional.conv1d, lambda: (half(2, 3, 20), half(4, 3, 5), half(4))),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
def test_a_product_is_that_of_float32_rounded(name, mode):
    call, draw = CALLS[name]
    torch.manual_seed(0)
    given = draw()
    exact = call(*(tensor.float() for tensor in given))
    with mode(), Products() as seen, WideProducts():
        made = call(*given)
    assert set(seen.types) == {torch.float32}
    assert made.dtype == torch.bfloat16 and torch.equal(made, exact.to(torch.bfloat16))
    assert not torch.equal(made.float(), exact), "nothing was rounded, so the comparison says nothing"


def test_the_gradient_of_a_linear_layer_is_made_of_rounded_products_of_float32():
    torch.manual_seed(0)
    x, weight, upstream = half(6, 8).requires_grad_(), half(4, 8).requires_grad_(), half(6, 4)
    with Products() as seen, WideProducts():
        functional.linear(x, weight).backward(upstream)
    assert seen.types == [torch.float32] * 3
    assert torch.equal(x.grad, (upstream.float() @ weight.detach().float()).to(torch.bfloat16))
    assert torch.equal(weight.grad, (upstream.float().T @ x.detach().float()).to(torch.bfloat16))


def test_the_gradient_of_a_convolution_is_that_of_float32_rounded():
    torch.manual_seed(0)
    x, weight, upstream = half(2, 3, 20).requires_grad_(), half(4, 3, 5).requires_grad_(), half(2, 4, 16)
    wide = [tensor.detach().float().requires_grad_() for tensor in (x, weight)]
    functional.conv1d(*wide).backward(upstream.float())
    with Products() as seen, WideProducts():
        functional.conv1d(x, weight).backward(upstream)
    assert seen.types == [torch.float32] * 2
    assert all(
        torch.equal(one.grad, other.grad.to(torch.bfloat16)) for one, other in zip((x, weight), wide, strict=True)
    )


def test_the_gradient_of_attention_is_that_of_float32_rounded():
    torch.manual_seed(0)
    given = [half(2, 3, 5, 8).requires_grad_() for _ in range(3)]
    wide = [tensor.detach().float().requires_grad_() for tensor in given]
    upstream = half(2, 3, 5, 8)
    with Products() as seen, WideProducts():
        functional.scaled_dot_product_attention(*given, is_causal=True).backward(upstream)
    assert seen.types == [torch.float32] * 2
    functional.scaled_dot_product_attention(*wide, is_causal=True).backward(upstream.float())
    # The backward pass begins from the rounded result, so it is not float32's bit for bit.
    for one, other in zip(given, wide, strict=True):
        assert one.grad.dtype == torch.bfloat16
        torch.testing.assert_close(one.grad.float(), other.grad, rtol=2**-7, atol=2**-7 * other.grad.abs().max().item())


@pytest.mark.parametrize("kind", [torch.bool, torch.bfloat16])
def test_attention_keeps_its_mask(kind):
    torch.manual_seed(0)
    given = [half(2, 3, 5, 8) for _ in range(3)]
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    mask = mask if kind == torch.bool else torch.zeros(5, 5, dtype=kind).masked_fill(~mask, -torch.inf)
    exact = functional.scaled_dot_product_attention(*(tensor.float() for tensor in given), is_causal=True)
    with Products() as seen, WideProducts():
        made = functional.scaled_dot_product_attention(*given, attn_mask=mask)
    assert set(seen.types) == {torch.float32}
    torch.testing.assert_close(made, exact.to(torch.bfloat16), rtol=2**-7, atol=2**-9)


@pytest.fixture
def build_one(run_of, tiny) -> Callable[[str], Forecaster]:
    """A method's network in evaluation mode, so without dropout."""

    def make(name: str) -> Forecaster:
        torch.manual_seed(0)
        return build(dataclasses.replace(run_of(name), precision="bfloat16"), backbone_folder=tiny).eval()

    return make


@pytest.fixture
def model(build_one):
    return build_one("gpt4ts")


def gradients_of(model) -> torch.Tensor:
    torch.manual_seed(1)
    x, y = torch.randn(2, 96, 7), torch.randn(2, 24, 7)
    model.zero_grad()
    how = {"loss": Training().loss, "balance_weight": 0.0, "device": "cpu", "precision": "bfloat16", "series": None}
    gradients(model, x, y, **how)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", ["time-llama", "gpt4ts", "time-llm", "patchtst", "itransformer", "timesnet"])
def test_no_product_of_a_step_is_made_in_bfloat16_and_its_gradient_is_the_same_within_rounding(
    name, build_one, without, monkeypatch
):
    model = build_one(name)
    with Products() as wide:
        made = gradients_of(model)
    assert set(wide.types) == {torch.float32}
    monkeypatch.setattr(precision, "has_products", lambda: True)
    with Products() as native:
        own = gradients_of(model)
    assert torch.bfloat16 in native.types
    # The two sum in another order, so a product may be rounded to the number beside it: 2^-8 of its size. Measured
    # here: at most 0.006 of the norm.
    assert (made - own).norm() < 2**-6 * own.norm()


def test_a_forecast_multiplies_in_float32_too(model, without):
    with Products() as seen, torch.inference_mode(), autocast("cpu", "bfloat16"):
        model(torch.randn(2, 96, 7))
    assert len(seen.types) > 10 and torch.bfloat16 not in seen.types


def test_the_peak_that_a_forecast_is_compared_with_is_multiplied_likewise(without, monkeypatch):
    monkeypatch.setattr(efficiency, "MATMUL_SIZE", 8)
    with Products() as seen:
        assert efficiency.matmul_peak("cpu", "bfloat16") > 0
    assert set(seen.types) == {torch.float32}


def test_steps_that_torch_would_not_compile_say_so(model, without):
    step = TrainingStep(model, training=Training(), balance_weight=0.0, device="cpu", precision="bfloat16")
    ways = how(as_compiled(step, "inductor", batch=2))
    assert ways["steps"] == "off" and "mode" in ways["reason"]


@pytest.mark.parametrize(
    ("device", "kind", "has", "changed"),
    [
        ("cpu", "bfloat16", False, True),
        ("cpu", "bfloat16", True, False),
        ("cpu", "float32", False, False),
        ("cuda:0", "bfloat16", False, False),
    ],
)
def test_products_change_only_where_a_cpu_has_none_in_bfloat16(device, kind, has, changed, monkeypatch):
    monkeypatch.setattr(precision, "has_products", lambda: has)
    with Products() as seen, products(device, kind):
        one, other = (torch.randn(5, 5).to(getattr(torch, kind)) for _ in range(2))
        one @ other
    assert seen.types == [torch.float32 if changed or kind == "float32" else torch.bfloat16]
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_products_of_a_fused_layer_are_seen(without):
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with Products() as seen, torch.inference_mode(), autocast("cpu", "bfloat16"):
        layer(torch.randn(2, 5, 8))
    assert set(seen.types) == {torch.float32}
