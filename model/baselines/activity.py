"""Recency and frequency: who acted last, who acts most. The sentence is not read.

Shape suffixes: B users, C demands.
"""

from collections.abc import Sequence

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from model.baselines.protocol import Scores
from model.baselines.training import Training
from model.data import Columns
from model.vocabulary import NEVER

LONG_AGO_DAYS = 100_000.0
"""The age of the last event of who never did anything."""


class Recency:
    """Minus the days since the last event."""

    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        return _for_each(-last_days(users), demands)


class Frequency:
    """How many events the history has."""

    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        return _for_each(event_counts(users), demands)


def fit_recency(training: Training) -> Recency:
    del training
    return Recency()


def fit_frequency(training: Training) -> Frequency:
    del training
    return Frequency()


def last_days(users: Columns) -> Scores:
    """[B]: days since the last event of any source."""
    recency_BS = np.stack([users[f"{source}_recency_days"] for source in EVENT_SOURCES], 1).astype(np.float64)
    return np.where(recency_BS == NEVER, LONG_AGO_DAYS, recency_BS).min(1)


def event_counts(users: Columns) -> Scores:
    """[B]: the events of all sources."""
    return np.sum([users[f"{source}_count"] for source in EVENT_SOURCES], axis=0, dtype=np.float64)


def _for_each(score_B: Scores, demands: Sequence[str]) -> Scores:
    return np.repeat(score_B[:, None], len(demands), axis=1)
