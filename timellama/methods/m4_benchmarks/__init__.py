"""The statistical benchmarks of the M4 competition: the floor of the paper's table 2."""

from dataclasses import dataclass

from timellama.methods.series_method import SeriesMethod

NETWORKS = "timellama.methods.m4_benchmarks.network"


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """A benchmark of the M4 competition, fitted to each whole series; trains nothing."""


METHODS = tuple(
    SeriesMethod(name=name, options=NoOptions, network=f"{NETWORKS}:{network}")
    for name, network in (
        ("naive1", "Naive1"),
        ("naive2", "Naive2"),
        ("ses", "Ses"),
        ("holt", "Holt"),
        ("damped", "Damped"),
        ("theta", "Theta"),
        ("comb", "Comb"),
    )
)
