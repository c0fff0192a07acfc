"""Audiences: from a sentence, or from seed users, to users with scores, probabilities and reasons.

A sentence is answered in two steps: the index finds the users whose vectors have the highest inner products with the
sentence's, and the model scores these again with the texts of their histories. The score is the log odds that the user
does what was asked within the model's horizon. Seeds are answered in the same way, by the sentence as they correct it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.calibration.size import Expected, expected
from serving.errors import AudienceTooLarge, ContradictingSeeds, InvalidRequest, NoSeeds, UnknownUsers
from serving.index import MOST_USERS, Hit, Publication, UserIndex, WeightedTexts
from serving.reasons import Histories, Reason
from serving.texts import TextTable
from serving.user_features import OnlineFeatures

NEGATIVES_PER_POSITIVE = 4
MOST_EXPLAINED = 100
"""Reasons are for people who read a list; beyond this many users nobody does."""
MOST_SEEDS_READ = 20
"""Without a demand, the histories of this many positives say what a reason should be near to."""
POPULATION = 1_000
"""How many users say what is usual: when seeds are answered, and when the size of an audience is told."""
_SEED = 0

SHORTLIST = 4
FEWEST_LISTED = 1_000
"""For an audience of k users the index finds SHORTLIST k, at least FEWEST_LISTED, for the model to score again."""

Vectors = NDArray[np.float32]


class Demand(Protocol):
    """A sentence as a model reads it."""

    @property
    def vector(self) -> Vectors: ...

    @property
    def spread(self) -> float | None: ...


class DemandModel(Protocol):
    """What serving needs of a model; see model.found.FoundModel."""

    @property
    def version(self) -> str: ...

    def read_demands(self, demands: Sequence[str], day: date) -> Sequence[Demand]: ...

    def text_vectors(self, cache: Path) -> Any: ...

    def rescore(
        self, scores: NDArray[Any], texts: Sequence[WeightedTexts], vectors: Any, demand: Any
    ) -> NDArray[np.float64]: ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors: ...

    def probabilities(self, scores: NDArray[Any]) -> NDArray[Any]: ...


Stored = tuple[Vectors, list[WeightedTexts]]
"""What the index holds of some users."""

SeedAnswerer = Callable[..., Demand]
"""`model.few_shot.answer_seeds(model, demand, day, positives, negatives, population, vectors)`, users as Stored."""


@dataclass(frozen=True)
class Member:
    user_id: str
    score: float
    probability: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Audience:
    """The users, best first, and what answered. `negatives` are the seeds that were drawn, if any were. `expected` says
    how many users of the whole index will do it; None where the model is not calibrated, or for seeds."""

    users: tuple[Member, ...]
    demand: str
    model_version: str
    collection: str
    ds: str
    template_version: int
    negatives: tuple[str, ...] = ()
    expected: Expected | None = None


@dataclass(frozen=True)
class Targeting:
    """One model and the collection that it made: what answers until the next publication.

    `vectors` is what the model's `text_vectors` gave: those of every text of the collection's users.
    """

    model: DemandModel
    index: UserIndex
    publication: Publication
    features: OnlineFeatures
    texts: TextTable
    vectors: Any
    answer_seeds: SeedAnswerer

    @property
    def day(self) -> date:
        return date.fromisoformat(self.publication.ds)

    def target(self, demand: str, *, size: int, minimum_probability: float = 0.0) -> Audience:
        """The `size` likeliest users of those at or above the minimum probability."""
        if not demand.strip():
            raise InvalidRequest("a demand must be a sentence, found an empty one.")
        query = self.model.read_demands([demand], self.day)[0]
        hits = self._ranked(query, size)
        probabilities = self._probabilities(hits)
        likely = [hit for hit in hits if probabilities[hit.user_id] >= minimum_probability]
        histories = self._histories([hit.user_id for hit in likely])
        towards = self.model.encode_texts([demand])[0]
        return replace(self._audience(likely, histories, towards, demand), expected=self._expected(query))

    def _ranked(self, query: Demand, size: int) -> list[Hit]:
        """The `size` users of the highest scores, best first, ties by user_id."""
        name = self.publication.collection
        if size > MOST_USERS:
            raise AudienceTooLarge(f"an audience holds at most {MOST_USERS} users, asked for {size}.")
        listed = self.index.search(name, query.vector, min(MOST_USERS, max(FEWEST_LISTED, SHORTLIST * size)))
        texts = self.index.weighted_texts(name, [hit.user_id for hit in listed])
        known = [hit for hit in listed if hit.user_id in texts]
        scores = np.array([hit.score for hit in known])
        scores = self.model.rescore(scores, [texts[hit.user_id] for hit in known], self.vectors, query)
        hits = [Hit(hit.user_id, float(score)) for hit, score in zip(known, scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.user_id))[:size]

    def _expected(self, query: Demand) -> Expected | None:
        """How many users of the index will do it, by a sample of them."""
        if query.spread is None:
            return None
        name = self.publication.collection
        users = self.index.sample(name, POPULATION, seed=_SEED)
        if not users:
            return None
        vectors, texts = self._stored(users)
        products = vectors.astype(np.float64) @ query.vector.astype(np.float64)
        scores = self.model.rescore(products, texts, self.vectors, query)
        return expected(self.model.probabilities(scores), self.index.count(name), query.spread)

    def lookalike(
        self, positives: Sequence[str], *, negatives: Sequence[str] = (), demand: str = "", size: int
    ) -> Audience:
        """The `size` users nearest to the positives and away from the negatives, without the seeds themselves.

        Without negatives, random users take their place. Raises UnknownUsers naming the seeds that have no vector.
        """
        liked, disliked = list(dict.fromkeys(positives)), list(dict.fromkeys(negatives))
        if not liked:
            raise NoSeeds("a lookalike audience needs positive seeds, found none.")
        if both := sorted(set(liked) & set(disliked)):
            raise ContradictingSeeds(f"a seed is either positive or negative, found as both: {both}.")
        drawn = [] if disliked else self._others(liked)
        given = {*liked, *disliked}
        if size + len(given) > MOST_USERS:
            raise AudienceTooLarge(f"an audience and its seeds are at most {MOST_USERS} users, asked for {size}.")
        query = self._answered(liked, [*disliked, *drawn], demand)
        found = self._ranked(query, size + len(given))
        hits = [hit for hit in found if hit.user_id not in given][:size]
        histories = self._histories([hit.user_id for hit in hits], also=liked[:MOST_SEEDS_READ])
        towards = self.model.encode_texts([demand])[0] if demand.strip() else histories.mean(liked[:MOST_SEEDS_READ])
        return self._audience(hits, histories, towards, demand, negatives=drawn)

    def _others(self, positives: list[str]) -> list[str]:
        wanted = NEGATIVES_PER_POSITIVE * len(positives)
        return self.index.sample(self.publication.collection, wanted, seed=_SEED, without=positives)

    def _answered(self, positives: list[str], negatives: list[str], demand: str) -> Demand:
        name = self.publication.collection
        stored = self.index.vectors(name, [*positives, *negatives])
        if unknown := [user for user in (*positives, *negatives) if user not in stored]:
            raise UnknownUsers(f"the index {name} holds no user {', '.join(map(repr, unknown))}.")
        if not negatives:
            raise NoSeeds("seeds need users to stand apart from, but the index holds no others than the positives.")
        usual = self.index.sample(name, POPULATION, seed=_SEED)
        sides = [self._stored(users) for users in (positives, negatives, usual)]
        return self.answer_seeds(self.model, demand, self.day, *sides, self.vectors)

    def _stored(self, users: list[str]) -> Stored:
        vectors = self.index.vectors(self.publication.collection, users)
        texts = self.index.weighted_texts(self.publication.collection, users)
        return np.stack([vectors[user] for user in users]), [texts[user] for user in users]

    def _histories(self, users: Sequence[str], *, also: Sequence[str] = ()) -> Histories:
        shown = [*users[:MOST_EXPLAINED], *also]
        return Histories(shown, self.features, self.texts, lambda texts: self.model.encode_texts(texts))

    def _probabilities(self, hits: Sequence[Hit]) -> dict[str, float]:
        found = self.model.probabilities(np.array([hit.score for hit in hits]))
        return {hit.user_id: float(p) for hit, p in zip(hits, found, strict=True)}

    def _audience(
        self,
        hits: Sequence[Hit],
        histories: Histories,
        towards: Vectors | None,
        demand: str,
        *,
        negatives: Sequence[str] = (),
    ) -> Audience:
        reasons = histories.reasons(towards) if towards is not None else {}
        probabilities = self._probabilities(hits)
        members = (
            Member(hit.user_id, hit.score, probabilities[hit.user_id], reasons.get(hit.user_id, ())) for hit in hits
        )
        return Audience(
            users=tuple(members),
            demand=demand,
            model_version=self.publication.model_version,
            collection=self.publication.collection,
            ds=self.publication.ds,
            template_version=self.publication.template_version,
            negatives=tuple(negatives),
        )
