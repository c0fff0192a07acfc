"""From sentences to users in order: the index finds a shortlist by vectors, the model scores it by histories too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.audience import Demand, DemandModel, Scored, Vectors
from serving.combining import answered
from serving.eligibility import Limits
from serving.errors import AudienceTooLarge
from serving.index import MOST_USERS, UserIndex
from serving.question import Asked
from serving.remembered import Remembered
from serving.rows import Hit
from serving.telemetry.stages import stage
from serving.user_features import OnlineFeatures

SHORTLIST = 4
FEWEST_LISTED = 1_000
"""For an audience of k users the index finds SHORTLIST k, at least FEWEST_LISTED, for the model to score again."""
CHECKED = 500
"""So many users' events are read at once."""


@dataclass(frozen=True)
class Ranking:
    """The users of one collection, ranked by one model."""

    model: DemandModel
    index: UserIndex
    collection: str
    features: OnlineFeatures
    vectors: Any
    rows: Remembered

    def best(self, asked: Sequence[Asked], demands: Sequence[Demand], size: int, limits: Limits) -> list[Scored]:
        """The `size` users of the highest scores within the limits, best first, ties by user_id.

        `demands` are the sentences as the model reads them. Where rules leave too few of the shortlist, a longer one is
        taken, up to what Milvus returns.
        """
        if size > MOST_USERS:
            raise AudienceTooLarge(f"an audience holds at most {MOST_USERS} users, asked for {size}.")
        length = min(MOST_USERS, max(FEWEST_LISTED, SHORTLIST * size))
        while True:
            listed, complete = self._listed(asked, demands, length, limits)
            found = self._kept(self._scored(asked, demands, listed), size, limits)
            if len(found) == size or complete or length == MOST_USERS or not limits.rules:
                return found
            length = min(MOST_USERS, length * 4)

    def _listed(
        self, asked: Sequence[Asked], demands: Sequence[Demand], length: int, limits: Limits
    ) -> tuple[list[Hit], bool]:
        """A shortlist with the inner products of a single sentence, and whether it is everybody."""
        vectors = [-d.vector if a.negated else d.vector for a, d in zip(asked, demands, strict=True)]
        searches: list[Vectors] = vectors if len(vectors) == 1 else [*vectors, np.mean(vectors, axis=0)]
        hits: dict[str, Hit] = {}
        fewest = length
        for vector in searches:
            found = self.index.search(self.collection, vector, length, limits.condition, vectors_of=self.rows.vectors)
            fewest = min(fewest, len(found))
            hits |= {hit.user_id: hit for hit in found}
        return list(hits.values()), fewest < length

    @stage("rerank")
    def _scored(self, asked: Sequence[Asked], demands: Sequence[Demand], listed: Sequence[Hit]) -> list[Scored]:
        texts = self.rows.weighted_texts([hit.user_id for hit in listed])
        known = [hit for hit in listed if hit.user_id in texts]
        if not known:
            return []
        own = [texts[hit.user_id] for hit in known]
        each = [
            self.model.rescore(products, own, self.vectors, demand)
            for products, demand in zip(self._products(asked, demands, known), demands, strict=True)
        ]
        scores, probabilities = answered(self.model.probabilities, asked, each)
        columns = zip(known, scores.tolist(), probabilities.tolist(), zip(*each, strict=True), own, strict=True)
        ranked = [Scored(hit.user_id, *rest) for hit, *rest in columns]
        return sorted(ranked, key=lambda user: (-user.score, user.user_id))

    def _products(
        self, asked: Sequence[Asked], demands: Sequence[Demand], known: Sequence[Hit]
    ) -> Iterator[NDArray[np.float64]]:
        if len(asked) == 1 and not asked[0].negated:
            yield np.array([hit.score for hit in known])
            return
        stored = self.rows.vectors([hit.user_id for hit in known])
        users = np.stack([stored[hit.user_id] for hit in known]).astype(np.float64)
        for demand in demands:
            yield users @ demand.vector.astype(np.float64)

    def _kept(self, ranked: Sequence[Scored], size: int, limits: Limits) -> list[Scored]:
        """The first `size` who meet the rules."""
        if not limits.rules:
            return list(ranked[:size])
        kept: list[Scored] = []
        for start in range(0, len(ranked), CHECKED):
            some = ranked[start : start + CHECKED]
            events = self.features.events([user.user_id for user in some])
            kept += [user for user in some if all(rule.holds(events[user.user_id]) for rule in limits.rules)]
            if len(kept) >= size:
                break
        return kept[:size]
