"""Conditions of a demand as what the desk can check: profile and activity as filters, the past as rules over histories.

A condition that cannot be checked is not applied, and a warning says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.inputs import COUNT_DAYS
from feature_repo.contracts.windows import day_number
from model.rewriting.document import BETWEEN, FUTURE, PAST, Behaviour, Comparison, Condition, Profile, Rewritten, Window
from model.rewriting.show import told
from model.rewriting.topics import Topics
from serving.facts import RECENCY
from serving.filters import AnyOf, Filter, Filters, opposite
from serving.filters import Condition as FilterCondition
from serving.history import AnyRule, Rule, Test


@dataclass(frozen=True)
class Compiled:
    """`future` are the groups of conditions that are left to the model: of each, one is enough."""

    filters: tuple[FilterCondition, ...] = ()
    rules: tuple[AnyRule, ...] = ()
    future: tuple[tuple[Behaviour, ...], ...] = ()
    warnings: tuple[str, ...] = ()


class _Unchecked(Exception):
    """Why a condition cannot be checked."""


@dataclass(frozen=True)
class Compiler:
    """What the conditions mean for one collection and its day; amounts are in the lake's currency."""

    filters: Filters
    topics: Topics
    currency: str

    @property
    def day(self) -> date:
        return self.filters.day

    def compiled(self, conditions: Sequence[Condition]) -> Compiled:
        filters: list[FilterCondition] = []
        rules: list[AnyRule] = []
        future: list[tuple[Behaviour, ...]] = []
        warnings: list[str] = []
        for group in Rewritten("", conditions=tuple(conditions)).groups:
            coming = tuple(c for c in group if isinstance(c, Behaviour) and c.tense == FUTURE)
            if coming:
                future.append(coming)
                warnings += [
                    _not_applied(c, "it is an alternative to what will happen") for c in group if c not in coming
                ]
                continue
            try:
                found = self._checked(group)
            except _Unchecked as why:
                warnings += [_not_applied(c, str(why)) for c in group]
                continue
            for each in found:
                rules.append(each) if isinstance(each, AnyRule) else filters.append(each)
        guessed = [rule.name for each in rules for rule in each.rules if rule.guessed]
        warnings += [f"no text holds all words of: who {name}; those nearest to it stand in" for name in guessed]
        return Compiled(tuple(filters), tuple(rules), tuple(future), tuple(warnings))

    def _checked(self, group: Sequence[Condition]) -> Sequence[FilterCondition | AnyRule]:
        """One of the group is enough, and all that is returned must hold."""
        topical = [c for c in group if isinstance(c, Behaviour) and c.topic]
        if len(topical) == len(group):
            return [AnyRule(tuple(map(self._rule, topical)))]
        if topical:
            raise _Unchecked("what was done and what users are cannot be alternatives")
        each = [self._profile(c) if isinstance(c, Profile) else self._activity(c) for c in group]
        if len(each) == 1:
            return each[0]
        if any(len(one) > 1 for one in each):
            raise _Unchecked("it is not one comparison, so it cannot be an alternative")
        return [AnyOf(tuple(_leaves(one[0] for one in each)))]

    def _profile(self, condition: Profile) -> Sequence[FilterCondition]:
        if not self.filters.knows(condition.column):
            raise _Unchecked(f"the column {condition.column!r} may not be filtered by, or the index lacks it")
        compared = condition.comparison
        wanted = _compared(condition.column, compared) if compared else Filter(condition.column, "=", condition.value)
        return [opposite(wanted) if condition.negated else wanted]

    def _activity(self, condition: Behaviour) -> Sequence[FilterCondition]:
        """Events of a source, whatever they are about: counts, the last one's age, the sum spent."""
        if condition.channel:
            raise _Unchecked("how it was paid is not kept of users")
        days = self._days_back(condition.window)
        if condition.amount:
            if condition.amount.currency not in ("", self.currency):
                raise _Unchecked(f"the lake counts in {self.currency or 'a currency it does not name'}")
            each = [_compared(_counted("spend", days), condition.amount)]
        else:
            sources = [condition.source] if condition.source else [s for s in EVENT_SOURCES if self._has(s)]
            if condition.count and len(sources) > 1:
                raise _Unchecked("events are counted per source")
            each = [self._happened(source, days, condition.count) for source in sources]
        if not each or not all(self.filters.knows(f.field) for f in each):
            raise _Unchecked("the index holds no such activity")
        if condition.negated:
            return [opposite(f) for f in each]
        return each if len(each) == 1 else [AnyOf(tuple(each))]

    def _happened(self, source: str, days: int | None, count: Comparison | None) -> Filter:
        if count:
            return _compared(_counted(f"{source}_count", days), count)
        return Filter(source + RECENCY, "<=", days) if days else Filter(f"{source}_count", ">=", 1)

    def _has(self, source: str) -> bool:
        return self.filters.knows(f"{source}_count")

    def _days_back(self, window: Window | None) -> int | None:
        """The window as a number of days before the day; None where there is none."""
        if window is None:
            return None
        if window.within_days:
            return window.within_days
        if window.since and (window.until is None or window.until >= self.day) and window.since < self.day:
            return (self.day - window.since).days
        raise _Unchecked("a time that ended before now is only checked together with a topic")

    def _rule(self, condition: Behaviour) -> Rule:
        if condition.amount or condition.channel:
            raise _Unchecked("what was paid, and how, is not kept of single events")
        about = self.topics.about(condition.topic)
        keys = frozenset(about.keys)
        if not keys:
            raise _Unchecked(f"no text of the lake is about {condition.topic!r}")
        since, until = _span(condition.window, self.day)
        counted = _test(condition.count) if condition.count else None
        single = [s for s in EVENT_SOURCES if self._has(s)] == [condition.source]
        return Rule(
            told(condition),
            keys,
            "" if single else condition.source,
            since,
            until,
            counted,
            condition.negated,
            not about.by_words,
        )


def _leaves(conditions: Iterable[FilterCondition]) -> Iterable[Filter]:
    for each in conditions:
        yield from each.any if isinstance(each, AnyOf) else (each,)


def _counted(name: str, days: int | None) -> str:
    if days is None:
        return name
    if days not in COUNT_DAYS:
        raise _Unchecked(f"sums are kept over {', '.join(map(str, COUNT_DAYS))} days and over the whole history")
    return f"{name}_{days}d"


def _compared(field: str, comparison: Comparison) -> Filter:
    if comparison.op == BETWEEN:
        return Filter(field, BETWEEN, (comparison.value, float(comparison.upper or 0)))
    return Filter(field, comparison.op, comparison.value)


def _test(comparison: Comparison) -> Test:
    value, upper = comparison.value, comparison.upper or 0.0
    tests: dict[str, Test] = {
        ">": lambda found: found > value,
        ">=": lambda found: found >= value,
        "<": lambda found: found < value,
        "<=": lambda found: found <= value,
        "=": lambda found: found == value,
        BETWEEN: lambda found: value <= found <= upper,
    }
    return tests[comparison.op]


def _span(window: Window | None, day: date) -> tuple[int | None, int | None]:
    """[since, until) in days since 1970-01-01."""
    if window is None:
        return None, None
    if window.within_days:
        return day_number(day) - window.within_days, None
    return tuple(None if d is None else day_number(d) for d in (window.since, window.until))  # type: ignore[return-value]


def _not_applied(condition: Condition, why: str) -> str:
    past = isinstance(condition, Profile) or condition.tense == PAST
    return f"not applied: {'who ' if past else ''}{told(condition)}: {why}"
