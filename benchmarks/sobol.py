"""Writes `timellama/experiments/sobol.csv`: `python -m benchmarks.sobol`.

The points of every search are kept in a file, so that planning does not import SciPy and another version of it cannot
change which runs a search consists of.
"""

import sys
from pathlib import Path

from scipy.stats import qmc

from timellama.experiments.search import SOBOL

POINTS, DIMENSIONS, SEED, DIGITS = 64, 8, 0, 6  # our choice: 64 trials of 8 parameters; a power of 2 keeps the balance


def text() -> str:
    """The file's content: one line per point, one column per dimension."""
    points = qmc.Sobol(d=DIMENSIONS, scramble=True, rng=SEED).random(POINTS)
    return "\n".join(",".join(f"{value:.{DIGITS}f}" for value in point) for point in points) + "\n"


if __name__ == "__main__":
    Path(SOBOL).write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{SOBOL}\n")
