"""TimesNet: a series is folded into tables, one row per period, and 2-D convolutions read within and across periods.

Wu et al., ICLR 2023 (arXiv 2210.02186), section 3; reference thuml/Time-Series-Library, models/TimesNet.py and
layers/Conv_Blocks.py, layers/Embed.py. Where paper and reference differ, or the reference would break our promises:

- the paper rounds a period T/f up, the reference down: here it is down, as for the published numbers;
- the reference looks for periods in the mean spectrum of the whole batch, so that a forecast depends on its
  neighbours in the batch. Equation 1 has no batch: each sample has its own periods, and samples of equal period are
  convolved together.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from timellama.backbones.recompute import recomputed
from timellama.core.errors import InputError
from timellama.methods.forecaster import Forecaster
from timellama.methods.time_llama.tokens import instance_normalise


class TimesNet(Forecaster):
    """Embed x_norm, extend it to T + H steps, refine it with TimesBlocks, map D -> N, keep the last H steps (figure 3).

    The embedding [B, T, D] is a convolution over 3 neighbouring steps of all variates, the look-back taken as a
    circle, plus sine and cosine positions, plus, where there is a calendar, a linear map of its C features without a
    bias (DataEmbedding and TimeFeatureEmbedding of the reference). One linear layer over time extends it. One layer
    norm, shared, follows each block.
    """

    def __init__(
        self,
        *,
        context: int,
        horizon: int,
        variates: int,
        calendar: int,
        width: int,
        feed_forward: int,
        layers: int,
        periods: int,
        kernels: int,
        dropout: float,
    ) -> None:
        """Raises InputError if T + H steps have fewer than `periods` frequencies, or the width is odd."""
        super().__init__()
        steps = context + horizon
        if periods > steps // 2:
            raise InputError(f"periods is {periods}, but {steps} steps have {steps // 2} frequencies; set it no higher")
        if width % 2:
            raise InputError(f"width is {width}: sine and cosine positions come in pairs; set an even width")
        self.horizon, self.calendar = horizon, calendar
        self.values = nn.Conv1d(variates, width, kernel_size=3, padding=1, padding_mode="circular", bias=False)
        nn.init.kaiming_normal_(self.values.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.marks = nn.Linear(calendar, width, bias=False) if calendar else None
        self.register_buffer("positions", sinusoids(context, width), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.extend = nn.Linear(context, steps)
        self.blocks = nn.ModuleList(
            TimesBlock(width=width, feed_forward=feed_forward, periods=periods, kernels=kernels) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, variates)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, N + C] to the forecast [B, H, N]."""
        variates = x.shape[2] - self.calendar
        normal = instance_normalise(x[..., :variates])
        values = self.values(normal.values.transpose(1, 2)).transpose(1, 2)
        if self.marks is not None:
            values = values + self.marks(x[..., variates:])
        h = self.dropout(values + self.positions)  # [B, T, D]
        h = self.extend(h.transpose(1, 2)).transpose(1, 2)  # [B, T + H, D]
        for block in self.blocks:
            h = self.norm(recomputed(block, h, on=self.recomputes))
        y = self.project(h[:, -self.horizon :])
        return normal.undo(y)


class TimesBlock(nn.Module):
    """h + sum_i softmax(A)_i Trunc(Inception(Reshape_{p_i}(Padding(h)))), i over the k strongest periods (eq. 3 to 6).

    Inception is a pair of Inception blocks with a GELU between them, shared by all periods.
    """

    def __init__(self, *, width: int, feed_forward: int, periods: int, kernels: int) -> None:
        super().__init__()
        self.periods = periods
        self.convolve = nn.Sequential(
            Inception(width_in=width, width_out=feed_forward, kernels=kernels),
            nn.GELU(),
            Inception(width_in=feed_forward, width_out=width, kernels=kernels),
        )

    def forward(self, h: Tensor) -> Tensor:
        """h [B, S, D] to float32 [B, S, D]."""
        h = h.float()  # under autocast it may be bfloat16, for which there is no FFT
        amplitudes, periods = strongest_periods(h, self.periods)
        weights = amplitudes.softmax(dim=1)
        total = h
        for period in periods.unique().tolist():
            # A period may come twice in one sample, from neighbouring frequencies: its weights add up.
            share = torch.where(periods == period, weights, 0).sum(dim=1)
            chosen = (periods == period).any(dim=1).nonzero().squeeze(1)
            update = share[chosen, None, None] * self._at_period(h[chosen], period)
            total = total.index_add(0, chosen, update)
        return total

    def _at_period(self, h: Tensor, period: int) -> Tensor:
        """Pad h [B, S, D] with zeros to whole rows of `period` steps, convolve the table, unfold to [B, S, D]."""
        steps = h.shape[1]
        padded = F.pad(h, (0, 0, 0, -steps % period))
        table = padded.unflatten(1, (-1, period)).permute(0, 3, 1, 2)  # [B, D, rows, period]
        return self.convolve(table).permute(0, 2, 3, 1).flatten(1, 2)[:, :steps]


class Inception(nn.Module):
    """The mean of `kernels` square convolutions of sizes 1, 3, 5, ..., each keeping the table's size.

    Convolution is linear in its kernel, so the mean of the outputs is one convolution with the mean kernel. Small
    kernels are padded with zeros, and what extends past the table on both sides is cut off: the same result for less
    work.
    """

    def __init__(self, *, width_in: int, width_out: int, kernels: int) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(
            nn.Conv2d(width_in, width_out, kernel_size=2 * i + 1, padding=i) for i in range(kernels)
        )
        for kernel in self.kernels:
            nn.init.kaiming_normal_(kernel.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(kernel.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, D_in, rows, columns] to [B, D_out, rows, columns]."""
        side = len(self.kernels) - 1
        weights = [F.pad(kernel.weight, [side - i] * 4) for i, kernel in enumerate(self.kernels)]
        bias = torch.stack([kernel.bias for kernel in self.kernels]).mean(dim=0)
        down, across = (min(side, size - 1) for size in x.shape[2:])
        weight = torch.stack(weights).mean(dim=0)
        weight = weight[:, :, side - down : side + down + 1, side - across : side + across + 1]
        return F.conv2d(x, weight, bias, padding=(down, across))


def strongest_periods(h: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Amplitudes and periods of each sample's strongest frequencies (equation 1).

    A = mean over D of |FFT(h)|; f_1 .. f_k = the k frequencies >= 1 of the largest A; p_i = S // f_i.

    Args:
        h: [B, S, D].
        count: k.

    Returns:
        Amplitudes [B, k], through which the gradient flows, and periods [B, k] in steps.
    """
    spectrum = torch.fft.rfft(h, dim=1).abs().mean(dim=2)[:, 1:]
    amplitudes, indices = spectrum.topk(count, dim=1)
    return amplitudes, h.shape[1] // (indices + 1)


def sinusoids(steps: int, width: int) -> Tensor:
    """Positions of Vaswani et al. 2017 (section 3.5): [steps, width], sines in even columns, cosines in odd ones."""
    angles = torch.arange(steps)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
