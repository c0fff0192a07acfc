"""The audience that accuracy, precision and recall are taken of: one rule for all methods, no label of the eval split.

THE RULE: in a scenario every method answers with an audience of the same size, the base rate of the FIT split times
the number of eval candidates, and picks it by its own ranking. Why this one:

* A threshold at probability one half, or at any fixed probability, leaves audiences empty where few users act, and
  does not exist for a method that only ranks (recency, nearest texts) or answers with a set (ARALLM).
* The size by which a calibrated probability cuts (as many users as the probabilities add up to) IS the base rate times
  the candidates, up to noise; so for probabilities that hold this is the cut by calibrated probability.
* For probabilities that do not hold it is fairer: with a size of its own each method trades precision against recall
  differently, and the table would compare sizes. Here precision, recall and accuracy differ by the ranking alone.
  How far a method's own size is off is measured as such (`calibration.size_ratio_R`).
* It is the same for methods that see fit labels and for those that see none: it enters no score.

Where a method gives probabilities, the same three at its OWN size stand beside them: what a marketer would get.
Shape suffixes: N users, R weightings.
"""

from typing import NamedTuple

import numpy as np

from feature_repo.contracts.errors import FoundError
from model.evaluation.calibration import predicted_size_R
from model.evaluation.ranking import Ranking, found_RK, precision_at_R, rank


class Decision(NamedTuple):
    """Shares between 0 and 1, each expected over the random order of ties."""

    accuracy_R: "np.ndarray"
    precision_R: "np.ndarray"
    recall_R: "np.ndarray"


def fit_rate(fit_label_N: "np.ndarray") -> float:
    """The base rate of the fit split. Raises FoundError where the split has no user."""
    if not len(fit_label_N):
        raise FoundError(
            "the size of the audience is the base rate of the fit split, which has no user in this scenario: "
            "label users with split 'fit' (a fifth of them) in labels.parquet."
        )
    return float(np.mean(fit_label_N))


def shared_size(rate: float, candidates: int) -> float:
    """The size of every method's audience: a whole number, at least one user."""
    return float(max(1, round(rate * candidates)))


def own_size_R(by_probability: Ranking) -> "np.ndarray":
    """The size that a method's probabilities predict: a whole number, at least one user."""
    return np.maximum(1.0, np.rint(predicted_size_R(by_probability)))


def decide(ranking: Ranking, size_R: "np.ndarray | float") -> Decision:
    """What the `size` best are worth; recall is NaN where nobody acted."""
    chosen_R = np.minimum(size_R, ranking.users_R)
    hit_R = found_RK(ranking, chosen_R[:, None])[:, 0]
    positives_R = ranking.positives_R
    right_R = hit_R + ranking.negatives_R - (chosen_R - hit_R)
    recall_R = np.divide(hit_R, positives_R, out=np.full(len(hit_R), np.nan), where=positives_R > 0)
    return Decision(right_R / ranking.users_R, hit_R / chosen_R, recall_R)


def violation_share(violates_N: "np.ndarray", score_N: "np.ndarray", size: int) -> float:
    """Of the `size` best users, the share that breaks a condition of the sentence ("but never ...")."""
    return float(precision_at_R(rank(violates_N, score_N), size)[0])
