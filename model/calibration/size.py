"""How many users will do what a demand says, and how far that may be off.

Shape suffix: N users of a sample.
"""

from dataclasses import dataclass

import numpy as np

WITHIN_80 = 1.2816
"""So many standard deviations on either side hold 80 % of a normal distribution."""


@dataclass(frozen=True)
class Expected:
    """How many users will do something, and the interval that holds the true number in 80 % of cases."""

    size: float
    low: float
    high: float


def expected(probability_N: "np.ndarray", users: int, spread: float) -> Expected:
    """The size of the audience among `users`, of whom those given are a sample: what the probabilities add up to; the
    interval allows for the demand's spread, for chance, and for the sample's error."""
    mean, count = float(np.mean(probability_N)), max(1, len(probability_N))
    size = users * mean
    chance = users * mean * (1 - mean)
    sampled = float(np.var(probability_N)) * users**2 / count * max(0.0, 1 - count / max(1, users))
    off = WITHIN_80 * float(np.hypot(spread, np.sqrt(chance + sampled) / max(size, 1.0)))
    return Expected(size, size * float(np.exp(-off)), min(float(users), size * float(np.exp(off))))
