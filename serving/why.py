"""Why an audience is one: what its members did more than the rest, by the texts of their histories and by their words.

Both sides are counted in users. The log odds ratio has a prior of what both sides do together, worth PRIOR users
(Monroe et al. 2008, "Fightin' words", equations 15, 19 and 20), and must be above chance for all that was compared.

    delta = log (a + p) / (n + P - a - p) - log (b + p) / (m + P - b - p),   p = P (a + b + 1/2) / (n + m + 1)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from model.words import words_of
from serving.audience import Trait
from serving.texts import TextTable

WORD, TEXT = "word", "text"
MOST_TRAITS = 5
"""Of words, and of texts."""
FEWEST_MEMBERS = 5
"""What fewer members did says nothing of an audience, and too much of them."""
MOST_COMPARED = 500
"""So many members, evenly by rank, stand for a larger audience."""
CHANCE = 0.01
"""How probable it may be that anything at all is told of an audience that is like the rest."""
PRIOR = 10.0
_CHUNK = 64

Keys = NDArray[np.int64]
Thing = tuple[str, str]
"""Kind, and how it is said."""


@dataclass(frozen=True)
class Done:
    """How many of some users did each thing."""

    users: int
    counts: Mapping[Thing, int]

    def without(self, others: "Done") -> "Done":
        """Of those among them who are not the others."""
        counts = {thing: count - others.counts.get(thing, 0) for thing, count in self.counts.items()}
        return Done(self.users - others.users, counts)


class Rest:
    """A sample of all users, to whom members are compared."""

    def __init__(self, texts: TextTable, sample: Mapping[str, Keys]) -> None:
        self._texts, self._sample = texts, sample
        self._all = done(texts, list(sample.values()))

    def traits(self, members: Mapping[str, Keys]) -> tuple[Trait, ...]:
        """What the members, best first, did more than the rest: words, then texts, the surest first."""
        step = max(1, -(-len(members) // MOST_COMPARED))
        compared = done(self._texts, list(members.values())[::step])
        shared = done(self._texts, [keys for user, keys in self._sample.items() if user in members])
        return traits(compared, self._all.without(shared))


def traits(members: Done, rest: Done) -> tuple[Trait, ...]:
    """Those whose log odds ratio is above chance, by its lower end."""
    told = [(thing, count) for thing, count in members.counts.items() if count >= FEWEST_MEMBERS]
    if not told or not rest.users:
        return ()
    did = np.array([count for _, count in told], float)
    others = np.array([rest.counts.get(thing, 0) for thing, _ in told], float)
    prior = PRIOR * (did + others + 0.5) / (members.users + rest.users + 1)
    yes = np.stack([did, others]) + prior
    no = np.array([[members.users], [rest.users]]) + PRIOR - yes
    delta = np.subtract(*np.log(yes / no))
    low = delta - NormalDist().inv_cdf(1 - CHANCE / len(told)) * np.sqrt((1 / yes + 1 / no).sum(0))
    share = yes / np.array([[members.users + PRIOR], [rest.users + PRIOR]])
    found: dict[str, list[Trait]] = {WORD: [], TEXT: []}
    for at in sorted(range(len(told)), key=lambda at: (-low[at], told[at][0])):
        kind, said = told[at][0]
        if low[at] > 0 and len(found[kind]) < MOST_TRAITS:
            have, others_have = float(did[at] / members.users), float(others[at] / rest.users)
            found[kind].append(Trait(kind, said, have, others_have, float(share[0, at] / share[1, at])))
    return (*found[WORD], *found[TEXT])


def done(texts: TextTable, users: Sequence[Keys]) -> Done:
    """Counts of the texts that the users have, and of the words in these. A user's keys are distinct."""
    lengths = np.array([len(keys) for keys in users], np.int64)
    if not lengths.sum():
        return Done(len(users), {})
    distinct, rows, amounts = np.unique(np.concatenate(users), return_inverse=True, return_counts=True)
    known = texts.of(distinct.tolist())
    said = [known.get(key, "") for key in distinct.tolist()]
    counts = {(TEXT, text): int(count) for text, count in zip(said, amounts, strict=True) if text}
    return Done(len(users), {**counts, **_words(said, rows.ravel(), lengths)})


def _words(said: Sequence[str], rows: Keys, lengths: Keys) -> dict[Thing, int]:
    """How many of the users have a text with each word; `rows` are their texts, `lengths` how many each has."""
    places: dict[str, int] = {}
    own = [[places.setdefault(word, len(places)) for word in dict.fromkeys(words_of(text))] for text in said]
    sizes = np.array([len(words) for words in own])
    starts, flat = np.cumsum(sizes) - sizes, np.array([at for words in own for at in words], np.int64)
    total, ends = np.zeros(len(places), np.int64), np.cumsum(lengths)
    for first in range(0, len(lengths), _CHUNK):
        part = lengths[first : first + _CHUNK]
        own_rows = rows[ends[first] - lengths[first] : ends[first + len(part) - 1]]
        size = sizes[own_rows]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        has = np.zeros((len(part), len(places)), bool)
        has[
            np.repeat(np.repeat(np.arange(len(part)), part), size), flat[np.repeat(starts[own_rows], size) + within]
        ] = True
        total += has.sum(0)
    return {(WORD, word): int(total[at]) for word, at in places.items()}
