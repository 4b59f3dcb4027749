"""iTransformer and TimesNet with a calendar against the reference's modules, restated here, with copied weights.

Restated from thuml/Time-Series-Library, layers/Embed.py and models/iTransformer.py @096f5d58, models/TimesNet.py
@230805fe; of thuml/iTransformer, layers/Embed.py: class DataEmbedding_inverted. The restatement keeps their layout: one
projection each for queries, keys and values, feed-forward layers as convolutions, x and its marks as two arguments.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from timellama.methods.itransformer.network import ITransformer
from timellama.methods.timesnet.network import TimesNet

T, H, N, D, C = 24, 8, 3, 8, 4
OF_ITRANSFORMER = {"width": D, "layers": 2, "heads": 2, "feed_forward": 12, "dropout": 0.1}
OF_TIMESNET = {"width": D, "layers": 2, "feed_forward": 6, "periods": 3, "kernels": 2, "dropout": 0.1}


class ReferenceITransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(T, D)
        self.attention = nn.ModuleList(nn.ModuleDict({k: nn.Linear(D, D) for k in "qkvo"}) for _ in range(2))
        self.up = nn.ModuleList(nn.Conv1d(D, 12, 1) for _ in range(2))
        self.down = nn.ModuleList(nn.Conv1d(12, D, 1) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(5))
        self.project = nn.Linear(D, H)

    def forward(self, x, x_mark):
        means = x.mean(1, keepdim=True)
        deviations = torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5)
        tokens = torch.cat([((x - means) / deviations).permute(0, 2, 1), x_mark.permute(0, 2, 1)], 1)
        h = self.embed(tokens)
        for number, parts in enumerate(self.attention):
            q, k, v = (parts[letter](h).unflatten(-1, (2, D // 2)) for letter in "qkv")
            scores = torch.einsum("blhe,bshe->bhls", q, k) / math.sqrt(D // 2)
            mixed = torch.einsum("bhls,bshd->blhd", scores.softmax(-1), v).flatten(2)
            h = self.norms[2 * number](h + parts["o"](mixed))
            fed = self.down[number](F.gelu(self.up[number](h.transpose(1, 2)))).transpose(1, 2)
            h = self.norms[2 * number + 1](h + fed)
        y = self.project(self.norms[4](h)).permute(0, 2, 1)[:, :, : x.shape[2]]
        return y * deviations + means

    def take(self, ours):
        pairs = [(self.embed, ours.embed[0]), (self.project, ours.project), (self.norms[4], ours.norm)]
        for number, layer in enumerate(ours.layers):
            pairs += [(self.norms[2 * number], layer.norm1), (self.norms[2 * number + 1], layer.norm2)]
            pairs += [(self.up[number], layer.linear1), (self.down[number], layer.linear2)]
            pairs += [(self.attention[number]["o"], layer.self_attn.out_proj)]
            weights, biases = layer.self_attn.in_proj_weight.chunk(3), layer.self_attn.in_proj_bias.chunk(3)
            for letter, weight, bias in zip("qkv", weights, biases, strict=True):
                self.attention[number][letter].weight.copy_(weight)
                self.attention[number][letter].bias.copy_(bias)
        for theirs, mine in pairs:
            theirs.weight.copy_(mine.weight.reshape(theirs.weight.shape))
            theirs.bias.copy_(mine.bias)


class ReferenceTimesNet(nn.Module):
    """For one sample only, since the reference finds periods in the mean over the batch."""

    def __init__(self):
        super().__init__()
        self.value = nn.Conv1d(N, D, 3, padding=1, padding_mode="circular", bias=False)
        self.temporal = nn.Linear(C, D, bias=False)
        self.predict = nn.Linear(T, T + H)
        self.kernels = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(*ends, 2 * size + 1, padding=size) for ends in ((D, 6), (6, D)) for size in (0, 1))
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(D)
        self.project = nn.Linear(D, N)

    @staticmethod
    def positions():
        table = torch.zeros(T, D)
        for step in range(T):
            for pair in range(D // 2):
                angle = step / 10_000 ** (2 * pair / D)
                table[step, 2 * pair], table[step, 2 * pair + 1] = math.sin(angle), math.cos(angle)
        return table

    def block(self, h, kernels):
        spectrum = abs(torch.fft.rfft(h, dim=1))
        strength = spectrum.mean(0).mean(-1)
        strength[0] = 0
        _, top = torch.topk(strength, 3)
        made = []
        for frequency in top.tolist():
            period = (T + H) // frequency
            length = math.ceil((T + H) / period) * period
            padded = torch.cat([h, torch.zeros(1, length - T - H, D)], dim=1)
            table = padded.reshape(1, length // period, period, D).permute(0, 3, 1, 2)
            table = F.gelu(torch.stack([kernel(table) for kernel in kernels[:2]]).mean(0))
            table = torch.stack([kernel(table) for kernel in kernels[2:]]).mean(0)
            made.append(table.permute(0, 2, 3, 1).reshape(1, -1, D)[:, : T + H])
        weights = spectrum.mean(-1)[:, top].softmax(1)
        return (torch.stack(made, -1) * weights[:, None, None, :]).sum(-1) + h

    def forward(self, x, x_mark):
        means = x.mean(1, keepdim=True)
        deviations = torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5)
        value = self.value(((x - means) / deviations).permute(0, 2, 1)).transpose(1, 2)
        h = value + self.temporal(x_mark) + self.positions()
        h = self.predict(h.permute(0, 2, 1)).permute(0, 2, 1)
        for kernels in self.kernels:
            h = self.norm(self.block(h, kernels))
        return (self.project(h) * deviations + means)[:, -H:]

    def take(self, ours):
        self.value.weight.copy_(ours.values.weight)
        self.temporal.weight.copy_(ours.marks.weight)
        pairs = [(self.predict, ours.extend), (self.norm, ours.norm), (self.project, ours.project)]
        for kernels, block in zip(self.kernels, ours.blocks, strict=True):
            pairs += zip(kernels, [*block.convolve[0].kernels, *block.convolve[2].kernels], strict=True)
        for theirs, mine in pairs:
            theirs.weight.copy_(mine.weight)
            theirs.bias.copy_(mine.bias)


def ours(name: str, *, calendar: int = C) -> nn.Module:
    if name == "itransformer":
        return ITransformer(context=T, horizon=H, calendar=calendar, **OF_ITRANSFORMER).eval()
    return TimesNet(context=T, horizon=H, variates=N, calendar=calendar, **OF_TIMESNET).eval()


REFERENCES = {"itransformer": ReferenceITransformer, "timesnet": ReferenceTimesNet}


@pytest.mark.parametrize("name", REFERENCES)
def test_the_forecast_equals_the_references(name):
    model, reference = ours(name), REFERENCES[name]().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    for _ in range(4):
        x, marks = torch.randn(1, T, N).cumsum(1), torch.rand(1, T, C) - 0.5
        with torch.no_grad():
            reference.take(model)
            expected = reference(x, marks)
            found = model(torch.cat([x, marks], dim=2))
            other = model(torch.cat([x, marks.flip(1)], dim=2))
        assert found.shape == (1, H, N)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert (other - expected).abs().max() > 1e-3  # the marks have an effect


@pytest.mark.parametrize("name", REFERENCES)
def test_the_marks_are_neither_scaled_nor_forecast_and_every_parameter_gets_a_gradient(name, checks):
    model, marks = ours(name), torch.rand(5, T, C) - 0.5
    x = torch.randn(5, T, N)
    with torch.no_grad():
        expected = model(torch.cat([x, marks], dim=2)) * 3 + 7
        torch.testing.assert_close(model(torch.cat([3 * x + 7, marks], dim=2)), expected, rtol=1e-3, atol=1e-3)
        assert not torch.allclose(model(torch.cat([x, 3 * marks + 7], dim=2)) * 3 + 7, expected, atol=1e-2)
    checks.forecasts_ignore_the_batch(model, torch.cat([x, marks], dim=2))
    checks.gradient_reaches(model, torch.cat([x, marks], dim=2))


@pytest.mark.parametrize("name", REFERENCES)
def test_a_calendar_adds_as_many_parameters_as_in_the_reference(name, checks):
    more = checks.trained_count(ours(name)) - checks.trained_count(ours(name, calendar=0))
    assert more == {"itransformer": 0, "timesnet": C * D}[name]  # tokens share one embedding; a map without a bias
