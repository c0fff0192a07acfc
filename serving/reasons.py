"""Why a user is in an audience: the texts of the history without which the score would be lower, and by how much.

The effect of a text, on all sentences together, is exact for late interaction and an estimate for the user's vector,
which averages the same texts (model/leave_one_out.py, model/combining.py).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from model.combining import answered
from model.leave_one_out import late_drops, mean_drops
from model.placed import Histories
from serving.audience import Ranked, Reason
from serving.beside import beside
from serving.errors import FeaturesMissing, FeaturesUnreachable
from serving.history import Event
from serving.meeting import Meeting
from serving.question import Asked
from serving.texts import TextTable
from serving.user_features import OnlineFeatures

MOST_REASONS = 3
LEAST_EFFECT = 0.01
"""In log odds. A text that moves a score by less explains nothing."""

_log = logging.getLogger(__name__)
Array = NDArray[np.float64]
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Reasons:
    """Of the users of one collection: `gain` is how much a user's vector is the mean of the user's texts."""

    texts: TextTable
    features: OnlineFeatures
    gain: float

    def of(self, explained: Ranked, asked: Sequence[Asked], meeting: Meeting) -> dict[str, tuple[Reason, ...]]:
        """Per user at most MOST_REASONS texts, the one that moved the score most first."""
        histories = explained.histories
        if not len(histories.place_N):
            return {}
        looked_up = beside(self._events, explained.names)
        chosen = _chosen(histories, *self._effects(explained, asked, meeting))
        known = self.texts.of([key for each in chosen for key, _, _ in each])
        events = looked_up.result()
        return {
            user: tuple(
                _reason(known[key], effect, change, [event for event in events[user] if event[2] == key])
                for key, effect, change in each
                if key in known and effect >= LEAST_EFFECT
            )[:MOST_REASONS]
            for user, each in zip(explained.names, chosen, strict=True)
        }

    def _events(self, names: Sequence[str]) -> dict[str, list[Event]]:
        """What the online store holds of the users; nothing where it cannot be read: a reason is one without it."""
        try:
            return self.features.events(names)
        except (FeaturesMissing, FeaturesUnreachable) as error:
            _log.warning("reasons say neither where nor when: %s", error)
            return {name: [] for name in names}

    def _effects(self, users: Ranked, asked: Sequence[Asked], meeting: Meeting) -> tuple[Array, Array]:
        """How much lower log odds and probability are without each text of each user."""
        histories = users.histories
        lengths, weights = histories.length_B, histories.weight_N
        with_all = np.repeat(users.each, lengths, axis=1)
        without = []
        for at, scores in enumerate(with_all):
            late = late_drops(meeting.asked(at, histories), histories.place_N, weights, lengths)
            means = mean_drops(meeting.products(at, histories), weights, lengths)
            without.append(scores - late - self.gain * means)
        before, after = (answered(meeting.model.probabilities, asked, each) for each in (list(with_all), without))
        return before[0] - after[0], before[1] - after[1]


def _chosen(histories: Histories, effects: Array, changes: Array) -> list[list[tuple[int, float, float]]]:
    """Per user the texts of the greatest effects, more than are told: not every one may be known by its words."""
    owners = np.repeat(np.arange(len(histories)), histories.length_B)
    order = np.lexsort((histories.place_N, -effects, owners))
    ends = np.cumsum(histories.length_B)
    firsts = ends - histories.length_B
    columns = histories.key_V[histories.place_N], effects, changes
    chosen = [order[first:end][: 2 * MOST_REASONS] for first, end in zip(firsts.tolist(), ends.tolist(), strict=True)]
    return [list(zip(*(column[own].tolist() for column in columns), strict=True)) for own in chosen]


def _reason(text: str, effect: float, change: float, events: Sequence[Event]) -> Reason:
    if not events:
        return Reason(text, effect, change)
    source, day, _ = max(events, key=lambda event: event[1])
    return Reason(text, effect, change, source, len(events), (_EPOCH + timedelta(days=day)).isoformat())
