"""From sentences to users in order: whoever may be among the best is listed, and scored by the model by vectors and
texts. Where all users lie in memory nearly their scores make the list; else the index does, by vectors."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.combining import answered
from model.scores import inner_products
from serving.audience import Demand, DemandModel, Ranked, Vectors
from serving.beside import beside
from serving.eligibility import Limits
from serving.errors import AudienceTooLarge
from serving.index import MOST_USERS, UserIndex
from serving.meeting import Meeting
from serving.nearly import Nearly
from serving.question import Asked
from serving.remembered import Everybody, Rows, Users
from serving.telemetry.stages import stage
from serving.user_features import OnlineFeatures

SHORTLIST, BY_VECTORS = 4, 16
FEWEST_LISTED = 1_000
"""Where k users are asked for, SHORTLIST k are looked at where rules may leave fewer, and BY_VECTORS k where the index
lists them; at least FEWEST_LISTED."""
LONGER = 4
"""Where too few of a list are left, one so many times as long is tried."""
UNSURE = 2_000
"""To score so many more than are asked for costs as much as to read all histories for a shorter list."""
CHECKED = 500
"""So many users' events are read at once."""


@dataclass(frozen=True)
class Listed:
    """A shortlist, and whether it is everybody within the limits; from scores of everybody, where all lie in memory."""

    names: list[str]
    complete: bool
    of: Nearly | None = None
    users: Users | None = None
    """Those of these names, where they are read already."""


@dataclass(frozen=True)
class Ranking:
    """The users of one collection."""

    model: DemandModel
    index: UserIndex
    collection: str
    features: OnlineFeatures
    rows: Rows

    def ahead(
        self, asked: Sequence[Asked], demands: Sequence[Demand], size: int, limits: Limits
    ) -> "Future[Listed] | None":
        """Begins the search for what was not calibrated yet: of one sentence, that lists the same users. None where it
        would not."""
        if len(asked) != 1 or size > MOST_USERS:
            return None
        length = self._length(size, limits)
        return beside(lambda: self._read(self._listed(asked, demands, length, limits), demands[0]))

    def best(
        self,
        asked: Sequence[Asked],
        meeting: Meeting,
        size: int,
        limits: Limits,
        *,
        ahead: "Future[Listed] | None" = None,
    ) -> Ranked:
        """The `size` users of the highest scores within the limits, best first, ties by user_id.

        The meeting's demands are the sentences as the model reads them. Where rules leave too few of the shortlist, a
        longer one is taken, up to what Milvus returns.
        """
        if size > MOST_USERS:
            raise AudienceTooLarge(f"an audience holds at most {MOST_USERS} users, asked for {size}.")
        length = self._length(size, limits)
        while True:
            listed = ahead.result() if ahead else self._listed(asked, meeting.demands, length, limits)
            users = listed.users or self.rows.of(listed.names)
            found = self._ranked(asked, meeting, users, None if limits.rules else size)
            found = self._kept(found, size, limits)
            if len(found) == size or listed.complete or length == MOST_USERS or not limits.rules:
                return found
            length, ahead = min(MOST_USERS, LONGER * length), None

    def _length(self, size: int, limits: Limits) -> int:
        """How many are listed: in memory, without rules, no more than are asked for."""
        if self.rows.everybody is None:
            return _longer(size, BY_VECTORS)
        return _longer(size, SHORTLIST) if limits.rules else size

    def _listed(self, asked: Sequence[Asked], demands: Sequence[Demand], length: int, limits: Limits) -> Listed:
        everybody = self.rows.everybody
        if everybody is None:
            return self._nearest(asked, demands, length, limits)
        nearly = Nearly(everybody, asked, demands, self.model.probabilities)
        return self._best(nearly, self._within(everybody, limits), length)

    def eligible(self, limits: Limits) -> int:
        """How many users meet the limits but for their rules."""
        everybody = self.rows.everybody
        if everybody is None:
            return self.index.count(self.collection, limits.condition)
        return len(self._within(everybody, limits))

    def _best(self, nearly: Nearly, within: NDArray[np.int64], length: int) -> Listed:
        names = nearly.everybody.names
        best = nearly.best(within, length, min(length + UNSURE, MOST_USERS))
        return Listed([names[row] for row in best.tolist()], length >= len(within), nearly)

    @stage("search")
    def _within(self, everybody: Everybody, limits: Limits) -> NDArray[np.int64]:
        return everybody.within(limits)

    def _nearest(self, asked: Sequence[Asked], demands: Sequence[Demand], length: int, limits: Limits) -> Listed:
        vectors = [-d.vector if a.negated else d.vector for a, d in zip(asked, demands, strict=True)]
        searches: list[Vectors] = vectors if len(vectors) == 1 else [*vectors, np.mean(vectors, axis=0)]
        found = [self.index.nearest(self.collection, vector, length, limits.condition) for vector in searches]
        names = list(dict.fromkeys(user for users in found for user in users))
        return Listed(names, min(map(len, found)) < length)

    @stage("rerank")
    def _read(self, listed: Listed, demand: Demand) -> Listed:
        """With the users, and with how near their texts are to a demand that is yet to be calibrated."""
        users = self.rows.of(listed.names)
        if self.rows.known is not None and users.histories.key_V is self.rows.known.key_V:
            self.rows.known.asked(demand, users.histories.place_N)
        return replace(listed, users=users)

    @stage("rerank")
    def _ranked(self, asked: Sequence[Asked], meeting: Meeting, users: Users, size: int | None) -> Ranked:
        """The `size` best of these users; None takes all."""
        histories = users.histories
        if not users.names:
            return Ranked([], *(np.zeros(0),) * 2, np.zeros((len(asked), 0)), histories, np.zeros(0, np.int64))
        each = [
            histories.scores(meeting.asked(at, histories), inner_products(users.vectors, demand.vector))
            for at, demand in enumerate(meeting.demands)
        ]
        scores, probabilities = answered(self.model.probabilities, asked, each)
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


def _longer(length: int, times: int) -> int:
    return min(MOST_USERS, max(FEWEST_LISTED, times * length))


def _order(names: Sequence[str], scores: NDArray[np.float64], size: int | None) -> NDArray[np.int64]:
    """The rows of the `size` highest scores, highest first, ties by name."""
    rows = np.arange(len(scores))
    if size is not None and size < len(scores):
        rows = np.flatnonzero(scores >= np.partition(scores, -size)[-size])
    by_name = np.array([names[row] for row in rows.tolist()])
    return rows[np.lexsort((by_name, -scores[rows]))][:size]
