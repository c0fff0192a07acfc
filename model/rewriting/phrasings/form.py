"""The form of a list of phrasings."""

from collections.abc import Mapping
from dataclasses import dataclass

Verbs = Mapping[tuple[str, str], tuple[str, ...]]
"""By source and form (will, will not, did, did not): phrases around a topic."""


@dataclass(frozen=True)
class Phrasings:
    """Alternatives for each piece of a demand. `spending` stands for bills with an amount; `{}` is the topic."""

    openings: tuple[str, ...]
    people: tuple[str, ...]
    women: tuple[str, ...]
    men: tuple[str, ...]
    places: tuple[str, ...]
    ages: Mapping[str, tuple[str, ...]]
    categories: tuple[str, ...]
    verbs: Verbs
    spending: Mapping[str, tuple[str, ...]]
    something: tuple[str, ...]
    not_anything: tuple[str, ...]
    channels: tuple[str, ...]
    last: tuple[str, ...]
    coming: tuple[str, ...]
    since: tuple[str, ...]
    counts: Mapping[str, tuple[str, ...]]
    amounts: Mapping[str, tuple[str, ...]]
    both: tuple[str, ...]
    either: tuple[str, ...]
    contrast: tuple[str, ...]
