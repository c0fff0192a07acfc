"""How many members will do what was asked: the sum of their probabilities, and what chance adds to it.

Each member does it or not, independently, with the model's probability: the count is Poisson binomial. Its interval
holds chance alone; where the probabilities themselves are off, the truth lies outside more often than the level says.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.calibration.size import Expected

LEVEL = 0.8
METHOD = "sum of probabilities, Poisson-binomial interval"
CALIBRATED = "sum of probabilities, interval of the calibration and of chance"
_WIDEST = 12.0
_AT_LEAST = 30
"""Counts further from the mean than 12 standard deviations and 30 have a probability below 1e-25: they are left out."""


def predicted(probabilities: Sequence[float], everybody: Expected | None = None) -> dict[str, Any]:
    """expected, low, high (both counts included), level and method.

    `everybody` is what a calibrated model expects of all users: how far that may be off, as a factor, holds for a part
    of them, too.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    size, (low, high) = float(chances.sum()), interval(chances, LEVEL)
    told = {"expected": size, "low": low, "high": high, "level": LEVEL, "method": METHOD}
    if everybody is None or everybody.low <= 0:
        return told
    off = everybody.size / everybody.low
    low, high = min(low, floor(size / off)), min(len(chances), max(high, ceil(size * off)))
    return told | {"low": low, "high": high, "method": CALIBRATED}


def interval(chances: NDArray[np.float64], level: float) -> tuple[int, int]:
    """The counts between which the Poisson-binomial variable lies with at least `level`, equal tails outside."""
    first, masses = distribution(chances)
    below = np.cumsum(masses)
    tail = (1 - level) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    return first + low, first + min(high, len(masses) - 1)


def distribution(chances: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """The smallest count considered, and P(count = it + i): one convolution with (1 - p, p) per member."""
    width = int(_WIDEST * float(np.sqrt((chances * (1 - chances)).sum()))) + _AT_LEAST
    first, masses, reached = 0, np.ones(1), 0.0
    for chance in np.sort(chances)[::-1]:
        grown = np.zeros(len(masses) + 1)
        grown[:-1] = masses * (1 - chance)
        grown[1:] += masses * chance
        reached += float(chance)
        low = max(first, int(reached - width))
        high = min(first + len(grown), int(reached + width) + 1)
        masses, first = grown[low - first : high - first], low
    return first, masses
