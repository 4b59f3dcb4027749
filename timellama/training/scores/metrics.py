"""Errors and router statistics, accumulated in float64 over every window: sums first, one division at the end.

A mean of batch means would overweight the last, smaller batch; here each window counts once. Definitions: paper,
section 4.2 and appendix (MSE and MAE on standardised values); router statistics are ours, to see whether a router
collapses.
"""

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from timellama.training.gathered import Gathered
from timellama.training.scores.metric_objects import FORECAST, Metric

A_SCORE_A_VALUE = (
    "where targets are missing, a metric's function must return a score a value, [B, H, N], so that those of missing "
    "targets can be left out"
)
COLLAPSE_SHARE = 0.95  # our choice: one pattern for more than this share of the windows is called a collapsed block


class Errors:
    """The means of metrics over all windows, steps and variates.

    `masked`: the truth has NaN where it is missing. A mean is then over the observed values, `windows` counts the
    windows that have any, and `targets` [W] holds how many each window has. The error of a window without any is NaN.
    """

    def __init__(self, metrics: Sequence[Metric] = FORECAST, *, masked: bool = False) -> None:
        self.windows, self.masked = 0, masked
        self._targets = Gathered()
        self._of_windows = {metric.name: Gathered() for metric in metrics}
        self._functions = {metric.name: metric.function for metric in metrics}
        self._sums = dict.fromkeys(self._functions, 0.0)
        self._counts = dict.fromkeys(self._functions, 0)

    def add(self, forecast: Tensor, truth: Tensor) -> None:
        """Add a batch; both [B, H, N].

        Raises ValueError if the shapes differ, since broadcasting would hide it, and if a metric does not give
        equally many scores for each window of all batches, since windows would not count equally.
        """
        if forecast.shape != truth.shape:
            raise ValueError(f"the forecast's shape {tuple(forecast.shape)} is not the truth's {tuple(truth.shape)}")
        forecast, truth = forecast.double(), truth.double()
        if self.masked:
            self._add_observed(forecast, truth)
            return
        windows = self.windows + len(truth)
        for name, function in self._functions.items():
            scores = function(forecast, truth)
            count = self._counts[name] + scores.numel()
            if not scores.ndim or len(scores) != len(truth) or count * len(truth) != scores.numel() * windows:
                raise ValueError(
                    f"{name} gives scores of shape {tuple(scores.shape)} for {len(truth)} windows: its function must "
                    "return [B, ...], with equally many scores for every window"
                )
            scores = scores.double()
            self._sums[name] += float(scores.sum())
            self._counts[name] = count
            self._of_windows[name].add(scores.reshape(len(truth), -1).mean(dim=1))
        self.windows = windows

    def _add_observed(self, forecast: Tensor, truth: Tensor) -> None:
        """Add a batch whose missing truth is NaN.

        Raises ValueError if a metric does not give one score per value: it would be unknown which scores count.
        """
        missing = truth.isnan()
        targets = (~missing).sum(dim=(1, 2))
        for name, function in self._functions.items():
            scores = function(forecast, truth)
            if scores.shape != truth.shape:
                raise ValueError(f"{name} gives scores of shape {tuple(scores.shape)}; {A_SCORE_A_VALUE}")
            of_windows = torch.where(missing, 0.0, scores.double()).sum(dim=(1, 2))
            self._sums[name] += float(of_windows.sum())
            self._counts[name] += int(targets.sum())
            self._of_windows[name].add(of_windows / targets)
        self._targets.add(targets)
        self.windows += int((targets > 0).sum())

    @property
    def targets(self) -> Tensor:
        """How many values of each window [W] were observed, int32 on the CPU; only for a masked truth."""
        return self._targets.values.int().cpu()

    def of_windows(self, name: str) -> Tensor:
        """A metric of each window [W], float32 on the CPU, in the order in which they were added."""
        return self._of_windows[name].values.float().cpu()

    def means(self) -> dict[str, float]:
        """Each metric by name; NaN before the first window."""
        return {name: total / self._counts[name] if self.windows else math.nan for name, total in self._sums.items()}


class RouterStatistics:
    """What each block's router chose, over all windows that were added."""

    def __init__(self, *, modules: str):
        self.modules = modules
        self.windows = 0
        self.selected: list[Tensor] = []  # per block [E]: how often each module was on
        self.entropy: list[float] = []  # per block: summed entropy of the probabilities, in nats
        self.patterns: list[Counter] = []

    def add(self, gates: list[Tensor], probabilities: list[Tensor]) -> None:
        """Add a batch: one [B, E] of gates and one of probabilities per block."""
        if not self.selected:
            self.selected = [torch.zeros(len(self.modules), dtype=torch.float64) for _ in gates]
            self.entropy = [0.0] * len(gates)
            self.patterns = [Counter() for _ in gates]
        self.windows += len(gates[0])
        for block, (gate, p) in enumerate(zip(gates, probabilities, strict=True)):
            on = (gate > 0).cpu()
            self.selected[block] += on.double().sum(dim=0)
            self.entropy[block] += float(torch.special.entr(p.double()).sum())
            self.patterns[block].update("".join("01"[int(v)] for v in row) for row in on)

    def summary(self) -> dict:
        """Per block: selection rates, distinct patterns, top pattern's share, mean entropy; and collapsed blocks."""
        shares = [max(counts.values()) / self.windows for counts in self.patterns]
        return {
            "modules": list(self.modules),
            "selection_rate": [(s / self.windows).tolist() for s in self.selected],
            "distinct_patterns": [len(counts) for counts in self.patterns],
            "top_pattern_share": shares,
            "entropy": [e / self.windows for e in self.entropy],
            # With every module on there is only one pattern, and nothing to collapse.
            "collapsed_blocks": [
                block
                for block, share in enumerate(shares)
                if share > COLLAPSE_SHARE and self.patterns[block].most_common(1)[0][0] != "1" * len(self.modules)
            ],
        }


def smape_loss(forecast: Tensor, truth: Tensor) -> Tensor:
    """Equation 6's SMAPE as a loss, in per cent: 200 mean(|y - f| / (|y| + |f|)), a term being 0 where both are 0."""
    scale = forecast.abs() + truth.abs()
    ratio = (forecast - truth).abs() / scale.clamp_min(torch.finfo(scale.dtype).tiny)
    return 200 * ratio.mean()
