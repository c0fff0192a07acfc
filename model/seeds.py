"""Few-shot targeting: what seed users add to a sentence.

    s'(u) = w s(u) + v . x(u)

s(u) is the sentence's score, x(u) the user's propensity and leading principal coordinates. It is a logistic
regression on the seeds with the sentence itself as its prior: w is near 1 and v near 0, within a scale c. c is averaged
over by the evidence that the seeds give each (MacKay 1992, Laplace's approximation), so ten seeds leave the sentence
nearly as it is, and thousands make a classifier of it.

Shape suffixes: S seeds, N users of the population, M width of a vector, D features.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from feature_repo.contracts.errors import FoundError
from model.vectors import Demand

COORDINATES = 8
SCALES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""What c is averaged over: the standard deviation, in log odds, of what all coordinates together may add."""
SENTENCE, PROPENSITY = 0.3, 0.5
"""How much w, in log odds of a standard deviation of s, and the propensity may move, in units of c."""
INTERCEPT = 10.0
"""The standard deviation of the intercept: seeds are no random sample, so their share of positives says nothing."""
STEPS = 50

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """Users like those who will be scored: vectors [N, M], and their scores [N] by the sentence."""

    vectors: "np.ndarray"
    scores: "np.ndarray"

    @property
    def spread(self) -> float:
        """The standard deviation of the sentence's scores."""
        return max(float(np.std(self.scores)), 1e-6)

    def coordinates_MD(self) -> Array:
        """The map from a user's vector to its features but the score: propensity, then principal coordinates, each of
        standard deviation 1 over the population and the latter divided by the root of their number."""
        vectors = np.asarray(self.vectors, np.float64)
        centred = vectors[:, 1:-1] - vectors[:, 1:-1].mean(0)
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        kept = min(COORDINATES, int((singular > 1e-6 * max(float(singular.max(initial=0.0)), 1e-12)).sum()))
        map_MD = np.zeros((vectors.shape[1], 1 + kept))
        map_MD[0, 0] = 1 / max(float(vectors[:, 0].std()), 1e-6)
        if kept:
            map_MD[1:-1, 1:] = (axes[:kept] / singular[:kept, None]).T * np.sqrt(len(vectors) / kept)
        return map_MD


def corrected(
    demand: Demand, vector_SM: "np.ndarray", score_S: "np.ndarray", is_positive_S: "np.ndarray", population: Population
) -> Demand:
    """The demand as the seeds correct it. The population's mean score stays what it is.

    Raises FoundError where either side has no seed.
    """
    positives, negatives = int(is_positive_S.sum()), int((~is_positive_S).sum())
    if not positives or not negatives:
        raise FoundError(f"seeds are needed on both sides, found {positives} positives and {negatives} negatives.")
    map_MD, spread = population.coordinates_MD(), population.spread
    feature_SD = np.column_stack([np.asarray(score_S) / spread, np.asarray(vector_SM, np.float64) @ map_MD])
    weight_D = _averaged(feature_SD, is_positive_S.astype(np.float64), spread)
    weight, added_M = weight_D[0] / spread, map_MD @ weight_D[1:]
    mean_M = np.asarray(population.vectors, np.float64).mean(0)
    kept = (1 - weight) * float(np.mean(population.scores)) - float(added_M @ mean_M)
    vector = weight * demand.vector.astype(np.float64) + added_M
    vector[-1] += kept
    return replace(
        demand,
        vector=vector.astype(np.float32),
        late_bias=weight * demand.late_bias,
        late_weight=weight * demand.late_weight,
    )


def _averaged(feature_SD: Array, label_S: Array, spread: float) -> Array:
    """The posterior mean of the weights [D], averaged over the scales."""
    prior_D = np.zeros(feature_SD.shape[1])
    prior_D[0] = spread
    relative_D = np.ones(len(prior_D))
    relative_D[:2] = SENTENCE, PROPENSITY
    fits = [_posterior(feature_SD, label_S, prior_D, scale * relative_D) for scale in SCALES]
    evidence = np.array([e for _, e in fits])
    share = np.exp(evidence - evidence.max())
    return np.average([weight_D for weight_D, _ in fits], axis=0, weights=share)


def _posterior(feature_SD: Array, label_S: Array, prior_D: Array, deviation_D: Array) -> tuple[Array, float]:
    """The most likely weights [D] under a normal prior, and the log evidence. Newton's method; the loss is convex."""
    design = np.column_stack([np.ones(len(label_S)), feature_SD - feature_SD.mean(0)])
    start = np.concatenate([[0.0], prior_D])
    precision = 1 / np.square(np.concatenate([[INTERCEPT], deviation_D]))
    weights = start.copy()
    for _ in range(STEPS):
        share_S = _sigmoid(design @ weights)
        gradient = design.T @ (label_S - share_S) - precision * (weights - start)
        hessian = (design.T * (share_S * (1 - share_S))) @ design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < 1e-8:
            break
    logit_S = design @ weights
    likelihood = -np.logaddexp(0, np.where(label_S > 0, -logit_S, logit_S)).sum()
    prior = -0.5 * (precision * np.square(weights - start)).sum()
    return weights[1:], float(likelihood + prior + 0.5 * (np.log(precision).sum() - np.linalg.slogdet(hessian)[1]))


def _sigmoid(logit_S: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit_S, -500, 500))))
