"""AUC and specificity, as the tables of the documentation use them.

Shape suffixes: N users.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

MIN_SIDE = 20
"""A pair of scenarios counts for specificity only with this many users on both sides."""


def auc(label_N: "np.ndarray", score_N: "np.ndarray") -> float:
    """The probability that a positive scores above a negative, ties counting half; NaN where one kind is missing."""
    positives = int(label_N.sum())
    negatives = len(label_N) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score_N, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = (last - (counts - 1) / 2)[inverse]
    return float((rank[label_N > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def specificity(
    scores: Mapping[str, Mapping[str, float]], labels: Mapping[str, Mapping[str, int]]
) -> tuple[float, int]:
    """Does the sentence matter? The mean, over pairs of scenarios (a, b) of one cut-off, of the AUC of
    score_a - score_b between the users who do a and not b and those who do b and not a; and how many pairs.

    A ranking that ignores the sentence has 0.5 there. Both mappings are {scenario: {user: value}}.
    """
    found = [value for a, b in combinations(scores, 2) if (value := _pair(scores, labels, a, b)) is not None]
    return (float(np.mean(found)) if found else float("nan")), len(found)


def _pair(
    scores: Mapping[str, Mapping[str, float]], labels: Mapping[str, Mapping[str, int]], a: str, b: str
) -> float | None:
    users = [u for u in labels[a] if u in labels[b] and labels[a][u] != labels[b][u]]
    does_a = np.array([labels[a][u] for u in users])
    if min(does_a.sum(), len(users) - does_a.sum()) < MIN_SIDE:
        return None
    return auc(does_a, np.array([scores[a][u] - scores[b][u] for u in users]))
