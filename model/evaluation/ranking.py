"""Measures of a ranking, for many weightings of its users at once: the users as they are, or their resamples.

Equal scores are one group, so nothing depends on the order in which users are given.
Shape suffixes: N users, G groups of equal score (best first), R weightings, K audience sizes,
D tenths, P paraphrases.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from feature_repo.contracts.errors import FoundError

DECILES = 10


@dataclass(frozen=True)
class Ranking:
    """Groups of equal score, best first, and under each weighting how much of either kind each group holds."""

    score_G: "np.ndarray"
    positives_RG: "np.ndarray"
    negatives_RG: "np.ndarray"

    @cached_property
    def users_RG(self) -> "np.ndarray":
        return self.positives_RG + self.negatives_RG

    @cached_property
    def reached_RG(self) -> "np.ndarray":
        """How many users have been passed before the first group, and after each."""
        return _from_zero(self.users_RG)

    @cached_property
    def positives_R(self) -> "np.ndarray":
        return self.positives_RG.sum(axis=1)

    @cached_property
    def negatives_R(self) -> "np.ndarray":
        return self.negatives_RG.sum(axis=1)

    @cached_property
    def users_R(self) -> "np.ndarray":
        return self.positives_R + self.negatives_R

    @property
    def as_it_is(self) -> "Ranking":
        """Under the first weighting alone."""
        return Ranking(self.score_G, self.positives_RG[:1], self.negatives_RG[:1])


def rank(label_N: "np.ndarray", score_N: "np.ndarray", weight_RN: "np.ndarray | None" = None) -> Ranking:
    """Higher is better; without weights each user counts once (R = 1).

    Raises FoundError for no user at all, another number of scores than labels, a label beside 0 and 1, a NaN score.
    """
    _refuse(label_N, score_N)
    order = np.argsort(-score_N.astype(np.float64), kind="stable")
    score, positive = score_N[order], label_N[order] > 0
    first_G = np.flatnonzero(np.concatenate([[True], score[1:] != score[:-1]]))
    weight = np.ones((1, len(order))) if weight_RN is None else weight_RN[:, order].astype(np.float64)
    users_RG = np.add.reduceat(weight, first_G, axis=1)
    positives_RG = np.add.reduceat(weight * positive, first_G, axis=1)
    return Ranking(score[first_G], positives_RG, users_RG - positives_RG)


def _refuse(label_N: "np.ndarray", score_N: "np.ndarray") -> None:
    if not len(label_N) or label_N.shape != score_N.shape:
        raise FoundError(
            f"a ranking is measured on one score per labelled user and at least one user; found {len(label_N)} labels "
            f"and scores of shape {score_N.shape}. Score every candidate, also those without history."
        )
    if strange := sorted({float(label) for label in np.unique(label_N)} - {0.0, 1.0}):
        raise FoundError(f"labels are 0 or 1; found {strange[:3]}. Check the column `label` of labels.parquet.")
    refuse_nan("scores", score_N)


def refuse_nan(what: str, value_N: "np.ndarray") -> None:
    """Raises FoundError with the count and the first place: a NaN has no rank, and silently sorts last."""
    if len(places := np.flatnonzero(np.isnan(value_N))):
        raise FoundError(
            f"{what} must be numbers; {len(places)} of {len(value_N)} are NaN, the first in row {places[0]}. "
            "Give users of whom nothing is known the method's lowest score instead."
        )


def auc_R(ranking: Ranking) -> "np.ndarray":
    """The probability that a positive scores above a negative, ties counting half; NaN where one kind is missing."""
    below_RG = ranking.negatives_R[:, None] - np.cumsum(ranking.negatives_RG, axis=1)
    wins_R = (ranking.positives_RG * (below_RG + ranking.negatives_RG / 2)).sum(axis=1)
    return _ratio(wins_R, ranking.positives_R * ranking.negatives_R)


def ks_R(ranking: Ranking) -> "np.ndarray":
    """Kolmogorov-Smirnov: the greatest distance between both kinds' distributions of the score, seen between groups.

    A reversed ranking has the same KS: read it beside the AUC. NaN where one kind is missing.
    """
    true_RG = _ratio(np.cumsum(ranking.positives_RG, axis=1), ranking.positives_R[:, None])
    false_RG = _ratio(np.cumsum(ranking.negatives_RG, axis=1), ranking.negatives_R[:, None])
    return np.abs(true_RG - false_RG).max(axis=1)


def average_precision_R(ranking: Ranking) -> "np.ndarray":
    """Precision at each group's threshold, weighted by the recall that the group adds; NaN without a positive."""
    precision_RG = _ratio(np.cumsum(ranking.positives_RG, axis=1), ranking.reached_RG[:, 1:], empty=0.0)
    return _ratio((precision_RG * ranking.positives_RG).sum(axis=1), ranking.positives_R)


def found_RK(ranking: Ranking, size_RK: "np.ndarray") -> "np.ndarray":
    """The positives expected among the `size` best: users who tie at the border are drawn at random.

    `size_RK` may be anything that broadcasts to it, fractions included; past the last user nothing is added.
    """
    sizes = np.broadcast_to(size_RK, (len(ranking.users_RG), np.shape(size_RK)[-1]))
    return along_RK(ranking, ranking.positives_RG, sizes)


def along_RK(ranking: Ranking, amount_RG: "np.ndarray", size_RK: "np.ndarray") -> "np.ndarray":
    """The amount that lies in the `size` best users, a group's amount spread evenly over its users."""
    rows = zip(size_RK, ranking.reached_RG, _from_zero(amount_RG), strict=True)
    return np.stack([np.interp(*row) for row in rows])


def precision_at_R(ranking: Ranking, k: int) -> "np.ndarray":
    """The share of positives expected among the `k` best, ties in random order; of all users where fewer than `k`."""
    size_R = np.minimum(k, ranking.users_R)
    return found_RK(ranking, size_R[:, None])[:, 0] / size_R


def lift_RD(ranking: Ranking) -> "np.ndarray":
    """How many times the base rate each tenth of the users has, best tenth first; their mean is 1.

    A tenth of N is exact: a user on its border counts in both by his parts. NaN without a positive.
    """
    edge_RK = ranking.users_R[:, None] * np.arange(DECILES + 1) / DECILES
    tenth_RD = np.diff(found_RK(ranking, edge_RK), axis=1)
    return _ratio(tenth_RD * DECILES, ranking.positives_R[:, None])


def spearman(one_N: "np.ndarray", other_N: "np.ndarray") -> float:
    """The correlation of two rankings of the same users, ties at their mean rank; NaN where one is constant."""
    if one_N.shape != other_N.shape or not len(one_N):
        raise FoundError(f"two rankings of the same users were expected; found {len(one_N)} and {len(other_N)} scores.")
    a_N, b_N = (_mean_ranks(scores) for scores in (one_N, other_N))
    a_N, b_N = a_N - a_N.mean(), b_N - b_N.mean()
    spread = float(np.sqrt((a_N**2).sum() * (b_N**2).sum()))
    return float((a_N * b_N).sum() / spread) if spread else float("nan")


def agreement(score_PN: "np.ndarray") -> float:
    """How far P paraphrases of a demand rank the users alike: the mean Spearman of all pairs of rows."""
    pairs = [spearman(one_N, other_N) for one_N, other_N in combinations(score_PN, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")


def _mean_ranks(score_N: "np.ndarray") -> "np.ndarray":
    refuse_nan("scores", score_N)
    _, inverse, counts = np.unique(score_N, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _from_zero(amount_RG: "np.ndarray") -> "np.ndarray":
    return np.concatenate([np.zeros((len(amount_RG), 1)), np.cumsum(amount_RG, axis=1)], axis=1)


def _ratio(above: "np.ndarray", below: "np.ndarray", *, empty: float = np.nan) -> "np.ndarray":
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.full(above.shape, empty), where=below > 0)
