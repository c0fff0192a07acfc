"""Are probabilities right? Brier score, expected calibration error, and the size of the audience they predict.

A `Ranking` by probability is what all of it needs: users with one probability are one group.
Shape suffixes: N users, G groups of equal probability, R weightings, B bins.
"""

import numpy as np

from feature_repo.contracts.errors import FoundError
from model.evaluation.ranking import Ranking, along_RK, rank, refuse_nan

BINS = 15


def rank_by_probability(
    label_N: "np.ndarray", probability_N: "np.ndarray", weight_RN: "np.ndarray | None" = None
) -> Ranking:
    """A ranking whose scores are probabilities. Raises FoundError for one that is NaN or outside of 0 to 1."""
    refuse_nan("probabilities", probability_N)
    low, high = (float(end(probability_N, initial=0.5)) for end in (np.min, np.max))
    if low < 0 or high > 1:
        raise FoundError(
            f"probabilities lie between 0 and 1; found {low:.4g} to {high:.4g}. "
            "Hand over scores that are no probabilities as scores alone."
        )
    return rank(label_N, probability_N, weight_RN)


def brier_R(ranking: Ranking) -> "np.ndarray":
    """The mean squared distance between probability and label."""
    missed_RG = ranking.positives_RG * (1 - ranking.score_G) ** 2 + ranking.negatives_RG * ranking.score_G**2
    return missed_RG.sum(axis=1) / ranking.users_R


def brier_skill_R(ranking: Ranking) -> "np.ndarray":
    """What the probabilities save of the Brier score of the best constant, the base rate: 1 is perfect, 0 is worth no
    more than the base rate. NaN where one kind is missing."""
    base_R = ranking.positives_R / ranking.users_R
    constant_R = base_R * (1 - base_R)
    saved_R = np.divide(brier_R(ranking), constant_R, out=np.full(len(base_R), np.nan), where=constant_R > 0)
    return 1 - saved_R


def ece_R(ranking: Ranking) -> "np.ndarray":
    """Expected calibration error: the mean over bins of equal mass of |mean probability - share of positives|.

    Bins hold exactly a 15th of the users: a group on a border is spread evenly over both. Resamples of it lie a little
    high, since noise in a bin is an error there; so does the interval that is made of them.
    """
    gap_RG = ranking.positives_RG - ranking.score_G * ranking.users_RG
    gap_RB = np.diff(along_RK(ranking, gap_RG, _edges(ranking)), axis=1)
    return np.abs(gap_RB).sum(axis=1) / ranking.users_R


def calibration_curve(ranking: Ranking) -> tuple["np.ndarray", "np.ndarray"]:
    """Of each bin, ascending: the mean probability and the share of positives; of the users as they are."""
    ranking = ranking.as_it_is
    mass = ranking.users_R[0] / BINS
    amounts = ranking.score_G * ranking.users_RG, ranking.positives_RG
    sums = (np.diff(along_RK(ranking, amount_RG, _edges(ranking)), axis=1)[0] for amount_RG in amounts)
    predicted_B, observed_B = (sum_B[::-1] / mass for sum_B in sums)
    return predicted_B, observed_B


def predicted_size_R(ranking: Ranking) -> "np.ndarray":
    """How many users the probabilities say will act: their sum."""
    return (ranking.score_G * ranking.users_RG).sum(axis=1)


def size_ratio_R(ranking: Ranking) -> "np.ndarray":
    """The predicted size of the audience over the realised one; NaN where nobody acted."""
    realised_R = ranking.positives_R
    return np.divide(predicted_size_R(ranking), realised_R, out=np.full(len(realised_R), np.nan), where=realised_R > 0)


def _edges(ranking: Ranking) -> "np.ndarray":
    return ranking.users_R[:, None] * np.arange(BINS + 1) / BINS
