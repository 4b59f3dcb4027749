"""How far your own results are from the kept ones with the same settings.

On another processor, or with later code, a run ends in different bits. Whether that matters shows in comparison
with the spread over the seeds, which is what the tables call chance.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timellama.reports.reference import numbers
from timellama.reports.reference.numbers import Kept
from timellama.results.read.documents import FORECAST_ERRORS, M4_ERRORS


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """One run, kept and repeated.

    `error` is the first of the run's task: MSE, or SMAPE on M4. `same_bits` covers all its errors, `same_code` the
    digests of the code that they depend on. `spread` is the standard deviation (divisor n - 1) over the kept seeds,
    None with one seed.
    """

    result: str
    error: str
    kept: float
    here: float
    same_bits: bool
    same_code: bool
    spread: float | None
    kept_processor: str
    processor: str

    @property
    def difference(self) -> float:
        """Here minus kept, in the error's unit."""
        return self.here - self.kept

    @property
    def share(self) -> float:
        """The difference as a share of the kept error; infinite where that is 0, and 0 without a difference."""
        if not self.difference:
            return 0.0
        return self.difference / self.kept if self.kept else math.copysign(math.inf, self.difference)


def repeats(kept: Kept, found: Mapping[str, Mapping[str, Any]]) -> list[Repeat]:
    """The runs of `found`, by their results' paths, that are also kept and ended at a different time than the kept one.

    Measurements of time and memory are left out: they differ each time.
    """
    seeds = _errors_by_cell(kept)
    made = []
    for path, here in found.items():
        there = kept.results.get(path)
        if there is None or "sweep" in here or _origin(there)["ended"] == _origin(here)["ended"]:
            continue
        names = errors_of(here)
        of_seeds = seeds[_cell(there)]
        made.append(
            Repeat(
                result=path,
                error=names[0],
                kept=there[names[0]],
                here=here[names[0]],
                same_bits=all(there[name] == here[name] for name in names),
                same_code=_origin(there)["source_digest"] == _origin(here)["source_digest"],
                spread=statistics.stdev(of_seeds) if len(of_seeds) > 1 else None,
                kept_processor=_origin(there)["hardware"]["processor"],
                processor=_origin(here)["hardware"]["processor"],
            )
        )
    return made


def errors_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the errors of a run's task, the first of which represents it."""
    return M4_ERRORS if M4_ERRORS[0] in document else FORECAST_ERRORS


def _errors_by_cell(kept: Kept) -> dict[str, list[float]]:
    errors: dict[str, list[float]] = {}
    for document in kept.results.values():
        if "sweep" not in document:
            errors.setdefault(_cell(document), []).append(document[errors_of(document)[0]])
    return errors


def _cell(document: Mapping[str, Any]) -> str:
    """What runs that differ only in the seed have in common."""
    return numbers.canonical({key: value for key, value in document["run"].items() if key != "seed"})


def _origin(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document["provenance"]
