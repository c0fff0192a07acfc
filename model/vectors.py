"""What is kept of users, and what they are asked with.

Shape suffixes: B users, E encoder width.
"""

from dataclasses import dataclass, replace

import numpy as np

from model.calibration.line import Line
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
    spread: float | None = None

    def moved(self, line: Line, *, spread: float | None = None) -> "Demand":
        """The demand whose scores are `line` of this one's. Every user's vector ends with a 1, which takes the bias."""
        vector = line.slope * self.vector.astype(np.float64)
        vector[-1] += line.bias
        return replace(
            self,
            vector=vector.astype(np.float32),
            late_bias=line.slope * self.late_bias,
            late_weight=line.slope * self.late_weight,
            spread=self.spread if spread is None else spread,
        )
