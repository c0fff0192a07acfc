"""How many users act, beside how many were expected: by the interval of 80 % and by chance alone.

Shape suffix: N users.
"""

from typing import Any

import numpy as np

from model.calibration.size import expected
from model.evaluation.bootstrap import generator
from model.evaluation.calibration import ece_R, rank_by_probability

DRAWS = 20
"""Of labels, where the probabilities are taken for right."""


def size_told(name: str, probability_N: "np.ndarray", label_N: "np.ndarray", spread: float) -> dict[str, Any]:
    """The size that a demand's probabilities expect of these users with its interval, the true one, and the expected
    calibration error that probabilities like these would measure if they were right: what chance alone makes of so few
    users. The labels for it are drawn by the scenario's name."""
    told = expected(probability_N, len(probability_N), spread)
    rng = generator(f"{name} drawn by probability")
    drawn = [rng.random(len(probability_N)) < probability_N for _ in range(DRAWS)]
    by_chance = [float(ece_R(rank_by_probability(label.astype(int), probability_N))[0]) for label in drawn]
    return {
        "size": told.size,
        "low": told.low,
        "high": told.high,
        "true": int(label_N.sum()),
        "users": len(label_N),
        "ece": float(ece_R(rank_by_probability(label_N, probability_N))[0]),
        "ece_by_chance": float(np.mean(by_chance)),
    }
