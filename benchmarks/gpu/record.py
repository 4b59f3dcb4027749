"""Shared by all parts of the check: their arguments, and the file that their numbers are written to."""

import argparse
import json
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
NAME = "results.jsonl"
MADE_OF = "made_of.json"  # in packed data: the commit


class Record:
    """Rows of one part. Each is appended to the file immediately, so that a killed process loses none."""

    def __init__(self, folder: Path, *, part: str):
        self.file, self.part = folder / NAME, part

    def add(self, **row: object) -> None:
        """Append a row of plain values."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": self.part, **row}) + "\n")

    @contextmanager
    def attempt(self, **row: object) -> Iterator[None]:
        """Record an error that is raised inside, with `row`, and continue."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.add(**row, error=f"{type(error).__name__}: {str(error)[:300]}")

    @staticmethod
    def read(folder: Path) -> list[dict]:
        """All rows."""
        return [json.loads(line) for line in (folder / NAME).read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A part's arguments. `end` is the time by which it should have ended, on the monotonic clock."""

    device: str
    out: Path
    results: Path
    tiny: bool
    end: float
    record: Record

    def left(self) -> float:
        """Seconds until `end`."""
        return self.end - time.monotonic()


def arguments(part: str) -> Given:
    """The arguments that `__main__` passed to the part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    return Given(
        device=given.device,
        out=given.out,
        results=given.results,
        tiny=given.tiny,
        end=time.monotonic() + given.seconds,
        record=Record(given.out, part=part),
    )


def matrix_of(name: str, **changed: object):
    """The plan of `config/<name>.yaml` with some of its keys changed."""
    from timellama.experiments.matrix import make_matrix

    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    return make_matrix(config | changed, root=ROOT)


def synchronise(device: str) -> None:
    """Wait until the device has finished its work."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()


def timed(call: Callable[[], object], *, device: str, seconds: float, most: int = 50, warm_up: int = 2) -> list[float]:
    """The seconds of each call: at most `most` calls within about `seconds`, at least one, after `warm_up` calls."""
    for _ in range(warm_up):
        call()
    synchronise(device)
    taken, begun = [], time.perf_counter()
    while len(taken) < most and (not taken or time.perf_counter() - begun < seconds):
        clock = time.perf_counter()
        call()
        synchronise(device)
        taken.append(time.perf_counter() - clock)
    return taken


def spread(taken: list[float]) -> dict[str, float | int]:
    """Median and nearest-rank 95th percentile in milliseconds, and the number of calls."""
    ordered = sorted(taken)
    slow = ordered[max(-(-len(ordered) * 95 // 100) - 1, 0)]
    return {"median_ms": 1e3 * statistics.median(taken), "p95_ms": 1e3 * slow, "calls": len(taken)}
