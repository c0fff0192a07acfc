"""What the grammar knows of one lake: which sources, channels and profile columns can be asked for at all."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_VALUES = 1_000
"""A category with more values than this is an identifier; nobody asks for one by name."""

_COMPOUND = re.compile(r"(?=\b(\w+) (and|or|&|without|not) (\w+)\b)")


@dataclass(frozen=True)
class LakeWords:
    """`categories` gives the values of each categorical profile column; an empty currency is an unknown one.

    `compounds` are the words around a conjunction in the lake's texts ("salt and pepper"): nothing is split there.
    """

    sources: tuple[str, ...]
    currency: str
    categories: Mapping[str, tuple[str, ...]]
    numbers: tuple[str, ...]
    channels: tuple[str, ...]
    compounds: frozenset[tuple[str, str, str]] = frozenset()


def compounds_of(texts: Iterable[str]) -> frozenset[tuple[str, str, str]]:
    """The compounds of these texts, in lower case; `&` counts as "and"."""
    found = (match.groups() for text in texts for match in _COMPOUND.finditer(text.lower()))
    return frozenset((before, joint.replace("&", "and"), after) for before, joint, after in found)
