"""What of a rewritten demand a user's history decides: conditions about the past and about the profile are looked up,
and who breaks one is no part of the audience. What is still to happen is left to the scores.

What a topic means is told in topics.py. Histories are those that the model reads: the newest events of each source, as
many as are kept.

Shape suffixes: B users, L slots of a source's history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import text_key
from feature_repo.contracts.windows import day_number
from model.rewriting.document import ANY, BETWEEN, PAST, Behaviour, Comparison, Condition, Profile, Rewritten, Window
from model.rewriting.topics import Topics

Columns = Mapping[str, "np.ndarray"]
"""The history side of feature_repo/contracts/inputs.py."""

Group = tuple[Condition, ...]


@dataclass(frozen=True)
class Decided:
    """`keep_B`: who meets every rule. `rules` are the groups that were looked up, `left` those that were not; `guessed`
    are conditions of rules not all of whose words any text has, so that others stood in: to be shown to whoever
    asked."""

    keep_B: "np.ndarray"
    rules: tuple[Group, ...]
    left: tuple[Group, ...]
    guessed: tuple[Condition, ...] = ()


class Rules:
    """The rules of one lake: the topics of its texts, and its profile columns by kind, as the pairs' manifest names
    them."""

    def __init__(self, topics: Topics, *, profile: Mapping[str, Sequence[str]], currency: str) -> None:
        self.currency = currency
        self.categories, self.numbers = sorted(profile["categorical"]), sorted(profile["numeric"])
        self.about = cache(topics.about)

    def decide(self, rewritten: Rewritten, users: Columns) -> Decided:
        """All groups must hold, of a group one condition is enough: so a group is a rule only where all of it can be
        looked up."""
        keep_B = np.ones(len(users["cutoff_day"]), bool)
        rules: list[Group] = []
        left: list[Group] = []
        for group in rewritten.groups:
            if all(map(self.can_decide, group)):
                keep_B &= np.any([self._holds(condition, users) for condition in group], axis=0)
                rules.append(group)
            else:
                left.append(group)
        guessed = tuple(c for group in rules for c in group if self._is_guessed(c))
        return Decided(keep_B, tuple(rules), tuple(left), guessed)

    def can_decide(self, condition: Condition) -> bool:
        """Is it about what is known of a user? How a purchase was paid is not, nor an amount in foreign money, nor what
        no text of the lake is about."""
        if isinstance(condition, Profile):
            return condition.column in (self.numbers if condition.comparison else self.categories)
        native = not condition.amount or condition.amount.currency == self.currency
        known = not condition.topic or bool(self.about(condition.topic).keys)
        return condition.tense == PAST and not condition.channel and native and known

    def _is_guessed(self, condition: Condition) -> bool:
        topic = condition.topic if isinstance(condition, Behaviour) else ""
        return bool(topic) and not self.about(topic).by_words

    def _holds(self, condition: Condition, users: Columns) -> "np.ndarray":
        if isinstance(condition, Profile):
            return self._fits(condition, users) != condition.negated
        return self._happened(condition, users) != condition.negated

    def _happened(self, asked: Behaviour, users: Columns) -> "np.ndarray":
        meant = self.about(asked.topic).keys if asked.topic else None
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
