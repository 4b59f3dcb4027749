"""Small made-up data sets that need no network, for tests and for trying the whole pipeline within minutes.

In the multivariate one, each variate is a slow trend, a daily and a weekly season of random strength and phase, and
autocorrelated noise, all drawn from one seed. The one in M4's form holds separate hourly series of unequal length and
size, with a daily season or none, and comes as a training and a test file. Values are written with four decimals, so
the files' bytes, and with them the SHA-256s in the catalogue, depend on nothing finer than that.
"""

import math
import random
from datetime import datetime, timedelta
from pathlib import Path

# Our choices: fifty days of hourly rows leave windows at context 96, horizon 24 in each part of a 70/10/20 split.
ROWS = 1200
VARIATES = 7  # as many as ETT has
START = datetime(2024, 1, 1)  # a Monday
DAY, WEEK = 24, 168  # rows
MEMORY = 0.7  # share of the noise that carries over to the next hour

# Our choices for M4's form: lengths from below the look-back of 96, whose contexts have to be padded, to above the 252
# values from which Naive2 can find a season of 24; sizes over two orders of magnitude; no season in every fifth series.
M4_SERIES = 30
M4_HORIZON = 48  # M4's for hourly series
M4_LENGTHS = (60, 420)
M4_LEVELS = (1, 3)  # exponents of ten
M4_SEASONLESS = 5


def generate(path: Path, *, seed: int) -> None:
    """Writes the data set of `seed` to `path` as a CSV: a column `date`, then `V1` to `V7`.

    Python's own generator is used because its stream is promised to stay the same between versions.
    """
    draw = random.Random(seed)
    columns = [_variate(draw) for _ in range(VARIATES)]
    lines = ["date," + ",".join(f"V{i + 1}" for i in range(VARIATES))]
    for row in range(ROWS):
        stamp = (START + timedelta(hours=row)).strftime("%Y-%m-%d %H:%M:%S")
        lines.append(",".join([stamp, *(f"{column[row]:.4f}" for column in columns)]))
    path.write_bytes(("\n".join(lines) + "\n").encode())


def generate_m4_train(path: Path, *, seed: int) -> None:
    """Writes the training values of M4's form to `path`: each row is an id and its values, padded with empty cells."""
    _write_m4(path, [series[:-M4_HORIZON] for series in _m4(seed)])


def generate_m4_test(path: Path, *, seed: int) -> None:
    """Writes the values that follow the training values of the same seed."""
    _write_m4(path, [series[-M4_HORIZON:] for series in _m4(seed)])


def _write_m4(path: Path, rows: list[list[float]]) -> None:
    width = max(len(row) for row in rows)
    lines = [",".join(f'"V{i + 1}"' for i in range(width + 1))]
    for i, row in enumerate(rows):
        lines.append(",".join([f'"S{i + 1}"', *(f'"{value:.4f}"' for value in row), *[""] * (width - len(row))]))
    path.write_bytes(("\n".join(lines) + "\n").encode())


def _m4(seed: int) -> list[list[float]]:
    """All series, each with its test values at its end; every value is positive."""
    draw = random.Random(seed)
    return [_m4_series(draw, seasonal=bool((i + 1) % M4_SEASONLESS)) for i in range(M4_SERIES)]


def _m4_series(draw: random.Random, *, seasonal: bool) -> list[float]:
    rows = draw.randint(*M4_LENGTHS) + M4_HORIZON
    level, slope = 10 ** draw.uniform(*M4_LEVELS), draw.uniform(-0.2, 0.2)
    strength, phase = draw.uniform(0.1, 0.4) * seasonal, draw.uniform(0, 2 * math.pi)
    noise, values = 0.0, []
    for row in range(rows):
        noise = MEMORY * noise + draw.uniform(-1, 1) * 0.02
        values.append(level * (1 + slope * row / rows + strength * math.sin(2 * math.pi * row / DAY + phase) + noise))
    return values


def _variate(draw: random.Random) -> list[float]:
    level, slope = draw.uniform(5, 30), draw.uniform(-2, 2)
    daily, weekly = draw.uniform(1, 4), draw.uniform(0.5, 2)
    daily_phase, weekly_phase = draw.uniform(0, 2 * math.pi), draw.uniform(0, 2 * math.pi)
    noise, values = 0.0, []
    for row in range(ROWS):
        noise = MEMORY * noise + draw.uniform(-1, 1) * 0.5
        season = daily * math.sin(2 * math.pi * row / DAY + daily_phase)
        season += weekly * math.sin(2 * math.pi * row / WEEK + weekly_phase)
        values.append(level + slope * row / ROWS + season + noise)
    return values


GENERATORS = {"": generate, "m4-train:": generate_m4_train, "m4-test:": generate_m4_test}  # by the source's kind
