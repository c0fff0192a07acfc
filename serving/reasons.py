"""Why a user is in an audience: the texts of the history without which the score would be lower, and by how much.

The effect of a text, on all sentences together, is exact for late interaction and an estimate for the user's vector,
which averages the same texts (model/leave_one_out.py, combining.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.leave_one_out import late_drops, mean_drops, products
from serving.audience import Demand, DemandModel, Reason, Scored
from serving.combining import answered
from serving.history import Event
from serving.question import Asked
from serving.texts import TextTable
from serving.user_features import OnlineFeatures

MOST_REASONS = 3
LEAST_EFFECT = 0.01
"""In log odds. A text that moves a score by less explains nothing."""
MOST_EXPLAINED = 100
"""Reasons are for people who read a list; beyond this many users nobody does."""

Array = NDArray[np.float64]
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Reasons:
    """Of the users of one collection: `vectors` are those of its texts, `gain` is how much a user's vector is their
    mean."""

    model: DemandModel
    vectors: Any
    texts: TextTable
    features: OnlineFeatures
    gain: float

    def of(
        self, users: Sequence[Scored], asked: Sequence[Asked], demands: Sequence[Demand]
    ) -> dict[str, tuple[Reason, ...]]:
        """Per user at most MOST_REASONS texts, the one that moved the score most first."""
        explained = [user for user in users[:MOST_EXPLAINED] if len(user.texts[0])]
        if not explained:
            return {}
        keys = np.concatenate([user.texts[0] for user in explained])
        chosen: list[list[tuple[int, float, float]]] = []
        ends = np.cumsum([len(user.texts[0]) for user in explained])
        parts = [np.split(part, ends[:-1]) for part in (keys, *self._effects(explained, keys, asked, demands))]
        for own, effect, change in zip(*parts, strict=True):
            rows = np.lexsort((own, -effect))[: 2 * MOST_REASONS]
            chosen.append([(int(own[at]), float(effect[at]), float(change[at])) for at in rows])
        known = self.texts.of([key for each in chosen for key, _, _ in each])
        events = self.features.events([user.user_id for user in explained])
        return {
            user.user_id: tuple(
                _reason(known[key], effect, change, [event for event in events[user.user_id] if event[2] == key])
                for key, effect, change in each
                if key in known and effect >= LEAST_EFFECT
            )[:MOST_REASONS]
            for user, each in zip(explained, chosen, strict=True)
        }

    def _effects(
        self, users: Sequence[Scored], keys: NDArray[np.int64], asked: Sequence[Asked], demands: Sequence[Demand]
    ) -> tuple[Array, Array]:
        """How much lower log odds and probability are without each text of each user."""
        weights = np.concatenate([user.texts[1] for user in users])
        lengths = np.array([len(user.texts[0]) for user in users])
        with_all = [np.repeat([user.each[at] for user in users], lengths) for at in range(len(demands))]
        known = np.unique(keys)
        without = []
        for scores, demand in zip(with_all, demands, strict=True):
            late = late_drops(self.model.asked(demand, self.vectors, known), keys, weights, lengths)
            own = products(self.model, self.vectors, known, demand)[np.searchsorted(known, keys)]
            without.append(scores - late - self.gain * mean_drops(own, weights, lengths))
        before, after = (answered(self.model.probabilities, asked, each) for each in (with_all, without))
        return before[0] - after[0], before[1] - after[1]


def _reason(text: str, effect: float, change: float, events: Sequence[Event]) -> Reason:
    if not events:
        return Reason(text, effect, change)
    source, day, _ = max(events, key=lambda event: event[1])
    return Reason(text, effect, change, source, len(events), (_EPOCH + timedelta(days=day)).isoformat())
