"""Numbers that a loop gathers, in one array.

A small tensor kept from each step would stay where that step's large ones were. The C library cannot use the rest of
such a place for the next block of the same size, so the process grows by a block per step. Measured with one tensor
per step: 3.7 GB after 6,000 steps of DLinear on ETTm1 at horizon 720; with one array: 0.45 GB.
"""

import torch
from torch import Tensor

FIRST = 1024  # our choice: rows of the first array


class Gathered:
    """Rows [n, ...], in the order in which they were added; the array that holds them doubles when it is full."""

    def __init__(self, values: Tensor | None = None) -> None:
        # No rows set no type: the first that are added do.
        self._held = values if values is not None and len(values) else None
        self._count = 0 if self._held is None else len(self._held)

    def __len__(self) -> int:
        return self._count

    def add(self, values: Tensor) -> None:
        """Add rows [B, ...], which are copied to the device and the type of the first ones."""
        end = self._count + len(values)
        if self._held is None:
            self._held = values.new_empty((max(FIRST, end), *values.shape[1:]))
        elif end > len(self._held):
            larger = self._held.new_empty((max(2 * len(self._held), end), *values.shape[1:]))
            larger[: self._count] = self.values
            self._held = larger
        self._held[self._count : end] = values
        self._count = end

    @property
    def values(self) -> Tensor:
        """All rows [n, ...]; [0] before the first. A later row may be added to the same array."""
        return torch.empty(0) if self._held is None else self._held[: self._count]
