"""An audience in figures: how many of it will probably do what was asked, and how that falls from decile to decile."""

import numpy as np
from numpy.typing import NDArray

from serving.audience import Decile

_NORMAL_95 = 1.959964
TENTHS = 10


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
