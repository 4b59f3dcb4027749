"""Serves windows of M4's series, in the same form as `timellama.data.windows`: x [B, T, 1] and y [B, H, 1].

Model selection never sees the test part: the last H values of every training series are held out for it, and training
windows end before them. (The published libraries stop early on the test part.) Test contexts end where the
training series ends. A context that reaches back before the series is padded on the left with the series' first value:
zeros, as in Time-Series-Library, would be far from the series' level and dominate the instance norm's mean and
deviation. There is no scaler; models that need one scale normalise each window.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from timellama.core.errors import InputError
from timellama.data.m4.frequencies import FREQUENCIES, RECENT_HORIZONS, Frequency
from timellama.data.m4.series import M4Series


class M4Windows:
    """Windows defined by where each context ends and where its targets begin.

    `history` and `future` float32 are flat; window i has its context in `history` up to (not including) `cuts[i]`, not
    reaching before its series' first value at `starts[i]`, and its H targets in `future` from `firsts[i]` on.
    """

    variates = 1
    masked = False  # no value is missing in M4

    def __init__(
        self,
        *,
        history: Tensor,
        future: Tensor,
        starts: Tensor,
        cuts: Tensor,
        firsts: Tensor,
        context: int,
        horizon: int,
    ) -> None:
        """Raises InputError when there is no window."""
        if not len(cuts):
            raise InputError(
                f"no series holds a window of horizon {horizon}; its targets need {horizon} values and one more"
            )
        self.history, self.future = history, future
        self.starts, self.cuts, self.firsts = starts, cuts, firsts
        self.back, self.ahead = (torch.arange(*ends, device=cuts.device) for ends in ((-context, 0), (0, horizon)))

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.cuts)

    def to(self, device: str) -> "M4Windows":
        """The same windows on a device, where batches are then gathered."""
        names = ("history", "future", "starts", "cuts", "firsts")
        sizes = {"context": len(self.back), "horizon": len(self.ahead)}
        return M4Windows(**{name: getattr(self, name).to(device) for name in names}, **sizes)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts x [B, T, 1] and targets y [B, H, 1] of the windows `indices` int64 [B]."""
        indices = indices.to(self.history.device)
        places = self.cuts[indices, None] + self.back
        x = self.history[places.maximum(self.starts[indices, None])]
        y = self.future[self.firsts[indices, None] + self.ahead]
        return x.unsqueeze(-1), y.unsqueeze(-1)

    series = batch  # a window is one variate


@dataclass(frozen=True, kw_only=True)
class M4Parts:
    """The windows of each part; validation and test have one for each series, in the series' order."""

    train: M4Windows
    validation: M4Windows
    test: M4Windows


def prepare_m4(series: M4Series, *, context: int, frequency: str) -> M4Parts:
    """The windows of all series of `frequency` (a pandas alias); the paper's look-back `context` is twice the horizon.

    Raises InputError for an unknown frequency, one with another horizon, or a context below 1.
    """
    if FREQUENCIES.get(frequency) != Frequency(horizon=series.horizon, season=series.season):
        raise InputError(
            f"frequency is {frequency!r}, but the series have horizon {series.horizon} and season {series.season}; "
            f"use one of {', '.join(FREQUENCIES)}, the series' own"
        )
    if context < 1:
        raise InputError(f"context is {context}; it must be at least 1")
    horizon, offsets = series.horizon, torch.from_numpy(series.offsets)
    starts, ends = offsets[:-1], offsets[1:]
    held_out = ends - horizon
    history = torch.from_numpy(series.values.astype(np.float32))
    shared = {"history": history, "context": context, "horizon": horizon}
    recent = int(RECENT_HORIZONS[frequency] * horizon)
    first_cut = (held_out - recent).maximum(starts + 1)
    counts = (held_out - horizon - first_cut + 1).clamp(min=0)
    window_starts = starts.repeat_interleave(counts)
    within = torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    cuts = first_cut.repeat_interleave(counts) + within
    test = torch.from_numpy(series.test.astype(np.float32)).flatten()
    test_firsts = torch.arange(len(series)) * horizon
    return M4Parts(
        train=M4Windows(future=history, starts=window_starts, cuts=cuts, firsts=cuts, **shared),
        validation=M4Windows(future=history, starts=starts, cuts=held_out, firsts=held_out, **shared),
        test=M4Windows(future=test, starts=starts, cuts=ends, firsts=test_firsts, **shared),
    )
