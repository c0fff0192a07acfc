"""Whether a demand came true in past futures, as far as their texts tell, by the wishes that the grammar finds in it.

A verb may name a source ("will buy"): then only the texts of that source's events, or of no known one, count.

Shape suffixes: N past users, V texts of futures, F slots of a future, S sources.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import EVENT_TEMPLATES, LEVELS, NOTHING, SPENT_SUMMARY, money
from model.calibration.matching import Encode, Matcher, telling
from model.rewriting.document import ANY, OR, Amount, Behaviour
from model.rewriting.grammar import Grammar
from model.rewriting.words import LakeWords
from model.words import words_of

WEAK = 0.6
"""Where less of a topic is found, the words for whom the demand is about are looked at too."""
OPENING = 2
"""They are among the first so many words, before "who"."""
_WHO = re.compile(r"\b(?:who|whom|whose|that|which)\b", re.IGNORECASE)
_ANYBODY = frozenset(
    "audience buyers card clients consumers customers everybody everyone fans holders individuals lovers members "
    "people persons readers shoppers subscribers users viewers visitors".split()
)
"""Words for whom a demand is about that say nothing of them, unlike "families"."""
MATCHED, PARTLY, UNMATCHED = "matched", "partly", "unmatched"
"""How far a demand could be read; of `UNMATCHED` ones no text of the lake is near."""


@dataclass(frozen=True)
class Reading:
    """How probably each past user did what a demand says."""

    happened_N: "np.ndarray"
    kind: str


class Reader:
    """`future_NF` are rows of `texts`, -1 where there are no more."""

    def __init__(
        self,
        texts: Sequence[str],
        source_VS: "np.ndarray",
        matcher: Matcher,
        words: LakeWords,
        future_NF: "np.ndarray",
    ) -> None:
        self.texts, self.matcher, self.words, self.future_NF = texts, matcher, words, future_NF
        self.anything_V = np.array([text != NOTHING for text in texts], np.float64)
        anywhere_V = ~source_VS.any(1)
        self.of_source = {ANY: np.ones(len(texts), bool)}
        self.of_source |= {name: source_VS[:, s] | anywhere_V for s, name in enumerate(EVENT_SOURCES)}

    def read(self, demand: str, day: date, encode: Encode) -> Reading:
        """A wish is met by any text that means it; another wish that is no condition on amounts is an alternative."""
        parsed = Grammar(self.words, day).parse(demand).conditions
        wishes = [wish for wish in parsed if isinstance(wish, Behaviour)]
        topics = {word for wish in wishes for word in telling(wish.topic)}
        opening = words_of(_WHO.split(demand)[0])[:OPENING]
        others = [word for word in telling(" ".join(opening)) if word not in topics and word not in _ANYBODY]
        found: Reading | None = None
        for wish in wishes:
            next_one = self._wish(wish, others, encode)
            found = next_one if found is None else _together(found, next_one, wish)
        return found or Reading(self.happened(self.anything_V), UNMATCHED)

    def happened(self, probability_V: "np.ndarray") -> "np.ndarray":
        """[N]: how probably a future holds any text that is meant, each meant with this probability."""
        missed_V = np.log1p(-np.clip(probability_V, 0.0, 1 - 1e-9))
        return np.asarray(1 - np.exp(np.append(missed_V, 0.0)[self.future_NF].sum(1)))

    def _wish(self, wish: Behaviour, others: Sequence[str], encode: Encode) -> Reading:
        if wish.amount:
            return Reading(self.happened(self._spent(wish.amount)), MATCHED)
        match = self.matcher.match(wish.topic, encode, exact=wish.negated)
        probability_V, coverage = match.probability_V, match.coverage
        if probability_V is not None and coverage < WEAK and not wish.negated:
            named = self.matcher.named(others)
            if named.coverage:
                assert named.probability_V is not None
                probability_V, coverage = np.maximum(probability_V, named.probability_V), 1.0
        if probability_V is None:
            happened_N = self.happened(self._anything(wish.source))
        else:
            happened_N = min(1.0, coverage) * self.happened(probability_V * self.of_source[wish.source])
        kind = MATCHED if coverage >= WEAK else PARTLY if float(happened_N.max(initial=0.0)) > 0.1 else UNMATCHED
        return Reading(1 - happened_N if wish.negated else happened_N, kind)

    def _anything(self, source: str) -> "np.ndarray":
        """[V]: whatever the events of a source are, by the sentence that sums them up."""
        if source == ANY:
            return self.anything_V
        summary = EVENT_TEMPLATES[source].summary
        return np.array([text == summary for text in self.texts], np.float64)

    def _spent(self, amount: Amount) -> "np.ndarray":
        """[V]: the summary of the step nearest to an amount."""
        near = min(LEVELS, key=lambda step: abs(np.log(step / max(float(amount.value), 1.0))))
        sentence = SPENT_SUMMARY.format(amount=money(near, self.words.currency))
        return np.array([text == sentence for text in self.texts], np.float64)


def _together(before: Reading, after: Reading, wish: Behaviour) -> Reading:
    """Two wishes: both where one is a "not" or an amount, else either; one that no text is near to says nothing."""
    if UNMATCHED in (before.kind, after.kind) and before.kind != after.kind:
        return before if after.kind == UNMATCHED else after
    kind = max(before.kind, after.kind, key=(MATCHED, PARTLY, UNMATCHED).index)
    if wish.joined != OR and (wish.negated or wish.amount):
        return Reading(before.happened_N * after.happened_N, kind)
    return Reading(1 - (1 - before.happened_N) * (1 - after.happened_N), kind)
