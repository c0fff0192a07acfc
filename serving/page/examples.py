"""What can be asked of this lake: sentences that it offers itself, and the columns to filter by."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.names import HISTORY, SEARCHES
from feature_repo.contracts.scenarios import SCENARIOS, label_rules
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import EVENT_TEMPLATES
from model.rewriting.document import Profile
from model.words import words_of
from serving.desk import Desk
from serving.first import RECENT_TEXTS, feature_rows, lake_scenarios
from serving.reading import PHRASES, Reader
from serving.targeting import Targeting

MOST_SCENARIOS = 5
_ITEMS = {"bills": 3, "searches": 1}
"""So many frequent things of each source make a sentence."""
_VIEWS = dict.fromkeys(BEHAVIOUR_SOURCES, HISTORY) | {"searches": SEARCHES}
_COMMON = 0.5
"""What more than this share of the users did tells nobody apart."""
_FEWEST = 5
"""What fewer users did is theirs, and nobody else's to read."""


@dataclass(frozen=True)
class Example:
    """`origin` says where the sentence comes from."""

    text: str
    origin: str


@dataclass(frozen=True)
class Askable:
    """A column to filter by; a category's values, where they are few enough to be named."""

    name: str
    kind: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Offer:
    demands: tuple[Example, ...]
    columns: tuple[Askable, ...]
    users: int
    horizon_days: int
    currency: str


def offer_of(desk: Desk, targeting: Targeting) -> Offer:
    """What the lake of the desk offers as of the day of its index."""
    reader = targeting.reader
    examples = [*_scenarios(desk.settings), *_frequent(desk.settings, targeting, reader)]
    return Offer(
        demands=tuple({example.text: example for example in examples}.values()),
        columns=tuple(_columns(reader)),
        users=targeting.index.count(targeting.publication.collection),
        horizon_days=reader.horizon_days,
        currency=reader.compiler.currency,
    )


def _columns(reader: Reader) -> Iterator[Askable]:
    filters, categories = reader.compiler.filters, reader.grammar.words.categories
    for column in filters.columns.values():
        if filters.knows(column.name):
            yield Askable(column.name, column.kind, tuple(categories.get(column.name, ())))


def _scenarios(settings: Settings) -> list[Example]:
    """The first sentence about each of the lake's goals."""
    goals: dict[str, Example] = {}
    scenarios = lake_scenarios(settings)
    rules = label_rules(Path(settings.lake) / SCENARIOS) if scenarios else {}
    for scenario in scenarios:
        origin = f"a scenario of this lake ({scenario.id})"
        goals.setdefault(rules.get(scenario.id, scenario.id), Example(scenario.demand, origin))
    return list(goals.values())[:MOST_SCENARIOS]


def _frequent(settings: Settings, targeting: Targeting, reader: Reader) -> Iterator[Example]:
    """Sentences about what many users did lately, no two about the same words; the first also with a condition."""
    said: set[str] = set()
    for source, most in _ITEMS.items():
        left = most
        for item, users, read in _items(settings, targeting, source):
            words = set(words_of(item))
            if not left or not words or words & said:
                continue
            said |= words
            sentence = PHRASES[source].format(item)
            origin = f"{users:,} of {read:,} users had {item!r} lately"
            if left == most and (narrowed := _narrowed(reader, sentence)):
                sentence, origin = narrowed, f"{origin}; narrowed by a column of the profiles"
            yield Example(sentence, origin)
            left -= 1


def _items(settings: Settings, targeting: Targeting, source: str) -> Iterator[tuple[str, int, int]]:
    """(item, users who had it lately, users read), the most frequent first."""
    column, counts, read = f"{source}_text", Counter[int](), 0
    for row in feature_rows(settings, _VIEWS[source], targeting.day, [column]):
        counts.update({key for key in (row[column] or [])[:RECENT_TEXTS] if key})
        read += 1
    texts = targeting.texts.of(list(counts))
    items = Counter[str]()
    for key, users in counts.items():
        items[_item(texts.get(key, ""), source)] += users
    for item, users in sorted(items.items(), key=lambda each: (-each[1], each[0])):
        if item and _FEWEST <= users <= _COMMON * read:
            yield item, users, read


def _item(text: str, source: str) -> str:
    """What a text is about: its template's first part."""
    for part in EVENT_TEMPLATES[source].parts[1:]:
        text = text.split(part.prefix)[0]
    return text


def _narrowed(reader: Reader, sentence: str) -> str:
    """The sentence about a part of the users, where the grammar reads all of it: "Women over 30 who will buy tea"."""
    lower = sentence[0].lower() + sentence[1:]
    for start in _starts(reader.grammar.words.categories):
        demand = start + lower.partition(" ")[2]
        parsed = reader.grammar.parse(demand)
        if not parsed.rest and any(isinstance(each, Profile) for each in parsed.conditions):
            return demand
    return ""


def _starts(categories: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    yield "Women over 30 "
    yield "Customers over 30 "
    for values in categories.values():
        yield from (f"Customers from {value} " for value in values[:1])
