"""From sentences to users in order: a shortlist is scored by the model by vectors and texts. It is found in memory, by
estimates of these scores; by the index, by vectors, where not all users lie in memory; and by both under a filter."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.scores import inner_products
from serving.audience import Demand, Ranked, Vectors
from serving.beside import beside
from serving.combining import answered
from serving.eligibility import Limits
from serving.errors import AudienceTooLarge
from serving.index import MOST_USERS, UserIndex
from serving.meeting import Meeting
from serving.question import Asked
from serving.remembered import Listed, Rows
from serving.telemetry.stages import stage
from serving.user_features import OnlineFeatures

SHORTLIST, ESTIMATED = 4, 2
FEWEST_LISTED = 1_000
"""For an audience of k users SHORTLIST k are found by their vectors and ESTIMATED k by their estimated scores, at least
FEWEST_LISTED, for the model to score again."""
CHECKED = 500
"""So many users' events are read at once."""


@dataclass(frozen=True)
class Begun:
    """A search under way: in memory by estimated scores, and in the index by vectors."""

    estimated: "Future[Listed]"
    by_vectors: "Future[Listed] | None"

    def found(self) -> Listed:
        if self.by_vectors is None:
            return self.estimated.result()
        users, complete = self.by_vectors.result()
        return users if complete else list(dict.fromkeys([*users, *self.estimated.result()[0]])), complete


@dataclass(frozen=True)
class Ranking:
    """The users of one collection."""

    index: UserIndex
    collection: str
    features: OnlineFeatures
    rows: Rows

    def ahead(self, asked: Sequence[Asked], demands: Sequence[Demand], size: int, limits: Limits) -> Begun | None:
        """Begins the search for what was not calibrated yet: of one sentence, that lists the same users. None where it
        would not."""
        if len(asked) != 1 or size > MOST_USERS:
            return None
        return self._begun(asked, demands, _length(size), limits)

    def best(
        self,
        asked: Sequence[Asked],
        meeting: Meeting,
        size: int,
        limits: Limits,
        *,
        ahead: Begun | None = None,
    ) -> Ranked:
        """The `size` users of the highest scores within the limits, best first, ties by user_id.

        The meeting's demands are the sentences as the model reads them. Where rules leave too few of the shortlist, a
        longer one is taken, up to what Milvus returns.
        """
        if size > MOST_USERS:
            raise AudienceTooLarge(f"an audience holds at most {MOST_USERS} users, asked for {size}.")
        length = _length(size)
        begun = ahead
        while True:
            users, complete = (begun or self._begun(asked, meeting.demands, length, limits)).found()
            found = self._ranked(asked, meeting, users, None if limits.rules else size)
            found = self._kept(found, size, limits)
            if len(found) == size or complete or length == MOST_USERS or not limits.rules:
                return found
            length, begun = min(MOST_USERS, length * 4), None

    def _begun(self, asked: Sequence[Asked], demands: Sequence[Demand], length: int, limits: Limits) -> Begun:
        given = asked, demands, length, limits
        in_memory = self.rows.everybody and not limits.condition
        return Begun(beside(self._likely, *given), None if in_memory else beside(self._listed, *given))

    def _listed(self, asked: Sequence[Asked], demands: Sequence[Demand], length: int, limits: Limits) -> Listed:
        vectors = [-d.vector if a.negated else d.vector for a, d in zip(asked, demands, strict=True)]
        searches: list[Vectors] = vectors if len(vectors) == 1 else [*vectors, np.mean(vectors, axis=0)]
        found = [self.index.nearest(self.collection, vector, length, limits.condition) for vector in searches]
        return list(dict.fromkeys(user for users in found for user in users)), min(map(len, found)) < length

    @stage("search")
    def _likely(self, asked: Sequence[Asked], demands: Sequence[Demand], length: int, limits: Limits) -> Listed:
        users, complete = self.rows.likeliest(asked, demands, length * ESTIMATED // SHORTLIST)
        return self.index.meeting(self.collection, users, limits.condition), complete

    @stage("rerank")
    def _ranked(self, asked: Sequence[Asked], meeting: Meeting, listed: list[str], size: int | None) -> Ranked:
        """The `size` best of the listed users; None takes all."""
        users = self.rows.of(listed)
        histories = users.histories
        if not users.names:
            return Ranked([], *(np.zeros(0),) * 2, np.zeros((len(asked), 0)), histories, np.zeros(0, np.int64))
        each = [
            histories.scores(meeting.asked(at, histories), inner_products(users.vectors, demand.vector))
            for at, demand in enumerate(meeting.demands)
        ]
        scores, probabilities = answered(meeting.model.probabilities, asked, each)
        everybody = Ranked(users.names, scores, probabilities, np.stack(each), histories, np.arange(len(scores)))
        return everybody.take(_order(users.names, scores, size))

    def _kept(self, ranked: Ranked, size: int, limits: Limits) -> Ranked:
        """The first `size` who meet the rules."""
        if not limits.rules:
            return ranked[:size]
        kept: list[int] = []
        for start in range(0, len(ranked), CHECKED):
            some = ranked.names[start : start + CHECKED]
            events = self.features.events(some)
            kept += [
                start + at for at, user in enumerate(some) if all(rule.holds(events[user]) for rule in limits.rules)
            ]
            if len(kept) >= size:
                break
        return ranked.take(np.array(kept[:size], np.int64))


def _length(size: int) -> int:
    return min(MOST_USERS, max(FEWEST_LISTED, SHORTLIST * size))


def _order(names: Sequence[str], scores: NDArray[np.float64], size: int | None) -> NDArray[np.int64]:
    """The rows of the `size` highest scores, highest first, ties by name."""
    rows = np.arange(len(scores))
    if size is not None and size < len(scores):
        rows = np.flatnonzero(scores >= np.partition(scores, -size)[-size])
    own = scores.tolist()
    return np.array(sorted(rows.tolist(), key=lambda row: (-own[row], names[row]))[:size], np.int64)
