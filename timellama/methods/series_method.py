"""The record of a method that is fitted to each series by itself, and on M4 to the whole of it.

A trained model sees a look-back of fixed length. The benchmarks of the M4 competition, and statistical methods in
general, see the whole series before the forecast. Only the standard library is imported, as for `Method`.
"""

from dataclasses import dataclass

from timellama.core.errors import InputError
from timellama.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class SeriesMethod(Method):
    """A method that on M4 gets each whole training series instead of the look-back.

    Its network is a `timellama.methods.series.SeriesForecaster`. looks_back: it also forecasts from the look-backs of
    other data sets; otherwise a configuration may name it on M4 only.
    """

    looks_back: bool = False
    trains: bool = False
    alone: bool = True


def reads_whole_series(method: Method) -> bool:
    """Whether on M4 the method gets whole series."""
    return isinstance(method, SeriesMethod)


def require_look_back(method: Method, *, where: str) -> None:
    """Raise InputError, beginning with `where`, for a method that reads only whole series."""
    if isinstance(method, SeriesMethod) and not method.looks_back:
        raise InputError(
            f"{where}: it is a benchmark of the M4 competition, which reads whole series of positive values; list it "
            "under short_term, on data sets of M4"
        )
