"""The frequencies of the M4 competition.

Horizons and seasons are the competition's own (Makridakis, Spiliotis and Assimakopoulos 2020, The M4 Competition,
tables 1 and 2 and its definition of MASE). Standard library only: planning checks runs before any data are there.
"""

from dataclasses import dataclass

from timellama.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """`horizon` steps to forecast; `season` steps of a season in MASE and Naive2."""

    horizon: int
    season: int


FREQUENCIES = {  # by pandas alias
    "YE": Frequency(horizon=6, season=1),
    "QE": Frequency(horizon=8, season=4),
    "ME": Frequency(horizon=18, season=12),
    "W": Frequency(horizon=13, season=1),
    "D": Frequency(horizon=14, season=1),
    "h": Frequency(horizon=48, season=24),
}
# How many horizons before its end a training series is cut into windows: M4Meta.history_size of N-BEATS and
# Time-Series-Library (data_provider/m4.py). It keeps long series from outnumbering short ones. Both draw one cut
# per series and epoch at random; here each cut whose targets are complete is one window.
RECENT_HORIZONS = {"YE": 1.5, "QE": 1.5, "ME": 1.5, "W": 10.0, "D": 10.0, "h": 10.0}


def frequency_of(*, horizon: int, season: int) -> str:
    """The pandas alias of M4's frequency with this horizon and season. Raises InputError where there is none."""
    for alias, frequency in FREQUENCIES.items():
        if frequency == Frequency(horizon=horizon, season=season):
            return alias
    known = ", ".join(f"{alias} {f.horizon}/{f.season}" for alias, f in FREQUENCIES.items())
    raise InputError(
        f"horizon is {horizon} and season {season}, but M4's frequencies have horizon/season {known}; correct "
        "`horizons` in the configuration or `season` in the catalogue"
    )
