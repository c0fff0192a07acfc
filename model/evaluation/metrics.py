"""AUC and specificity, as the tables of the documentation use them.

Shape suffixes: N users.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from model.evaluation.ranking import auc_R, rank

MIN_SIDE = 20
"""A pair of scenarios counts for specificity only with this many users on both sides."""


def auc(label_N: "np.ndarray", score_N: "np.ndarray") -> float:
    """The probability that a positive scores above a negative, ties counting half; NaN where one kind is missing."""
    return float(auc_R(rank(label_N, score_N))[0])


def specificity(
    scores: Mapping[str, Mapping[str, float]], labels: Mapping[str, Mapping[str, int]]
) -> tuple[float, int]:
    """Does the sentence matter? The mean, over pairs of scenarios (a, b) of one cut-off, of the AUC of
    score_a - score_b between the users who do a and not b and those who do b and not a; and how many pairs.

    A ranking that ignores the sentence has 0.5 there. Both mappings are {scenario: {user: value}}.
    """
    found = [auc(does_a_N, difference_N) for _, does_a_N, difference_N in discordant(scores, labels)]
    return (float(np.mean(found)) if found else float("nan")), len(found)


def discordant(
    scores: Mapping[str, Mapping[str, float]], labels: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[str, "np.ndarray", "np.ndarray"]]:
    """Of each pair of scenarios that counts: both ids, who of its users does a, and score_a - score_b; by user id."""
    for a, b in combinations(sorted(scores), 2):
        users = sorted(u for u in labels[a] if u in labels[b] and labels[a][u] != labels[b][u])
        does_a_N = np.array([labels[a][u] for u in users])
        if min(does_a_N.sum(), len(users) - does_a_N.sum()) >= MIN_SIDE:
            yield f"{a} / {b}", does_a_N, np.array([scores[a][u] - scores[b][u] for u in users])
