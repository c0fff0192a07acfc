"""An audience in figures: how many of it will probably do what was asked, and how that falls from decile to decile."""

import numpy as np
from numpy.typing import NDArray

from model.calibration.size import Expected
from serving.audience import CurvePoint, Decile
from serving.audiences.prediction import LEVEL, intervals, widened

_NORMAL_95 = 1.959964
TENTHS = 10
_STEPS = ((0, 100, 1), (100, 1_000, 10), (1_000, 10_000, 100), (10_000, 100_000, 500))
"""(beyond, up to, step): the sizes at which a curve is told."""


def precision(probabilities: NDArray[np.float64]) -> tuple[float, tuple[float, float]]:
    """The expected share of the users who do it, and the 95 % interval of the realised one.

    Users are taken as independent, each doing it with the probability given: the variance of the share is
    sum p (1 - p) / n^2. The interval says nothing of probabilities that are wrong. Nobody gives 0 and the whole range.
    """
    if not len(probabilities):
        return 0.0, (0.0, 1.0)
    mean = float(probabilities.mean())
    half = _NORMAL_95 * float(np.sqrt((probabilities * (1 - probabilities)).sum())) / len(probabilities)
    return mean, (max(0.0, mean - half), min(1.0, mean + half))


def deciles(probabilities: NDArray[np.float64]) -> tuple[Decile, ...]:
    """Tenths of the users, best first, as equal as they can be; fewer than ten users have fewer."""
    parts = [part for part in np.array_split(probabilities, TENTHS) if len(part)]
    return tuple(Decile(len(part), float(part.mean()), float(part.sum())) for part in parts)


def curve(probabilities: NDArray[np.float64], everybody: Expected | None) -> tuple[CurvePoint, ...]:
    """What an audience of the first users would be, at sizes up to all of them.

    "Top N", "all above p" and "how many will" are one point of it: the N-th user's probability is p, and the expected
    count is the sum of the first N probabilities, with the interval that a stored audience of N promises.
    """
    sizes = _sizes(len(probabilities))
    sums = np.cumsum(probabilities)
    points = []
    for size, chance in zip(sizes, intervals(probabilities, sizes, LEVEL), strict=True):
        expected = float(sums[size - 1])
        low, high = widened(chance, expected, size, everybody)
        points.append(CurvePoint(size, float(probabilities[size - 1]), expected, low, high))
    return tuple(points)


def _sizes(users: int) -> list[int]:
    found = [size for start, end, step in _STEPS for size in range(start + step, min(end, users) + 1, step)]
    return sorted({*found, users} - {0})
