"""Demands whose rewriting is known: conditions are drawn first, and a demand is phrased from them (stage B).

The draws depend on the lake, the phrasings and the seed alone.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TypeVar

from model.rewriting.document import (
    AND,
    ANY,
    BETWEEN,
    FUTURE,
    OR,
    PAST,
    Amount,
    Behaviour,
    Comparison,
    Condition,
    Profile,
    Rewritten,
    Sentence,
    Window,
)
from model.rewriting.lake import KnownLake
from model.rewriting.offline import rendered
from model.rewriting.phrases import AGE_COLUMNS, GENDER_COLUMNS, GENDERS, PLACE_COLUMNS, UNIT_DAYS
from model.rewriting.phrasings import Phrasings

SHARE_WITH_PROFILE, SHARE_OF_TWO, SHARE_NEGATED, SHARE_PAST, SHARE_ANYTHING = 0.4, 0.4, 0.25, 0.45, 0.1
SHARE_WITH_TIME, SHARE_WITH_COUNT, SHARE_WITH_AMOUNT, SHARE_WITH_CHANNEL = 0.45, 0.2, 0.2, 0.15
T = TypeVar("T")
_HEAD_ENDS = re.compile(r", | at | in ")


@dataclass(frozen=True)
class Example:
    """A demand and its rewriting; `texts` are the lake's texts that its topics were taken from."""

    demand: str
    rewritten: Rewritten
    texts: tuple[str, ...]


@dataclass(frozen=True)
class _Wish:
    behaviour: Behaviour
    text: str
    phrase: str


def examples(lake: KnownLake, phrasings: Sequence[Phrasings], *, count: int, seed: int, day: date) -> list[Example]:
    """`count` demands as of `day`, each in the phrases of one of the lists."""
    topics = {source: lake.texts_of(source) for source in lake.words.sources}
    draws = (random.Random(f"{seed} {n}") for n in range(count))
    return [_Draw(rng, lake, topics, rng.choice(phrasings), day).example() for rng in draws]


class _Draw:
    """One demand's draws."""

    def __init__(
        self, rng: random.Random, lake: KnownLake, topics: dict[str, list[str]], phrasings: Phrasings, day: date
    ) -> None:
        self.rng, self.lake, self.topics, self.say, self.day = rng, lake, topics, phrasings, day

    def example(self) -> Example:
        profiles, people = self._people() if self._chance(SHARE_WITH_PROFILE) else ([], self._pick(self.say.people))
        wishes, told = self._wishes()
        conditions = (*profiles, *(wish.behaviour for wish in wishes))
        demand = f"{self._pick(self.say.openings).format(people=people)} {told}"
        sentences = [s for place, wish in enumerate(wishes, len(profiles)) for s in self._sentences(wish, place)]
        return Example(
            demand[0].upper() + demand[1:],
            Rewritten(demand[0].upper() + demand[1:], tuple(sentences), conditions),
            tuple(wish.text for wish in wishes if wish.text),
        )

    def _sentences(self, wish: _Wish, place: int) -> Iterator[Sentence]:
        for sentence in rendered(wish.behaviour, place, self.lake.words.currency):
            if sentence.text in self.lake.distinct:
                yield sentence
        if wish.text:
            yield Sentence(wish.text, 1.0, place, wish.behaviour.negated)

    def _wishes(self) -> tuple[list[_Wish], str]:
        """One wish, two things to one verb, or two wishes with verbs of their own; and how they are put."""
        first = self._wish()
        if not self._chance(SHARE_OF_TWO):
            return [first], first.phrase.format(self._told(first)) + self._details(first.behaviour)
        if first.text and self._chance(0.4):
            return self._two_things(first)
        second = self._wish()
        flips = first.behaviour.negated != second.behaviour.negated
        joined = OR if not flips and not first.behaviour.negated and self._chance(0.3) else AND
        words = self.say.either if joined == OR else self.say.contrast if flips else self.say.both
        second = replace(second, behaviour=replace(second.behaviour, joined=joined))
        told = [wish.phrase.format(self._told(wish)) + self._details(wish.behaviour) for wish in (first, second)]
        return [first, second], f" {self._pick(words)} ".join(told)

    def _two_things(self, first: _Wish) -> tuple[list[_Wish], str]:
        source = first.behaviour.source or self._pick(tuple(self.topics))
        text = self._pick(self.topics[source])
        joined = AND if first.behaviour.negated or self._chance(0.3) else OR
        word = self._pick(self.say.either if joined == OR or first.behaviour.negated else self.say.both)
        second = _Wish(replace(first.behaviour, topic=self._topic(text), joined=joined), text, first.phrase)
        things = f"{self._told(first)} {word} {self._told(second)}"
        return [first, second], first.phrase.format(things) + self._details(first.behaviour)

    def _wish(self) -> _Wish:
        negated, past = self._chance(SHARE_NEGATED), self._chance(SHARE_PAST)
        asked = [s for s in self.lake.words.sources if (s, "did" if past else "will") in self.say.verbs]
        source = self._pick((*asked, *asked, *(() if past else (ANY,))))
        text = (
            ""
            if source and self._chance(SHARE_ANYTHING)
            else self._pick(self.topics[source or self._pick(tuple(asked))])
        )
        behaviour = Behaviour(
            source=source,
            topic=self._topic(text) if text else "",
            tense=PAST if past else FUTURE,
            negated=negated,
            window=self._window(past=past) if self._chance(SHARE_WITH_TIME) else None,
        )
        form = ("did" if past else "will") + (" not" if negated else "")
        if source == "bills" and text and self._chance(SHARE_WITH_AMOUNT):
            op, n = self._pick(tuple(self.say.amounts)), self._pick((20, 50, 100, 250, 500, 1000))
            currency = self.lake.words.currency
            amount = self._pick(self.say.amounts[op]).format(n=n, currency=currency)
            phrase = self._pick(self.say.spending[form]).replace("{amount}", amount)
            return _Wish(replace(behaviour, amount=Amount(op, n, currency=currency)), text, phrase)
        if source and self._chance(SHARE_WITH_COUNT):
            compared = Comparison(self._pick(tuple(self.say.counts)), self.rng.randint(2, 9))
            behaviour = replace(behaviour, count=compared)
        elif source == "bills" and self.lake.words.channels and self._chance(SHARE_WITH_CHANNEL):
            behaviour = replace(behaviour, channel=self._pick(self.lake.words.channels))
        return _Wish(behaviour, text, self._pick(self.say.verbs[source, form]))

    def _told(self, wish: _Wish) -> str:
        anything = self.say.not_anything if wish.behaviour.negated else self.say.something
        return wish.behaviour.topic or self._pick(anything)

    def _details(self, behaviour: Behaviour) -> str:
        """Count, channel and time, in this order, each after a space."""
        told = []
        if behaviour.count:
            told.append(self._pick(self.say.counts[behaviour.count.op]).format(n=f"{behaviour.count.value:g}"))
        if behaviour.channel:
            told.append(self._pick(self.say.channels).format(behaviour.channel))
        if window := behaviour.window:
            told.append(self._time(window, past=behaviour.tense == PAST))
        return "".join(f" {each}" for each in told)

    def _window(self, *, past: bool) -> Window:
        if past and self._chance(0.25):
            return Window(since=self.day - timedelta(days=self.rng.randint(20, 400)))
        return Window(within_days=self.rng.randint(2, 9) * UNIT_DAYS[self._pick(("day", "week", "month"))])

    def _time(self, window: Window, *, past: bool) -> str:
        if window.since:
            return self._pick(self.say.since).format(window.since.isoformat())
        days = window.within_days or 0
        unit = next(u for u in ("month", "week", "day") if days % UNIT_DAYS[u] == 0 and days >= 2 * UNIT_DAYS[u])
        n = days // UNIT_DAYS[unit]
        return self._pick(self.say.last if past else self.say.coming).format(n=n, unit=f"{unit}s")

    def _topic(self, text: str) -> str:
        """The text's thing in a marketer's words: lower case, perhaps a word shorter, perhaps in plural."""
        head = _HEAD_ENDS.split(text)[0].lower().strip(" .,;!?") or text.lower()
        words = head.split()
        change = self.rng.randrange(3)
        if change == 1 and len(words) > 2:
            del words[self.rng.randrange(len(words) - 1)]
        elif change == 2 and words[-1].isalpha() and not words[-1].endswith("s"):
            words[-1] += "s"
        return " ".join(words)

    def _people(self) -> tuple[list[Condition], str]:
        """Profile conditions in the order in which they are said, and who is meant."""
        words, before = self.lake.words, self._pick(self.say.people)
        found: list[Condition] = []
        after: list[str] = []
        for column in (c for c in words.categories if c in GENDER_COLUMNS and self._chance(0.5)):
            value = self._pick(words.categories[column])
            women = value.lower() in GENDERS[0][1]
            before = self._pick(self.say.women if women else self.say.men)
            found.append(Profile(column, value))
        for column in (c for c in words.numbers if c in AGE_COLUMNS and self._chance(0.6)):
            comparison, told = self._age()
            found.append(Profile(column, comparison=comparison))
            after.append(told)
        for column in (c for c in words.categories if c not in GENDER_COLUMNS and self._chance(0.4)):
            value = self._pick(words.categories[column])
            phrases = self.say.places if column in PLACE_COLUMNS else self.say.categories
            told = self._pick(phrases)
            after.append(
                told.format(value) if column in PLACE_COLUMNS else told.format(column=_spoken(column), value=value)
            )
            found.append(Profile(column, value))
        return found, " ".join([before, *after])

    def _age(self) -> tuple[Comparison, str]:
        op = self._pick(tuple(self.say.ages))
        n = 5 * self.rng.randint(4, 12)
        upper = n + 10 if op == BETWEEN else None
        return Comparison(op, n, upper), self._pick(self.say.ages[op]).format(n=n, m=upper)

    def _chance(self, share: float) -> bool:
        return self.rng.random() < share

    def _pick(self, options: Sequence[T]) -> T:
        return self.rng.choice(options)


def _spoken(column: str) -> str:
    return column.replace("_", " ")
