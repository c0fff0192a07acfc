"""A straight line from scores to log odds (Platt 1999), fitted to what happened, or to how probably it did.

Shape suffix: N users.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SLOPE, SLOPE_WEIGHT = 1.25, 2.0
"""The slope before any target is seen, and how much that counts, as users of even odds and a score of 2 would."""
LEAST_SLOPE = 0.5
"""Slopes stay above it: no calibration turns a ranking around, or makes a demand mute beside others."""
FEWEST = 0.5
"""Where nothing (or everything) happens, so many users are taken to be the exception."""
STEPS = 60

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """log odds = bias + slope * score"""

    bias: float = 0.0
    slope: float = 1.0

    def probabilities(self, score_N: "np.ndarray") -> Array:
        return sigmoid(self.bias + self.slope * np.asarray(score_N, np.float64))


def fit_line(score_N: "np.ndarray", target_N: "np.ndarray") -> Line:
    """The likeliest line; `target_N` are 0, 1, or probabilities. At its bias the mean probability is the mean target,
    and the order of the scores stays. Newton's method; the loss is convex."""
    line = _fitted(score_N, target_N, SLOPE, free=2)
    return line if line.slope >= LEAST_SLOPE else fit_bias(score_N, target_N, slope=LEAST_SLOPE)


def fit_bias(score_N: "np.ndarray", target_N: "np.ndarray", *, slope: float = SLOPE) -> Line:
    """The line of a slope at which the mean probability is the mean target."""
    return _fitted(score_N, target_N, slope, free=1)


def _fitted(score_N: "np.ndarray", target_N: "np.ndarray", slope: float, *, free: int) -> Line:
    score_N, target_N = np.asarray(score_N, np.float64), np.asarray(target_N, np.float64)
    few = FEWEST / (len(score_N) + 1)
    target_N = few + (1 - 2 * few) * target_N
    middle, share = float(score_N.mean()), float(target_N.mean())
    design = np.column_stack([np.ones(len(score_N)), score_N - middle])
    weights = np.array([np.log(share / (1 - share)), slope])
    for _ in range(STEPS):
        weights, moved = _step(weights, design, target_N, free=free)
        if moved < 1e-9:
            break
    return Line(float(weights[0] - weights[1] * middle), float(weights[1]))


def _step(weights: Array, design: Array, target_N: Array, *, free: int) -> tuple[Array, float]:
    """The weights after one step of at most 1 each, of which the first `free` move; and the length of the step."""
    prior = np.array([0.0, SLOPE_WEIGHT])
    share_N = sigmoid(design @ weights)
    gradient = design.T @ (target_N - share_N) - prior * (weights - SLOPE)
    hessian = (design.T * (share_N * (1 - share_N))) @ design + np.diag(prior + 1e-9)
    step = np.zeros(2)
    step[:free] = np.linalg.solve(hessian[:free, :free], gradient[:free])
    length = float(np.abs(step).max())
    return weights + step / max(1.0, length), length


def sigmoid(logit_N: "np.ndarray") -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit_N, -500, 500))), np.float64)
