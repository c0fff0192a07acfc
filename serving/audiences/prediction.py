"""How many members will do what was asked: the sum of their probabilities, and what chance adds to it.

Each member does it or not, independently, with the model's probability: the count is Poisson binomial. Its interval
holds chance alone; where the probabilities themselves are off, the truth lies outside more often than the level says.
"""

from collections.abc import Iterator, Sequence
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
    low, high = widened((low, high), size, len(chances), everybody)
    return told | {"low": low, "high": high, "method": CALIBRATED}


def widened(chance: tuple[int, int], size: float, users: int, everybody: Expected | None) -> tuple[int, int]:
    """The interval of chance, and of the factor by which a calibrated model's sizes may be off."""
    if everybody is None or everybody.low <= 0:
        return chance
    off = everybody.size / everybody.low
    return min(chance[0], floor(size / off)), min(users, max(chance[1], ceil(size * off)))


def interval(chances: NDArray[np.float64], level: float) -> tuple[int, int]:
    """The counts between which the Poisson-binomial variable lies with at least `level`, equal tails outside."""
    return _interval(*distribution(chances), level)


def distribution(chances: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """The smallest count considered, and P(count = it + i)."""
    last = 0, np.ones(1)
    for last in growing(np.sort(chances)[::-1]):  # noqa: B007
        pass
    return last


def intervals(chances: NDArray[np.float64], sizes: Sequence[int], level: float) -> list[tuple[int, int]]:
    """The interval of the first `size` chances, for each of the sizes, which rise."""
    wanted = set(sizes)
    found = {
        size: _interval(first, masses, level)
        for size, (first, masses) in enumerate(growing(chances), start=1)
        if size in wanted
    }
    return [found[size] for size in sizes]


def growing(chances: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The distribution of the first chance, of the first two, ...: one convolution with (1 - p, p) per member."""
    width = int(_WIDEST * float(np.sqrt((chances * (1 - chances)).sum()))) + _AT_LEAST
    first, masses, reached = 0, np.ones(1), 0.0
    for chance in chances:
        grown = np.zeros(len(masses) + 1)
        grown[:-1] = masses * (1 - chance)
        grown[1:] += masses * chance
        reached += float(chance)
        low = max(first, int(reached - width))
        high = min(first + len(grown), int(reached + width) + 1)
        masses, first = grown[low - first : high - first], low
        yield first, masses


def _interval(first: int, masses: NDArray[np.float64], level: float) -> tuple[int, int]:
    below = np.cumsum(masses)
    tail = (1 - level) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    return first + low, first + min(high, len(masses) - 1)
