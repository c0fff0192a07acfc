"""Rules over what users did: "bought tea in the last 90 days", "never looked at tents", checked event by event.

A rule without a time, a count or a source is exact as a condition on the keys of a user's texts (Milvus', or numpy's
where all users lie in memory), so it narrows the search itself. Any other is checked on the events that the online
store holds of whom the search found; where it wants an event, its keys narrow the search as well.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from serving.expressions import Expression, any_of, expression

Event = tuple[str, int, int]
"""Source, days since 1970-01-01, text key."""

Test = Callable[[int], bool]


@dataclass(frozen=True)
class Rule:
    """The events with these keys, of a source ("" is any), from `since` on and before `until` (days), are as many as
    `counted` allows, or (negated) are not."""

    name: str
    keys: frozenset[int]
    source: str = ""
    since: int | None = None
    until: int | None = None
    counted: Test | None = None
    negated: bool = False
    guessed: bool = False
    """Did no text hold the topic's words, so that those near to it stand in?"""

    @property
    def is_simple(self) -> bool:
        """Does having a text or not decide?"""
        return not self.source and self.since is None and self.until is None and self.counted is None

    def holds(self, events: Iterable[Event]) -> bool:
        found = sum(1 for source, day, key in events if self._means(source, day, key))
        return (self.counted(found) if self.counted else found > 0) != self.negated

    def _means(self, source: str, day: int, key: int) -> bool:
        early = self.since is not None and day < self.since
        late = self.until is not None and day >= self.until
        return key in self.keys and not early and not late and self.source in ("", source)


@dataclass(frozen=True)
class Having:
    """A user has a text of one of these keys, or (negated) has none."""

    keys: tuple[int, ...]
    negated: bool = False

    def condition(self) -> Expression:
        contains = "not array_contains_any" if self.negated else "array_contains_any"
        return expression(f"{contains}(text_keys, {{v0}})", list(self.keys) or [0])


@dataclass(frozen=True)
class AnyRule:
    """One of these is enough."""

    rules: tuple[Rule, ...]

    @property
    def is_simple(self) -> bool:
        return all(rule.is_simple for rule in self.rules)

    def holds(self, events: Sequence[Event]) -> bool:
        return any(rule.holds(events) for rule in self.rules)

    def having(self) -> tuple[Having, ...]:
        """One of these holds of every user for whom the rule does, and where `is_simple` of no other; empty where texts
        alone say nothing."""
        parts = [_having(rule) for rule in self.rules]
        known = tuple(part for part in parts if part)
        return known if len(known) == len(parts) else ()


def condition_of(parts: Sequence[Having]) -> Expression:
    """One of these is enough; without any everybody."""
    return any_of(part.condition() for part in parts)


def _having(rule: Rule) -> Having | None:
    keys = tuple(sorted(rule.keys))
    if rule.negated:
        return Having(keys, negated=True) if rule.is_simple and keys else None
    wants_none = rule.counted is not None and rule.counted(0)
    return None if wants_none else Having(keys)
