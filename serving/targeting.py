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

from model.calibration.size import Expected
from model.leave_one_out import fitted_gain
from serving.audience import (
    Audience,
    Demand,
    DemandModel,
    Member,
    Preview,
    Ranked,
    SeedAnswerer,
    Trait,
)
from serving.beside import beside
from serving.eligibility import Eligibility, Limits
from serving.errors import AudienceTooLarge, AudienceTooSmall, ContradictingSeeds, NoSeeds, UnknownUsers
from serving.expecting import of_everybody, of_sample
from serving.index import MOST_USERS, UserIndex
from serving.meeting import Meeting
from serving.preview import curve, deciles, precision
from serving.question import EXPLAINED, MOST_EXPLAINED, NO_QUESTION, Asked, Question
from serving.ranking import Listed, Ranking
from serving.reading import Reader, Reading
from serving.reasons import Reasons
from serving.remembered import Rows, Users
from serving.rows import Hit, Publication
from serving.telemetry.stages import stage
from serving.texts import TextTable
from serving.user_features import OnlineFeatures
from serving.why import Rest

F = TypeVar("F", Ranked, list[Hit])

NEGATIVES_PER_POSITIVE = 4
POPULATION = 1_000
"""How many users say what is usual: for seeds, for the size of an audience, and for what its members did more."""
FITTED = 300
"""So many of these say how much a user's vector is the mean of the user's texts."""
SAMPLED = 10
"""So many users of a preview are shown."""
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
    rows: Rows
    smallest: int = 0
    """No question may single out fewer users; 0 is no limit."""

    @property
    def day(self) -> date:
        return date.fromisoformat(self.publication.ds)

    @property
    def ranking(self) -> Ranking:
        return Ranking(self.model, self.index, self.publication.collection, self.features, self.rows)

    def target(
        self, question: Question, *, size: int, minimum_probability: float = 0.0, explain: int = EXPLAINED
    ) -> Audience:
        """The `size` likeliest users of those at or above the minimum probability and within the filters; the first of
        them with reasons. Where none are to be explained, the audience is not either."""
        found = self._asked(question, size, minimum_probability)
        why = beside(self._why, found.users) if explain else None
        answer = self._answered(question, found, found.users, explain)
        return replace(answer, expected=found.expected, why=why.result() if why else ())

    def preview(self, question: Question, *, size: int, minimum_probability: float = 0.0) -> Preview:
        """What `target` would answer, in figures and with a sample of the users."""
        found = self._asked(question, size, minimum_probability)
        limits = self._limits(question, found.reading)
        probabilities = found.users.probabilities
        mean, interval = precision(probabilities)
        sample = self._answered(question, found, found.users[:SAMPLED], SAMPLED)
        return Preview(
            audience=replace(sample, expected=found.expected, why=self._why(found.users)),
            size=len(found.users),
            eligible=self.ranking.eligible(limits),
            eligible_is_upper_bound=bool(limits.rules),
            expected_precision=mean,
            expected_precision_interval=interval,
            deciles=deciles(probabilities),
            curve=curve(probabilities, found.expected),
        )

    def _asked(self, question: Question, size: int, minimum: float) -> "_Found":
        """A demand is calibrated while users are searched by its encoding."""
        reading, wanted = self.reader.read(question), max(size, self.smallest)
        limits = self._limits(question, reading)
        said = [sentence.text for sentence in reading.asked]
        with stage("encode"):
            read = self.model.uncalibrated(said, self.day)
        ahead = self.ranking.ahead(reading.asked, read, wanted, limits)
        with stage("calibrate"):
            meeting = self._meeting(self.model.calibrated(said, read, self.day))
        users = self.ranking.best(reading.asked, meeting, wanted, limits, ahead=ahead)
        everybody = self._expected(question, reading, read, meeting, ahead.result() if ahead else None)
        likely = self.many(users.take(np.flatnonzero(users.probabilities >= minimum)))[:size]
        return _Found(reading, meeting, likely, everybody)

    def _meeting(self, demands: Sequence[Demand]) -> Meeting:
        return Meeting(self.model, self.vectors, demands, self.rows.known)

    def many(self, found: F) -> F:
        """All who were found. Raises AudienceTooSmall where that would tell what a few users are, or will do."""
        if len(found) < self.smallest:
            raise AudienceTooSmall(f"fewer than {self.smallest} users meet what was asked.")
        return found

    def _limits(self, question: Question, reading: Reading) -> Limits:
        filters = (*question.filters, *reading.filters)
        return self.eligibility.limits(filters, reading.rules, without=question.exclude_users)

    @stage("reasons")
    def _answered(self, question: Question, found: "_Found", users: Ranked, explain: int) -> Audience:
        reading = found.reading
        return replace(
            self._audience(users, reading.asked, found.meeting, question.demand, explain),
            rewritten=reading.told(self.texts),
            conditions=reading.documents(),
            filters=tuple(dict.fromkeys((*question.filters, *reading.filters))),
        )

    @stage("size")
    def _expected(
        self, question: Question, reading: Reading, read: Sequence[Demand], meeting: Meeting, listed: Listed | None
    ) -> Expected | None:
        """How many users of the index will do it: of one sentence without filters and rules."""
        if (
            len(meeting.demands) != 1
            or reading.asked[0].negated
            or question.filters
            or reading.filters
            or reading.rules
        ):
            return None
        if listed is not None and listed.of is not None:
            return of_everybody(listed.of.scores, read[0], meeting)
        return of_sample(self._usual, self._everybody, meeting)

    def lookalike(
        self,
        positives: Sequence[str],
        *,
        negatives: Sequence[str] = (),
        question: Question = NO_QUESTION,
        size: int,
        explain: int = EXPLAINED,
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
        asked, meeting = [Asked(demand)], self._meeting([self._answering(liked, [*disliked, *drawn], demand)])
        users = self.many(self.ranking.best(asked, meeting, max(size, self.smallest), limits))[:size]
        made = self._audience(users, asked, meeting, question.demand, explain)
        why = self._why(users) if explain else ()
        return replace(made, negatives=tuple(drawn), filters=question.filters, why=why)

    def _others(self, positives: list[str]) -> list[str]:
        wanted = NEGATIVES_PER_POSITIVE * len(positives)
        return self.index.sample(self.publication.collection, wanted, seed=_SEED, without=positives)

    def _answering(self, positives: list[str], negatives: list[str], demand: str) -> Demand:
        liked, disliked = self.rows.of(positives), self.rows.of(negatives)
        if unknown := sorted({*positives, *negatives} - {*liked.names, *disliked.names}):
            told = ", ".join(map(repr, unknown))
            raise UnknownUsers(f"the index {self.publication.collection} holds no user {told}.")
        if not negatives:
            raise NoSeeds("seeds need users to stand apart from, but the index holds no others than the positives.")
        sides = [users.stored() for users in (liked, disliked, self._usual)]
        return self.answer_seeds(self.model, demand, self.day, *sides, self.vectors)

    def warm(self) -> None:
        """Reckons what the first question would have to."""
        assert self._everybody >= 0 and self._rest and self._gain is not None

    @cached_property
    def _everybody(self) -> int:
        """How many users the collection has: like the population, counted once."""
        return self.index.count(self.publication.collection)

    @cached_property
    def _usual(self) -> Users:
        """The population, which is read once: an index does not change before its next publication."""
        return self.rows.of(self.index.sample(self.publication.collection, POPULATION, seed=_SEED))

    @cached_property
    def _rest(self) -> Rest:
        return Rest(self.texts, self._usual.names, self._usual.histories)

    @cached_property
    def _gain(self) -> float:
        vectors, texts = self._usual.stored()
        return fitted_gain(self.model, self.vectors, vectors[:FITTED], texts[:FITTED])

    def _why(self, users: Ranked) -> tuple[Trait, ...]:
        return self._rest.traits(users.names, users.histories)

    def _audience(self, users: Ranked, asked: Sequence[Asked], meeting: Meeting, demand: str, explain: int) -> Audience:
        explained = users[: min(explain, MOST_EXPLAINED)]
        reasons = Reasons(self.texts, self.features, self._gain).of(explained, asked, meeting)
        own = zip(users.names, users.scores.tolist(), users.probabilities.tolist(), strict=True)
        members = (Member(user, score, probability, reasons.get(user, ())) for user, score, probability in own)
        return Audience(
            users=tuple(members),
            demand=demand,
            model_version=self.publication.model_version,
            collection=self.publication.collection,
            ds=self.publication.ds,
            template_version=self.publication.template_version,
            default_filters=self.eligibility.default,
        )


@dataclass(frozen=True)
class _Found:
    """The users of a question, best first, and how many of everybody will do it."""

    reading: Reading
    meeting: Meeting
    users: Ranked
    expected: Expected | None
