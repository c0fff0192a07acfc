"""Audiences: from a sentence, or from seed users, to users with scores, probabilities and reasons.

A sentence is answered in two steps: the index finds the users whose vectors have the highest inner products with the
sentence's, and the model scores these again with the texts of their histories. The score is the log odds that the user
does what was asked within the model's horizon. Seeds are answered in the same way, by the sentence as they correct it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from model.calibration.size import Expected, expected
from model.leave_one_out import fitted_gain
from model.scores import inner_products
from serving.audience import (
    Audience,
    Demand,
    DemandModel,
    History,
    Member,
    Preview,
    Rewritten,
    Scored,
    SeedAnswerer,
    Stored,
    Trait,
)
from serving.eligibility import Eligibility, Limits
from serving.errors import AudienceTooLarge, AudienceTooSmall, ContradictingSeeds, NoSeeds, UnknownUsers
from serving.index import MOST_USERS, UserIndex
from serving.preview import curve, deciles, precision
from serving.question import NO_QUESTION, Asked, Question
from serving.ranking import Ranking
from serving.reading import Reader, Reading
from serving.reasons import Reasons
from serving.remembered import Remembered
from serving.rows import Hit, Publication
from serving.telemetry.stages import stage
from serving.texts import TextTable
from serving.user_features import OnlineFeatures
from serving.why import Rest

F = TypeVar("F", Scored, Hit)

NEGATIVES_PER_POSITIVE = 4
POPULATION = 1_000
"""How many users say what is usual: for seeds, for the size of an audience, and for what its members did more."""
FITTED = 300
"""So many of these say how much a user's vector is the mean of the user's texts."""
SAMPLED = 10
"""So many users of a preview are shown."""
TEXTS_SHOWN = 5
_SEED = 0


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
    reader: Reader
    eligibility: Eligibility
    rows: Remembered
    smallest: int = 0
    """No question may single out fewer users; 0 is no limit."""

    @property
    def day(self) -> date:
        return date.fromisoformat(self.publication.ds)

    @property
    def ranking(self) -> Ranking:
        return Ranking(self.model, self.index, self.publication.collection, self.features, self.vectors, self.rows)

    def target(self, question: Question, *, size: int, minimum_probability: float = 0.0) -> Audience:
        """The `size` likeliest users of those at or above the minimum probability and within the filters."""
        reading, demands, likely = self._asked(question, size, minimum_probability)
        answer = self._answered(question, reading, demands, likely)
        return replace(answer, expected=self._expected(question, reading, demands), why=self._why(likely))

    def preview(self, question: Question, *, size: int, minimum_probability: float = 0.0) -> Preview:
        """What `target` would answer, in figures and with a sample of the users."""
        reading, demands, likely = self._asked(question, size, minimum_probability)
        limits = self._limits(question, reading)
        probabilities = np.array([user.probability for user in likely])
        mean, interval = precision(probabilities)
        everybody = self._expected(question, reading, demands)
        return Preview(
            audience=replace(
                self._answered(question, reading, demands, likely[:SAMPLED]), expected=everybody, why=self._why(likely)
            ),
            size=len(likely),
            eligible=self.index.count(self.publication.collection, limits.condition),
            eligible_is_upper_bound=bool(limits.rules),
            expected_precision=mean,
            expected_precision_interval=interval,
            deciles=deciles(probabilities),
            curve=curve(probabilities, everybody),
        )

    def _asked(self, question: Question, size: int, minimum: float) -> tuple[Reading, Sequence[Demand], list[Scored]]:
        reading = self.reader.read(question)
        limits = self._limits(question, reading)
        with stage("encode"):
            demands = self.model.read_demands([sentence.text for sentence in reading.asked], self.day)
        found = self.ranking.best(reading.asked, demands, max(size, self.smallest), limits)
        return reading, demands, self.many([user for user in found if user.probability >= minimum])[:size]

    def many(self, found: list[F]) -> list[F]:
        """All who were found. Raises AudienceTooSmall where that would tell what a few users are, or will do."""
        if len(found) < self.smallest:
            raise AudienceTooSmall(f"fewer than {self.smallest} users meet what was asked.")
        return found

    def _limits(self, question: Question, reading: Reading) -> Limits:
        filters = (*question.filters, *reading.filters)
        return self.eligibility.limits(filters, reading.rules, without=question.exclude_users)

    @stage("reasons")
    def _answered(
        self, question: Question, reading: Reading, demands: Sequence[Demand], users: Sequence[Scored]
    ) -> Audience:
        return replace(
            self._audience(users, reading.asked, demands, question.demand),
            rewritten=Rewritten(reading.asked, reading.said(), self._history(reading), reading.rest, reading.warnings),
            conditions=reading.documents(),
            filters=tuple(dict.fromkeys((*question.filters, *reading.filters))),
        )

    def _history(self, reading: Reading) -> tuple[History, ...]:
        rules = [rule for group in reading.rules for rule in group.rules]
        known = self.texts.of([key for rule in rules for key in rule.keys])
        texts = [sorted((known[key] for key in rule.keys if key in known), key=lambda t: (len(t), t)) for rule in rules]
        return tuple(
            History(rule.name, tuple(own[:TEXTS_SHOWN]), len(rule.keys)) for rule, own in zip(rules, texts, strict=True)
        )

    @stage("size")
    def _expected(self, question: Question, reading: Reading, demands: Sequence[Demand]) -> Expected | None:
        """How many users of the index will do it, by a sample of them; of one sentence without filters and rules."""
        if len(demands) != 1 or reading.asked[0].negated or question.filters or reading.filters or reading.rules:
            return None
        (demand,), name = demands, self.publication.collection
        if demand.spread is None or not self._usual[0]:
            return None
        vectors, texts = self._usual[1]
        scores = self.model.rescore(inner_products(vectors, demand.vector), texts, self.vectors, demand)
        return expected(self.model.probabilities(scores), self.index.count(name), demand.spread)

    def lookalike(
        self, positives: Sequence[str], *, negatives: Sequence[str] = (), question: Question = NO_QUESTION, size: int
    ) -> Audience:
        """The `size` users nearest to the positives and away from the negatives, without the seeds themselves.

        Without negatives, random users take their place. Raises UnknownUsers naming the seeds that have no vector.
        """
        liked, disliked = list(dict.fromkeys(positives)), list(dict.fromkeys(negatives))
        if not liked:
            raise NoSeeds("a lookalike audience needs positive seeds, found none.")
        if both := sorted(set(liked) & set(disliked)):
            raise ContradictingSeeds(f"a seed is either positive or negative, found as both: {both}.")
        demand = question.demand.strip()
        self.reader.check(demand)
        drawn = [] if disliked else self._others(liked)
        given = [*liked, *disliked]
        if size + len(given) > MOST_USERS:
            raise AudienceTooLarge(f"an audience and its seeds are at most {MOST_USERS} users, asked for {size}.")
        limits = self.eligibility.limits(question.filters, without=[*given, *question.exclude_users])
        asked, query = [Asked(demand)], [self._answering(liked, [*disliked, *drawn], demand)]
        users = self.many(self.ranking.best(asked, query, max(size, self.smallest), limits))[:size]
        made = self._audience(users, asked, query, question.demand)
        return replace(made, negatives=tuple(drawn), filters=question.filters, why=self._why(users))

    def _others(self, positives: list[str]) -> list[str]:
        wanted = NEGATIVES_PER_POSITIVE * len(positives)
        return self.index.sample(self.publication.collection, wanted, seed=_SEED, without=positives)

    def _answering(self, positives: list[str], negatives: list[str], demand: str) -> Demand:
        name = self.publication.collection
        stored = self.index.vectors(name, [*positives, *negatives])
        if unknown := [user for user in (*positives, *negatives) if user not in stored]:
            raise UnknownUsers(f"the index {name} holds no user {', '.join(map(repr, unknown))}.")
        if not negatives:
            raise NoSeeds("seeds need users to stand apart from, but the index holds no others than the positives.")
        sides = [*(self._stored(users) for users in (positives, negatives)), self._usual[1]]
        return self.answer_seeds(self.model, demand, self.day, *sides, self.vectors)

    @cached_property
    def _usual(self) -> tuple[list[str], Stored]:
        """The population, which is read once: an index does not change before its next publication."""
        users = self.index.sample(self.publication.collection, POPULATION, seed=_SEED)
        return users, self._stored(users) if users else (np.zeros((0, self.publication.dimension), np.float32), [])

    @cached_property
    def _rest(self) -> Rest:
        users, (_, texts) = self._usual
        return Rest(self.texts, {user: keys for user, (keys, _) in zip(users, texts, strict=True)})

    @cached_property
    def _gain(self) -> float:
        _, (vectors, texts) = self._usual
        return fitted_gain(self.model, self.vectors, vectors[:FITTED], texts[:FITTED])

    def _why(self, users: Sequence[Scored]) -> tuple[Trait, ...]:
        return self._rest.traits({user.user_id: user.texts[0] for user in users})

    def _stored(self, users: list[str]) -> Stored:
        vectors, texts = self.rows.vectors(users), self.rows.weighted_texts(users)
        return np.stack([vectors[user] for user in users]), [texts[user] for user in users]

    def _audience(
        self, users: Sequence[Scored], asked: Sequence[Asked], demands: Sequence[Demand], demand: str
    ) -> Audience:
        reasons = Reasons(self.model, self.vectors, self.texts, self.features, self._gain).of(users, asked, demands)
        members = (Member(u.user_id, u.score, u.probability, reasons.get(u.user_id, ())) for u in users)
        return Audience(
            users=tuple(members),
            demand=demand,
            model_version=self.publication.model_version,
            collection=self.publication.collection,
            ds=self.publication.ds,
            template_version=self.publication.template_version,
            default_filters=self.eligibility.default,
        )
