"""A small made-up data set that needs no network, for tests and for trying the whole pipeline within minutes.

Each variate is a slow trend, a daily and a weekly season with their own strength and phase, and noise that remembers a
part of itself, all drawn from one seed. Values are written with four decimals, so the file's bytes, and with them the
SHA-256 in the catalogue, depend on nothing finer than that.
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
