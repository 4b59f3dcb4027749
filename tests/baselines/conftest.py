"""Checks that several baselines share, tiny language models, and a seed before each test."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel, PreTrainedModel

VOCABULARY, WIDTH = 31, 16


class Checks:
    """Each check takes a ready model and random input x [B, T, N]."""

    @staticmethod
    def forecasts_keep_scale(model: nn.Module, x: Tensor, *, tolerance: float) -> None:
        """Scaling and shifting each variate must scale and shift its forecast in the same way.

        `tolerance` allows for the 1e-5 that instance normalisation adds to the variance, which scaling does not scale.
        """
        scale = torch.linspace(2, 5, x.shape[2])
        shift = torch.linspace(-3, 40, x.shape[2])
        with torch.no_grad():
            expected = model(x) * scale + shift
            torch.testing.assert_close(model(x * scale + shift), expected, rtol=tolerance, atol=tolerance)

    @staticmethod
    def variates_that_change(model: nn.Module, x: Tensor) -> set[int]:
        """Returns the variates whose forecasts differ when the shape of variate 0, not just its level, is changed."""
        other = x.clone()
        other[:, :, 0] = other[:, :, 0].flip(1) ** 2
        with torch.no_grad():
            before, after = model(x), model(other)
        return {i for i in range(x.shape[2]) if not torch.allclose(before[..., i], after[..., i], rtol=1e-5, atol=1e-6)}

    @staticmethod
    def forecasts_ignore_the_batch(model: nn.Module, x: Tensor) -> None:
        """A sample's forecast must not depend on its neighbours in the batch."""
        with torch.no_grad():
            together = model(x)
            alone = torch.cat([model(sample[None]) for sample in x])
            torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)

    @staticmethod
    def gradient_reaches(model: nn.Module, x: Tensor) -> None:
        """Every parameter that requires a gradient gets one that is not all zero, and there is at least one."""
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        assert trained
        model.zero_grad()
        (model(x) - torch.randn_like(model(x))).square().mean().backward()
        assert [name for name, p in trained.items() if p.grad is None or not p.grad.abs().sum() > 0] == []

    @staticmethod
    def trained_count(model: nn.Module) -> int:
        """The number of trained parameters."""
        return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.fixture(scope="session")
def checks() -> type[Checks]:
    return Checks


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The same random numbers each time, and one thread: on small tensors more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=["gpt2", "llama"])
def language_model(request) -> PreTrainedModel:
    """Two random blocks of `transformers`, with norms off their initial values, where an unused norm would not show."""
    if request.param == "gpt2":
        model = GPT2Model(
            GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=512, use_cache=False)
        )
    else:
        model = LlamaModel(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=WIDTH,
                intermediate_size=24,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=512,
                use_cache=False,
            )
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "ln_" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.mul_(10)  # 0.02 is too small for two blocks to have an effect
    return model.eval()
