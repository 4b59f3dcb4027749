"""The record of a method that is fitted to each series by itself, and on M4 to the whole of it.

A trained model sees a look-back of fixed length. The benchmarks of the M4 competition, and statistical methods in
general, see all of a series that lies before the forecast. Only the standard library is imported, as for `Method`.
"""

from dataclasses import dataclass

from timellama.core.errors import InputError
from timellama.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class SeriesMethod(Method):
    """A method that on M4 is given each whole training series in place of the look-back.

    Its network is a `timellama.methods.series.SeriesForecaster`. looks_back: it also forecasts from the look-backs of
    other data sets; without it a configuration may name it on M4 alone.
    """

    looks_back: bool = False
    trains: bool = False
    alone: bool = True


def reads_whole_series(method: Method) -> bool:
    """Whether on M4 it is given whole series."""
    return isinstance(method, SeriesMethod)


def require_look_back(method: Method, *, where: str) -> None:
    """Raises InputError, which begins with `where`, for one that knows whole series alone."""
    if isinstance(method, SeriesMethod) and not method.looks_back:
        raise InputError(
            f"{where}: it is a benchmark of the M4 competition, which reads whole series of positive values; list it "
            "under short_term, on data sets of M4"
        )
