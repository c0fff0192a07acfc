"""What is kept of users, and what they are asked with.

Shape suffixes: B users, E encoder width.
"""

from dataclasses import dataclass

import numpy as np

from model.late import WeightedTexts


@dataclass(frozen=True)
class Users:
    """What is kept of B users: their vectors [B, width], for an index, and their texts, for late interaction."""

    vectors: "np.ndarray"
    texts: list[WeightedTexts]


@dataclass(frozen=True)
class Demand:
    """A sentence as of a day: its vector [width], and what late interaction asks with: a unit vector [E], a bias, and
    how much it counts."""

    vector: "np.ndarray"
    late: "np.ndarray"
    late_bias: float
    late_weight: float = 1.0
