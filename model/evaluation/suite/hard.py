"""Few-shot with hard negatives: the seeds who do not do it are those whom zero-shot would have chosen first."""

import numpy as np

from model.baselines.protocol import Seeds
from model.evaluation.scenarios import Scenario
from model.evaluation.suite.bench import FEW, Place


def hard_seeds(place: Place, scenario: Scenario, score_B: "np.ndarray") -> Seeds:
    """The positives of `Place.seeds`, beside as many negatives as it draws: those of the fit split that labels.parquet
    marks as `hard`, or without a mark those whom the scores [candidates] of the sentence alone rank highest."""
    drawn, every = place.seeds(scenario, FEW), place.seeds(scenario)
    negative_S = every.rows[every.labels == 0]
    marked = place.hard.get(scenario.id, frozenset())
    if some_S := [row for row in negative_S.tolist() if place.users[row] in marked]:
        negative_S = np.array(some_S)
    hardest_S = negative_S[np.argsort(-score_B[negative_S], kind="stable")[: int((drawn.labels == 0).sum())]]
    positive_S = drawn.rows[drawn.labels == 1]
    return Seeds(np.concatenate([positive_S, hardest_S]), np.repeat([1, 0], [len(positive_S), len(hardest_S)]))
