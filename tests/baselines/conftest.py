"""What several baselines promise, written once, and a seed before each test."""

import pytest
import torch
from torch import Tensor, nn


class Checks:
    """Each check takes a ready model and random input x [B, T, N]."""

    @staticmethod
    def forecasts_keep_scale(model: nn.Module, x: Tensor, *, tolerance: float) -> None:
        """Scaling and shifting each variate must scale and shift its forecast alike.

        `tolerance` allows for the 1e-5 that instance normalisation adds to the variance, which scaling does not scale.
        """
        scale = torch.linspace(2, 5, x.shape[2])
        shift = torch.linspace(-3, 40, x.shape[2])
        with torch.no_grad():
            expected = model(x) * scale + shift
            torch.testing.assert_close(model(x * scale + shift), expected, rtol=tolerance, atol=tolerance)

    @staticmethod
    def variates_that_change(model: nn.Module, x: Tensor) -> set[int]:
        """Which variates' forecasts differ when the shape of variate 0, not just its level, is changed."""
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
        """Every parameter that asks for a gradient gets one that is not all zero, and there is at least one."""
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
def seeded() -> None:
    torch.manual_seed(0)
