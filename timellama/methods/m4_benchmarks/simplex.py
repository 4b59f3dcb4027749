"""Minimisation without derivatives: the simplex of Nelder and Mead (1965) in the form of Nash's algorithm 19.

J. C. Nash 1990, Compact Numerical Methods for Computers, 2nd edition, chapter 14. R's `optim` uses it, and with it the
ETS models of R's package forecast. If a sum of squares has several minima, the simplex's size at the start and the
order of its steps decide which one is found, so both are Nash's.
"""

import math
from collections.abc import Callable

import numpy as np

RELATIVE_STEP = 0.1  # of the largest parameter: the start's distance to each other vertex (Nash, algorithm 19, step 1)
TOLERANCE = math.sqrt(
    np.finfo(np.float64).eps
)  # of the values at the vertices (R/ets.R of robjhyndman/forecast at 077b5be2, `etsmodel`)
MOST_CALLS = 2000  # of the function (the same, `maxit`)
INFINITE = 1e35  # the value outside the bounds (Nash: `big`)


def minimise(function: Callable[[np.ndarray], float], start: np.ndarray) -> np.ndarray:
    """The best vertex found from `start` [P], where `function` must be finite; elsewhere it may be infinite.

    Reflection by 1, expansion by 2, contraction and shrinkage by 1/2.
    """

    def value(vertex: np.ndarray) -> float:
        found = function(vertex)
        return found if math.isfinite(found) else INFINITE

    count = len(start)
    vertices = np.tile(start.astype(np.float64), (count + 1, 1))
    values = np.array([function(start), *[0.0] * count])
    enough = TOLERANCE * (abs(values[0]) + TOLERANCE)
    step = RELATIVE_STEP * np.abs(start).max() or RELATIVE_STEP
    size = 0.0
    for i in range(count):
        longer = step
        while vertices[i + 1, i] == start[i]:  # a step below the parameter's last digit is lost
            vertices[i + 1, i] = start[i] + longer
            longer *= 10
        size += longer
    calls, low, unknown = 1, 0, True
    while calls <= MOST_CALLS:
        others = [i for i in range(count + 1) if i != low]
        if unknown:
            for i in others:
                values[i] = value(vertices[i])
            calls, unknown = calls + count, False
        low, high = _ends(values, low)
        if values[high] <= values[low] + enough:
            break
        centre = (vertices.sum(axis=0) - vertices[high]) / count
        reflected = 2 * centre - vertices[high]
        at_reflected, calls = value(reflected), calls + 1
        if at_reflected < values[low]:
            expanded = 2 * reflected - centre
            at_expanded, calls = value(expanded), calls + 1
            better = at_expanded < at_reflected
            vertices[high], values[high] = (expanded, at_expanded) if better else (reflected, at_reflected)
            continue
        improved = at_reflected < values[high]
        if improved:
            vertices[high], values[high] = reflected, at_reflected
        contracted = 0.5 * vertices[high] + 0.5 * centre
        at_contracted, calls = value(contracted), calls + 1
        if at_contracted < values[high]:
            vertices[high], values[high] = contracted, at_contracted
        elif not improved:
            before, size, unknown = size, 0.0, True
            for i in (i for i in range(count + 1) if i != low):
                vertices[i] = 0.5 * (vertices[i] - vertices[low]) + vertices[low]
                size += np.abs(vertices[i] - vertices[low]).sum()
            if size >= before:  # the vertices cannot come closer in floating point
                break
    return vertices[low]


def _ends(values: np.ndarray, low: int) -> tuple[int, int]:
    """The indices of the lowest and the highest value; among equal ones `low`, the last lowest, else the first."""
    high = low
    best = worst = values[low]
    for i, value in enumerate(values):
        if i == low:
            continue
        if value < best:
            low, best = i, value
        if value > worst:
            high, worst = i, value
    return low, high
