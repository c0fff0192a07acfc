"""The training-free heuristic: who is about to act, and on what.

    score = unit(log(1 + events)) - unit(log(1 + days since the last)) + unit(mean of the 5 nearest texts)

unit is standardisation over the candidates that are asked about together. Shape suffixes: B users, C demands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.baselines.activity import LONG_AGO_DAYS, event_counts, last_days
from model.baselines.nearest_texts import NearestTexts
from model.baselines.protocol import Scores
from model.baselines.training import Training
from model.data import Columns


@dataclass(frozen=True)
class Heuristic:
    texts: NearestTexts

    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        days_B = last_days(users)
        known_B = days_B < LONG_AGO_DAYS
        oldest = days_B[known_B].max(initial=0.0)
        acts_B = unit(np.log1p(event_counts(users))) - unit(np.log1p(np.where(known_B, days_B, oldest)))
        return acts_B[:, None] + unit(self.texts.scores(users, demands))


def fit(training: Training) -> Heuristic:
    return Heuristic(NearestTexts(training.encoder))


def unit(values: Scores) -> Scores:
    """Mean 0 and standard deviation 1 over the users; zeros where all are alike."""
    return np.asarray((values - values.mean(0)) / (values.std(0) + 1e-9))
