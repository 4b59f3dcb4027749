"""What is measured for the efficiency report: a sweep of one method, and its cells (N, batch size).

Only the standard library is used, so planning needs no torch. `docs/efficiency.md` says how each number is measured.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from timellama.experiments.run import DIGEST_LENGTH, Run


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement, in its own process. The variates N are the run's."""

    run: Run
    batch_size: int
    threads: int
    seconds: float  # how long calls are repeated, beyond the minimum number
    longest_call: float  # seconds; a first call that takes longer is the only one
    train: bool  # whether training steps are measured too
    backbone_folder: str | None

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json.dumps({**_fields(self), "run": self.run.to_json()})

    @classmethod
    def from_json(cls, text: str) -> "Cell":
        """The inverse of `to_json`."""
        fields = json.loads(text)
        return cls(**{**fields, "run": Run.from_json(fields["run"])})


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All cells of one method and backbone.

    `run` has the options that the method's authors publish for the data set `run.dataset`; each cell replaces
    `run.variates` with its own N. No data are read.
    """

    run: Run
    variates: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    threads: int
    seconds: float
    longest_call: float
    memory_share: float  # of the memory that is free when the sweep starts

    def cells(self) -> Iterator[tuple[int, int]]:
        """(N, batch size), small before large, so that the small ones show whether the large ones fit."""
        return ((variates, size) for size in sorted(self.batch_sizes) for variates in sorted(self.variates))

    def cell(self, variates: int, batch_size: int, *, train: bool, backbone_folder: str | None) -> Cell:
        """The measurement of one cell."""
        return Cell(
            run=dataclasses.replace(self.run, variates=variates),
            batch_size=batch_size,
            threads=self.threads,
            seconds=self.seconds,
            longest_call=self.longest_call,
            train=train,
            backbone_folder=backbone_folder,
        )

    @property
    def folder(self) -> str:
        """Where the result lives below `results/`: `efficiency/time-llama/H96-T512-SmolLM2-135M-x6-1f2e3d4c5b`."""
        parts = [f"H{self.run.horizon}", f"T{self.run.context}"]
        if self.run.backbone:
            parts.append(f"{self.run.backbone.name}-x{self.run.backbone.blocks}")
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()[:DIGEST_LENGTH]
        return f"efficiency/{self.run.variant}/{'-'.join([*parts, digest])}"

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no white space."""
        return json.dumps({**_fields(self), "run": self.run.to_json()}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Sweep":
        """The inverse of `to_json`."""
        fields = json.loads(text)
        lists = {name: tuple(fields[name]) for name in ("variates", "batch_sizes")}
        return cls(**{**fields, **lists, "run": Run.from_json(fields["run"])})


def _fields(spec: Cell | Sweep) -> dict:
    return {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
