"""What of a rewritten demand a user's history decides: conditions about the past and about the profile are looked up,
and who breaks one is no part of the audience. What is still to happen is left to the scores.

A topic means every text that holds all its words, singular or plural; where no text does, the texts that rewriting
found near to it. Histories are those that the model reads: the newest events of each source, as many as are kept.

Shape suffixes: B users, V distinct texts, L slots of a source's history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import text_key
from feature_repo.contracts.windows import day_number
from model.rewriting.document import ANY, BETWEEN, PAST, Behaviour, Comparison, Condition, Profile, Rewritten, Window
from model.words import words_of

Columns = Mapping[str, "np.ndarray"]
"""The history side of feature_repo/contracts/inputs.py."""

Group = tuple[Condition, ...]


@dataclass(frozen=True)
class Decided:
    """`keep_B`: who meets every rule. `rules` are the groups that were looked up, `left` those that were not; `guessed`
    are conditions of rules whose words no text has, so that the texts near to them stood in: to be shown to whoever
    asked."""

    keep_B: "np.ndarray"
    rules: tuple[Group, ...]
    left: tuple[Group, ...]
    guessed: tuple[Condition, ...] = ()


class Rules:
    """The rules of one lake: its distinct texts by key, and its profile columns by kind, as the pairs' manifest names
    them."""

    def __init__(
        self, keys_V: "np.ndarray", texts: Sequence[str], *, profile: Mapping[str, Sequence[str]], currency: str
    ) -> None:
        self.keys_V, self.currency = keys_V, currency
        self.categories, self.numbers = sorted(profile["categorical"]), sorted(profile["numeric"])
        self._words = [frozenset(map(stem, words_of(text))) for text in texts]

    def decide(self, rewritten: Rewritten, users: Columns) -> Decided:
        """All groups must hold, of a group one condition is enough: so a group is a rule only where all of it can be
        looked up."""
        keep_B = np.ones(len(users["cutoff_day"]), bool)
        rules: list[Group] = []
        left: list[Group] = []
        for group in rewritten.groups:
            if all(map(self.can_decide, group)):
                keep_B &= np.any([self._holds(condition, rewritten, users) for condition in group], axis=0)
                rules.append(group)
            else:
                left.append(group)
        guessed = tuple(c for group in rules for c in group if self._is_guessed(c))
        return Decided(keep_B, tuple(rules), tuple(left), guessed)

    def can_decide(self, condition: Condition) -> bool:
        """Is it about what is known of a user? How a purchase was paid is not, nor an amount in foreign money."""
        if isinstance(condition, Profile):
            return condition.column in (self.numbers if condition.comparison else self.categories)
        native = not condition.amount or condition.amount.currency == self.currency
        return condition.tense == PAST and not condition.channel and native

    def meant(self, topic: str, near: Sequence[str] = ()) -> "np.ndarray":
        """The keys of the texts that a topic means."""
        own_V = self._has_words(topic)
        return self.keys_V[own_V] if own_V.any() else np.array([text_key(text) for text in near], np.int64)

    def _has_words(self, topic: str) -> "np.ndarray":
        """bool [V]: which texts have all words of a topic."""
        wanted = frozenset(map(stem, words_of(topic)))
        return np.array([bool(wanted) and wanted <= words for words in self._words], bool)

    def _is_guessed(self, condition: Condition) -> bool:
        topic = condition.topic if isinstance(condition, Behaviour) else ""
        return bool(topic) and not self._has_words(topic).any()

    def _holds(self, condition: Condition, rewritten: Rewritten, users: Columns) -> "np.ndarray":
        if isinstance(condition, Profile):
            return self._fits(condition, users) != condition.negated
        place = next(i for i, other in enumerate(rewritten.conditions) if other is condition)
        near = [sentence.text for sentence in rewritten.sentences if sentence.condition == place]
        return self._happened(condition, near, users) != condition.negated

    def _happened(self, asked: Behaviour, near: Sequence[str], users: Columns) -> "np.ndarray":
        meant = self.meant(asked.topic, near) if asked.topic else None
        count_B = np.zeros(len(users["cutoff_day"]))
        spent_B = np.zeros(len(users["cutoff_day"]))
        for source in EVENT_SOURCES if asked.source == ANY else (asked.source,):
            text_BL = users[f"{source}_text"]
            fits_BL = (text_BL != 0) if meant is None else np.isin(text_BL, meant)
            fits_BL = fits_BL & _within(asked.window, users[f"{source}_day"], users["cutoff_day"][:, None])
            count_B += fits_BL.sum(1)
            if source == "bills":
                spent_B += np.where(fits_BL, users["bills_amount"], 0.0).sum(1)
        enough_B = _compare(asked.count, count_B) if asked.count else count_B > 0
        return enough_B & (_compare(asked.amount, spent_B) if asked.amount else True)

    def _fits(self, asked: Profile, users: Columns) -> "np.ndarray":
        if asked.comparison:
            number_B = users["profile_numbers"][:, self.numbers.index(asked.column)]
            return _compare(asked.comparison, number_B) & np.isfinite(number_B)
        key_B: np.ndarray = users["profile_categories"][:, self.categories.index(asked.column)]
        return key_B == text_key(asked.value)


def stem(word: str) -> str:
    """The same for singular and plural, more or less: "movies" and "movie", "boxes" and "box"."""
    word = word.removesuffix("s") if not word.endswith("ss") else word
    word = word.removesuffix("e")
    return f"{word[:-1]}i" if word.endswith("y") else word


def _within(window: Window | None, day_BL: "np.ndarray", cutoff_B1: "np.ndarray") -> "np.ndarray":
    if window is None:
        return np.ones(day_BL.shape, bool)
    if window.within_days:
        return np.asarray(day_BL >= cutoff_B1 - window.within_days)
    first, end = (day_number(day) if day else None for day in (window.since, window.until))
    after_BL = day_BL >= (first if first is not None else day_number(date.min))
    return np.asarray(after_BL & (day_BL < (end if end is not None else day_number(date.max))))


def _compare(comparison: Comparison, value_B: "np.ndarray") -> "np.ndarray":
    value, op = comparison.value, comparison.op
    if op == BETWEEN:
        return (value_B >= value) & (value_B <= comparison.upper)
    compared = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "=": np.equal}
    return np.asarray(compared[op](value_B, value))
